//! OGC Web Map Service 1.3.0 and 1.1.1 (OGC 06-042, 01-068r3): a picture is asked for each tile, in Web Mercator.
//!
//! Capabilities first, and only what they offer is asked for. All requests go to the address of the profile, whatever
//! addresses the capabilities name.

use super::capabilities::{self, bounds, credit, is_web_mercator, request};
use super::template::bare;
use super::{Description, TileSpec, Way, malformed};
use crate::net::{Client, FetchError, host_of};
use crate::xml::Element;
use model::{BBox, Credit, TileForm};
use url::Url;

/// Half the side of the Web Mercator square, metres.
const HALF: f64 = 20_037_508.342_789_244;
/// Fewer requests than with the usual 256, and names on the picture are cut less often.
const SIZE: u16 = 512;

/// The requests for pictures.
#[derive(Debug, PartialEq)]
pub(super) struct GetMap {
    /// With everything but the box.
    url: Url,
}

impl GetMap {
    pub(super) fn of(&self, z: u8, x: u32, y: u32) -> Url {
        let side = 2.0 * HALF / f64::from(1_u32 << z.min(30));
        let (west, north) = (f64::from(x) * side - HALF, HALF - f64::from(y) * side);
        let mut url = self.url.clone();
        let bbox = format!("{},{},{},{}", west, north - side, west + side, north);
        url.query_pairs_mut().append_pair("BBOX", &bbox);
        url
    }
}

/// A layer that can be asked for, with what it has from those around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) title: String,
    crs: Vec<String>,
    pub(super) styles: Vec<String>,
    bounds: Option<BBox>,
    attribution: Vec<Credit>,
}

/// What a service offers.
#[derive(Debug, PartialEq)]
pub(super) struct Service {
    version: &'static str,
    pub(super) title: Option<String>,
    formats: Vec<String>,
    licence: Option<String>,
    max_size: Option<u64>,
    pub(super) layers: Vec<Layer>,
}

pub(super) async fn open(client: &Client, root: &Url, spec: &TileSpec<'_>) -> Result<(Description, Way), FetchError> {
    let service = service(client, root).await?;
    chosen(root, &service, spec)
}

/// The service's capabilities: of 1.3.0, else in the version that it speaks.
///
/// # Errors
/// As [`capabilities::fetch`]; `malformed` for another version.
pub(super) async fn service(client: &Client, root: &Url) -> Result<Service, FetchError> {
    let url = request(root, &[("SERVICE", "WMS"), ("REQUEST", "GetCapabilities"), ("VERSION", "1.3.0")]);
    let document = capabilities::fetch(client, &url, "WMS", &["WMS_Capabilities", "WMT_MS_Capabilities"]).await?;
    read(&url, &document)
}

fn read(url: &Url, root: &Element) -> Result<Service, FetchError> {
    let version = match root.attribute("version") {
        Some(version) if version.starts_with("1.3") => "1.3.0",
        Some(version) if version.starts_with("1.1") => "1.1.1",
        other => {
            let what = format!("WMS {} is not spoken here, 1.3.0 and 1.1.1 are", other.unwrap_or("without a version"));
            return Err(malformed(url, what));
        }
    };
    let about = root.child("Service");
    let capability = root.child("Capability");
    let get_map = capability.and_then(|found| found.child("Request")).and_then(|found| found.child("GetMap"));
    let mut layers = Vec::new();
    for layer in capability.into_iter().flat_map(|found| found.children("Layer")) {
        gather(layer, &Layer::default(), &mut layers);
    }
    let max = |name| about.and_then(|found| found.worded(name)).and_then(|text| text.parse::<u64>().ok());
    Ok(Service {
        version,
        title: about.and_then(|found| found.worded("Title")).map(super::attribution::plain),
        formats: get_map
            .into_iter()
            .flat_map(|found| found.children("Format"))
            .map(|f| f.text.trim().to_owned())
            .collect(),
        licence: about.and_then(capabilities::licence),
        max_size: max("MaxWidth").into_iter().chain(max("MaxHeight")).min(),
        layers,
    })
}

/// A layer and those below it, which have its systems, styles, box and attribution besides their own.
fn gather(element: &Element, around: &Layer, into: &mut Vec<Layer>) {
    let mut layer = around.clone();
    layer.name = element.worded("Name").unwrap_or_default().to_owned();
    layer.title = element.worded("Title").map(super::attribution::plain).unwrap_or_else(|| layer.name.clone());
    for name in ["CRS", "SRS"] {
        // 1.1.0 wrote several into one element.
        let all = element.children(name).flat_map(|found| found.text.split_whitespace());
        layer.crs.extend(all.map(str::to_owned));
    }
    layer.styles.extend(element.children("Style").filter_map(|style| style.worded("Name")).map(str::to_owned));
    layer.bounds = bounds_of(element).or(layer.bounds);
    if let Some(found) = element.child("Attribution") {
        let link = found.child("OnlineResource").and_then(|link| link.attribute("href"));
        layer.attribution = credit(found.worded("Title").or(link).unwrap_or_default(), link);
    }
    if !layer.name.is_empty() {
        into.push(layer.clone());
    }
    for inner in element.children("Layer") {
        gather(inner, &layer, into);
    }
}

fn bounds_of(layer: &Element) -> Option<BBox> {
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<f64>().ok());
    if let Some(found) = layer.child("EX_GeographicBoundingBox") {
        let side = |name| number(found.text_of(name));
        return bounds(
            side("westBoundLongitude")?,
            side("southBoundLatitude")?,
            side("eastBoundLongitude")?,
            side("northBoundLatitude")?,
        );
    }
    let found = layer.child("LatLonBoundingBox")?;
    let side = |name| number(found.attribute(name));
    bounds(side("minx")?, side("miny")?, side("maxx")?, side("maxy")?)
}

fn chosen(root: &Url, service: &Service, spec: &TileSpec<'_>) -> Result<(Description, Way), FetchError> {
    let names: Vec<&str> = match spec.layer {
        Some(names) => names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect(),
        None => match service.layers.as_slice() {
            [only] => vec![only.name.as_str()],
            _ => Vec::new(),
        },
    };
    let unknown = |name: &str| FetchError::NoCollection {
        host: host_of(root),
        collection: name.to_owned(),
        offers: service.layers.iter().map(|layer| layer.name.clone()).collect(),
    };
    if names.is_empty() {
        return Err(unknown(""));
    }
    let find = |name: &&str| service.layers.iter().find(|layer| layer.name == **name).ok_or_else(|| unknown(name));
    let layers: Vec<&Layer> = names.iter().map(find).collect::<Result<_, _>>()?;
    let offered = |crs: &&String| layers.iter().all(|layer| layer.crs.contains(*crs));
    let first = layers.first().copied().cloned().unwrap_or_default();
    let mut systems: Vec<&String> = first.crs.iter().filter(|crs| is_web_mercator(crs)).filter(offered).collect();
    systems.sort_by_key(|crs| !crs.ends_with(":3857"));
    let Some(crs) = systems.first() else {
        let others: Vec<&str> = first.crs.iter().take(12).map(String::as_str).collect();
        let what = format!(
            "its layer {:?} is not offered in Web Mercator (EPSG:3857) but in {}",
            names.join(","),
            others.join(", ")
        );
        return Err(malformed(root, what));
    };
    if let (Some(style), [layer]) = (spec.style, layers.as_slice())
        && !layer.styles.iter().any(|known| known == style)
    {
        let styles = layer.styles.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        let styles = if styles.is_empty() { "no named style".to_owned() } else { styles };
        return Err(malformed(root, format!("its layer {:?} has no style {style:?} but {styles}", layer.name)));
    }
    let Some((format, form)) = format_of(&service.formats) else {
        let all = service.formats.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(malformed(root, format!("it draws no PNG, WebP or JPEG but {all}")));
    };
    let size = u64::from(SIZE).min(service.max_size.unwrap_or(u64::MAX).max(64));
    let size = u16::try_from(size).unwrap_or(SIZE);
    let system = if service.version == "1.3.0" { "CRS" } else { "SRS" };
    let (layers_text, size_text) = (names.join(","), size.to_string());
    let styles = spec.style.map_or_else(|| ",".repeat(names.len() - 1), str::to_owned);
    let url = request(
        root,
        &[
            ("SERVICE", "WMS"),
            ("VERSION", service.version),
            ("REQUEST", "GetMap"),
            ("LAYERS", layers_text.as_str()),
            ("STYLES", styles.as_str()),
            (system, crs.as_str()),
            ("WIDTH", size_text.as_str()),
            ("HEIGHT", size_text.as_str()),
            ("FORMAT", format),
            ("TRANSPARENT", if form == TileForm::Jpeg { "FALSE" } else { "TRUE" }),
        ],
    );
    let mut attribution: Vec<Credit> = Vec::new();
    for credit in layers.iter().flat_map(|layer| &layer.attribution) {
        if !attribution.contains(credit) {
            attribution.push(credit.clone());
        }
    }
    let whole = layers.iter().map(|layer| layer.bounds).reduce(|a, b| Some(a?.union(b?))).flatten();
    let description = Description {
        title: if layers.len() == 1 { Some(first.title) } else { service.title.clone() },
        tile_size: size,
        bounds: whole,
        attribution,
        licence: service.licence.clone(),
        ..bare(form)
    };
    Ok((description, Way::Wms(GetMap { url })))
}

/// PNG before WebP before JPEG: maps have lines and see-through parts.
fn format_of(formats: &[String]) -> Option<(&str, TileForm)> {
    let plain = |wanted: &str| formats.iter().find(|format| format.eq_ignore_ascii_case(wanted));
    let like = |form| formats.iter().find(|format| TileForm::by_name(format) == Some(form));
    let found = plain("image/png").map(|format| (format, TileForm::Png));
    let found = found.or_else(|| like(TileForm::Png).map(|format| (format, TileForm::Png)));
    let found = found.or_else(|| like(TileForm::Webp).map(|format| (format, TileForm::Webp)));
    let found = found.or_else(|| like(TileForm::Jpeg).map(|format| (format, TileForm::Jpeg)));
    found.map(|(format, form)| (format.as_str(), form))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::document;
    use model::TileProtocol;

    const V1_3: &str = "<WMS_Capabilities version='1.3.0' xmlns='http://www.opengis.net/wms' xmlns:xlink='http://www.w3.org/1999/xlink'>\
        <Service><Title>Bản đồ nền</Title><Fees>none</Fees><AccessConstraints>CC BY 4.0</AccessConstraints><MaxWidth>400</MaxWidth></Service>\
        <Capability><Request><GetMap><Format>image/jpeg</Format><Format>image/png; mode=8bit</Format></GetMap></Request>\
        <Layer><Title>all</Title><CRS>EPSG:4326</CRS><CRS>EPSG:3857</CRS>\
        <Attribution><Title>Sở TN&amp;MT</Title><OnlineResource xlink:href='https://stnmt.example/'/></Attribution>\
        <EX_GeographicBoundingBox><westBoundLongitude>105</westBoundLongitude><eastBoundLongitude>107</eastBoundLongitude>\
        <southBoundLatitude>10</southBoundLatitude><northBoundLatitude>12</northBoundLatitude></EX_GeographicBoundingBox>\
        <Layer><Name>land</Name><Title>Đất</Title><Style><Name>night</Name></Style></Layer><Layer><Name>water</Name></Layer>\
        </Layer></Capability></WMS_Capabilities>";

    fn spec<'a>(layer: Option<&'a str>, style: Option<&'a str>) -> TileSpec<'a> {
        TileSpec { protocol: TileProtocol::Wms, url: "http://h/wms?map=a", layer, style, login: None }
    }

    fn of(text: &str, spec: &TileSpec<'_>) -> Result<(Description, Url), FetchError> {
        let root: Url = spec.url.parse().unwrap();
        let service = read(&root, &document(text.as_bytes()).unwrap())?;
        match chosen(&root, &service, spec)? {
            (description, Way::Wms(get_map)) => Ok((description, get_map.of(1, 1, 0))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_layer_has_what_stands_around_it() {
        let (described, url) = of(V1_3, &spec(Some("land"), Some("night"))).unwrap();
        assert_eq!((described.title.as_deref(), described.form), (Some("Đất"), TileForm::Png));
        assert_eq!(
            described.attribution,
            [Credit { text: "Sở TN&MT".into(), url: Some("https://stnmt.example/".into()) }]
        );
        assert_eq!(described.licence.as_deref(), Some("CC BY 4.0"));
        assert_eq!(described.bounds, Some([105.0, 10.0, 107.0, 12.0].into()));
        assert_eq!(described.tile_size, 400, "the server draws no larger");
        let query: Vec<(String, String)> = url.query_pairs().map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
        let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(value("map"), Some("a"));
        assert_eq!(value("CRS"), Some("EPSG:3857"));
        assert_eq!(value("STYLES"), Some("night"));
        assert_eq!(value("BBOX"), Some("0,0,20037508.342789244,20037508.342789244"));
        let (_, url) = of(V1_3, &spec(Some("land,water"), None)).unwrap();
        assert!(url.as_str().contains("LAYERS=land%2Cwater&STYLES=%2C&"), "{url}");
    }

    #[test]
    fn what_is_not_offered_is_named() {
        let error = of(V1_3, &spec(None, None)).unwrap_err();
        assert!(error.code() == "no_collection" && error.to_string().contains("land, water"), "{error}");
        let error = of(V1_3, &spec(Some("roads"), None)).unwrap_err();
        assert!(error.code() == "no_collection" && error.to_string().contains("roads"), "{error}");
        let error = of(V1_3, &spec(Some("land"), Some("day"))).unwrap_err().to_string();
        assert!(error.contains("\"day\"") && error.contains("night"), "{error}");
        let error = of(&V1_3.replace("EPSG:3857", "EPSG:9209"), &spec(Some("land"), None)).unwrap_err().to_string();
        assert!(error.contains("EPSG:9209") && error.contains("Web Mercator"), "{error}");
        let error = of(&V1_3.replace("image/", "application/"), &spec(Some("land"), None)).unwrap_err().to_string();
        assert!(error.contains("application/jpeg"), "{error}");
    }

    #[test]
    fn the_older_version_is_spoken_with_its_words() {
        let old = "<WMT_MS_Capabilities version='1.1.1'><Service/><Capability><Request><GetMap><Format>image/jpeg</Format>\
            </GetMap></Request><Layer><Name>only</Name><SRS>EPSG:4326 EPSG:900913</SRS>\
            <LatLonBoundingBox minx='105' miny='10' maxx='107' maxy='12'/></Layer></Capability></WMT_MS_Capabilities>";
        let (described, url) = of(old, &spec(None, None)).unwrap();
        assert_eq!((described.form, described.tile_size), (TileForm::Jpeg, 512));
        assert!(url.as_str().contains("VERSION=1.1.1") && url.as_str().contains("SRS=EPSG%3A900913"), "{url}");
        assert!(of(&old.replace("1.1.1", "1.0.0"), &spec(None, None)).unwrap_err().to_string().contains("1.0.0"));
    }
}
