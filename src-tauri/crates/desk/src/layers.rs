//! The layers as the desk holds them: the profile's word, the cache's record and the picture in memory, swapped whole.

use crate::search::Names;
use arc_swap::ArcSwap;
use geo_types::Coord;
use model::{
    Classification, Feature, Freshness, GeometryKind, LayerId, LayerKind, LayerSpec, LinkState, Provenance, Role, Span,
    Timestamp, freshness_of,
};
use parking_lot::Mutex;
use spatial::LayerPicture;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use store::StoredLayer;

/// One layer, immutable. A change makes a new one beside it.
pub struct Layer {
    pub spec: LayerSpec,
    pub stored: Option<StoredLayer>,
    pub picture: Arc<LayerPicture>,
    /// What a service answered about a layer that stays there, and when; the picture holds no more than that.
    came: Option<Came>,
    names: Arc<OnceLock<Names>>,
    /// Parts of the packed form as it was read; 0 where it was not.
    parts: u32,
}

/// An answer in place of a layer's content.
#[derive(Clone)]
pub struct Came {
    pub provenance: Provenance,
    /// The service could not be asked: this is what it said then.
    pub kept: bool,
}

/// So many features travel as one GeoJSON: some 3 MB.
const WHOLE_FEATURES: u64 = 20_000;

/// More features than a map should hold as one GeoJSON: their points and names come with the tiles. What has live
/// values never does: its symbols change one by one.
fn is_tiled(spec: &LayerSpec, stored: &StoredLayer) -> bool {
    spec.live_source.is_none() && stored.features > WHOLE_FEATURES
}

/// The overview levels of fewer features are made faster than they are read.
const KEPT_LEVELS: usize = 5_000;

/// The fields whose values tiles carry.
pub fn tile_fields(spec: &LayerSpec) -> Vec<String> {
    spec.fields.iter().filter(|field| field.label).map(|field| field.name.clone()).collect()
}

impl Layer {
    pub fn new(spec: LayerSpec, stored: StoredLayer, picture: LayerPicture, parts: usize) -> Self {
        let parts = u32::try_from(parts).unwrap_or(0);
        let picture = if is_tiled(&spec, &stored) { picture.with_labels() } else { picture };
        Self { spec, stored: Some(stored), picture: Arc::new(picture), came: None, names: Arc::default(), parts }
    }

    /// A layer whose content was not read: it is listed, and no question finds anything in it.
    pub fn unread(spec: LayerSpec, stored: Option<StoredLayer>) -> Self {
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        let picture = LayerPicture::build(spec.id.clone(), version, Vec::new(), &spec.name_field, &[]);
        Self { spec, stored, picture: Arc::new(picture), came: None, names: Arc::default(), parts: 0 }
    }

    /// What a service answered, to be asked on as if it were the layer.
    pub fn answered(spec: LayerSpec, features: Vec<Feature>, came: Came) -> Self {
        let picture = LayerPicture::build(spec.id.clone(), 0, features, &spec.name_field, &tile_fields(&spec));
        Self { spec, stored: None, picture: Arc::new(picture), came: Some(came), names: Arc::default(), parts: 0 }
    }

    /// The layer stays in the data centre: its content is never here.
    pub fn is_remote(&self) -> bool {
        self.spec.remote.is_some()
    }

    /// Where the content is from, be it the cache's or an answer.
    pub fn provenance(&self) -> Option<&Provenance> {
        let stored = self.stored.as_ref().map(|stored| &stored.provenance);
        stored.or(self.came.as_ref().map(|came| &came.provenance))
    }

    /// The service could not be asked: what is here is what it said before.
    pub fn is_kept(&self) -> bool {
        self.came.as_ref().is_some_and(|came| came.kept)
    }

    /// The names that search looks through, made when first asked for; none for layers that search leaves out.
    pub fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let named = |ordinal| Some((ordinal, self.written_name(ordinal)?));
            if self.spec.search { self.picture.ordinals().filter_map(named).collect() } else { Names::default() }
        })
    }

    /// As [`is_tiled`].
    pub fn tiled(&self) -> bool {
        self.is_remote() || self.stored.as_ref().is_some_and(|stored| is_tiled(&self.spec, stored))
    }

    /// The same content with a newer record: the cache only noted that it was looked at.
    pub fn with_record(&self, stored: StoredLayer) -> Self {
        let (spec, picture, names) = (self.spec.clone(), self.picture.clone(), self.names.clone());
        Self { spec, stored: Some(stored), picture, came: None, names, parts: self.parts }
    }

    pub fn version(&self) -> u32 {
        self.stored.as_ref().map_or(0, |stored| stored.version)
    }

    /// Works out what the first question and the first tile would have to. Bytes to be kept behind so many packed parts,
    /// where it made something worth keeping.
    pub fn prepare(&self) -> Option<(u32, Vec<u8>)> {
        self.picture.prepare();
        let large = self.picture.len() > KEPT_LEVELS && self.parts > 0;
        self.picture.new_levels().filter(|_| large).map(|levels| (self.parts, levels))
    }

    /// A point on or inside a feature; the origin for one without a shape, which the cache does not hold.
    pub fn point_of(&self, ordinal: u32) -> Coord<f64> {
        self.picture.label_point(ordinal).unwrap_or_default()
    }

    /// The freshness of the features themselves.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        let link = if self.is_kept() { LinkState::Lost } else { LinkState::Up };
        freshness_of(self.provenance().map(|from| from.as_of), self.spec.freshness, link, now)
    }

    pub fn allowed(&self, role: Role) -> bool {
        role >= self.spec.role
    }

    /// The name of a feature, else its id.
    pub fn name_of(&self, ordinal: u32) -> String {
        self.written_name(ordinal).or_else(|| self.picture.id(ordinal)).unwrap_or_default().to_owned()
    }

    /// The name to show: the full official one where there is one ("Phường Trảng Bàng"), else the layer's name field.
    pub fn written_name(&self, ordinal: u32) -> Option<&str> {
        self.picture.text(ordinal, "full_name").or_else(|| self.picture.name(ordinal))
    }
}

/// The spec of a layer that no profile names: what an import found out about it.
pub fn spec_of_stored(stored: &StoredLayer) -> LayerSpec {
    let name_field = ["name", "ten", "title"]
        .iter()
        .find(|name| stored.schema.fields.iter().any(|field| field.name == **name))
        .map_or_else(|| "id".to_owned(), |name| (*name).to_owned());
    let mut fields = stored.schema.fields.clone();
    for field in &mut fields {
        field.label |= field.name == name_field;
    }
    LayerSpec {
        id: stored.schema.id.clone(),
        kind: LayerKind::Other,
        group: String::new(),
        title: stored.schema.title.clone(),
        geometry: stored.schema.geometry,
        file: None,
        feature_source: None,
        collection: None,
        id_field: None,
        map: BTreeMap::new(),
        changed_field: None,
        remote: None,
        live_source: None,
        interval: None,
        freshness: Span::seconds(365 * 86_400),
        as_of: jiff::civil::date(2026, 1, 1),
        provider: stored.provenance.provider.clone(),
        licence: stored.provenance.licence.clone(),
        classification: stored.provenance.classification,
        sample: stored.provenance.sample,
        visible: true,
        opacity: 1.0,
        name_field,
        rest: None,
        sensorthings: None,
        still: None,
        role: if stored.provenance.classification == Classification::Internal { Role::Viewer } else { Role::Guest },
        search: true,
        note: None,
        fields,
        parameters: Vec::new(),
    }
}

/// All layers, in the profile's order, then the imported ones.
pub struct Layers {
    all: ArcSwap<Vec<Arc<Layer>>>,
    /// One writer at a time: a swap reads the old list.
    writing: Mutex<()>,
}

impl Layers {
    pub fn new(all: Vec<Arc<Layer>>) -> Self {
        Self { all: ArcSwap::from_pointee(all), writing: Mutex::new(()) }
    }

    /// The present list; later swaps do not change it.
    pub fn all(&self) -> Arc<Vec<Arc<Layer>>> {
        self.all.load_full()
    }

    pub fn get(&self, id: &LayerId) -> Option<Arc<Layer>> {
        self.all.load().iter().find(|layer| layer.spec.id == *id).cloned()
    }

    /// Puts a layer in place of the one with its id, or at the end. A picture that was built slowly does not replace a
    /// newer one: false then.
    pub fn put(&self, layer: Arc<Layer>) -> bool {
        let _writing = self.writing.lock();
        let mut all = self.all.load().as_ref().clone();
        match all.iter_mut().find(|old| old.spec.id == layer.spec.id) {
            Some(old) if old.version() > layer.version() => return false,
            Some(old) => *old = layer,
            None => all.push(layer),
        }
        self.all.store(Arc::new(all));
        true
    }

    pub fn remove(&self, id: &LayerId) {
        let _writing = self.writing.lock();
        let all = self.all.load().iter().filter(|layer| layer.spec.id != *id).cloned().collect();
        self.all.store(Arc::new(all));
    }

    /// The first layer of a kind whose content is here.
    pub fn of_kind(&self, kind: LayerKind) -> Option<Arc<Layer>> {
        self.all.load().iter().find(|layer| layer.spec.kind == kind && !layer.is_remote()).cloned()
    }
}

/// What an import makes of mixed geometry: the kind all features share, else mixed.
pub fn common_geometry(kinds: impl IntoIterator<Item = GeometryKind>) -> GeometryKind {
    let mut kinds = kinds.into_iter();
    let Some(first) = kinds.next() else { return GeometryKind::Mixed };
    if kinds.all(|kind| kind == first) { first } else { GeometryKind::Mixed }
}
