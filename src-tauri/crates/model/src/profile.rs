//! The province profile: one TOML file that names layers, sources and coordinate systems. See `maps/schema/profile.md`.

use crate::{BasemapSpec, Credentials, LayerId, LayerSpec, Span, Title};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A VN-2000 system in use in the province.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct CrsChoice {
    pub epsg: u32,
    /// Central meridian as written on papers, for example `105°30′`.
    pub meridian: String,
    /// Where it is used.
    pub area: Title,
}

/// A heading of the layer panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub id: String,
    pub title: Title,
}

/// The protocol a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    OgcApiFeatures,
    /// GeoJSON or a table, as a file over HTTP.
    File,
    /// OGC Web Feature Service 2.0 or 1.1.
    Wfs,
    /// A layer of an ArcGIS FeatureServer or MapServer.
    #[serde(rename = "arcgis")]
    ArcGis,
    #[serde(rename = "sensorthings")]
    SensorThings,
    /// Public warnings by CAP 1.2, single or in an Atom or RSS feed.
    Cap,
    /// Station files of Circular 10/2021/TT-BTNMT in a folder.
    StationFolder,
    /// A JSON service, of which the layer's `rest` says what stands where.
    Rest,
    /// A table or view of a PostgreSQL database with PostGIS.
    #[serde(rename = "postgis")]
    PostGis,
    /// GeoJSON features that an MQTT broker keeps, one retained message each.
    Mqtt,
}

impl Protocol {
    /// The word as it stands in profiles.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OgcApiFeatures => "ogc-api-features",
            Self::File => "file",
            Self::Wfs => "wfs",
            Self::ArcGis => "arcgis",
            Self::SensorThings => "sensorthings",
            Self::Cap => "cap",
            Self::StationFolder => "station-folder",
            Self::Rest => "rest",
            Self::PostGis => "postgis",
            Self::Mqtt => "mqtt",
        }
    }
}

/// A system that layers are fetched from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    pub id: String,
    pub protocol: Protocol,
    pub title: Title,
    /// Service root; `file:///FOLDER`, `ftp://`, `ftps://` or `sftp://` for station files. `practice:` in front stands for the practice data centre's address.
    pub url: String,
    /// Server-sent events of what changed, where the source offers them.
    #[serde(default)]
    pub events: Option<String>,
    /// A broker that sends each observation as it is made, `mqtt://` or `mqtts://`, listened to in place of `events`; beside
    /// services of features one that tells of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<String>,
    /// The agreed poll period.
    pub every: Span,
    #[serde(default)]
    pub practice: bool,
    /// For sources that do not answer everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The fingerprint of the server's SSH key, `SHA256:…`, for addresses with `sftp://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
}

/// A province: everything that differs from one province to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub id: String,
    pub code: String,
    pub title: Title,
    pub timezone: String,
    /// West, south, east, north in degrees.
    pub bbox: [f64; 4],
    pub center: [f64; 2],
    pub area_km2: f64,
    pub population: u64,
    pub in_force: jiff::civil::Date,
    #[serde(default)]
    pub default_layer: Option<LayerId>,
    #[serde(default)]
    pub crs: Vec<CrsChoice>,
    pub groups: Vec<Group>,
    #[serde(default)]
    pub sources: Vec<SourceSpec>,
    pub layers: Vec<LayerSpec>,
    /// Maps of others that can lie under the layers.
    #[serde(default)]
    pub basemaps: Vec<BasemapSpec>,
    /// The sources among them that were added at a desk.
    #[serde(skip)]
    pub added: Vec<String>,
    /// The base maps among them that were added at a desk.
    #[serde(skip)]
    pub added_basemaps: Vec<String>,
}

/// What a desk adds to its province's profile: systems of its own, the layers they fill, and layers of the profile that
/// they fill instead. One TOML file, `HOME/sources.toml`, in the profile's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Additions {
    pub sources: Vec<SourceSpec>,
    pub layers: Vec<LayerSpec>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub basemaps: Vec<BasemapSpec>,
}

impl Additions {
    /// # Errors
    /// TOML faults with line and column.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        Ok(toml::from_str(text)?)
    }

    /// The text that [`Additions::from_toml`] reads.
    ///
    /// # Errors
    /// What TOML cannot say: a number that is none.
    pub fn to_toml(&self) -> Result<String, ProfileError> {
        toml::to_string_pretty(self)
            .map_err(|error| ProfileError::Invalid { field: "sources.toml".into(), problem: error.to_string() })
    }
}

/// What is wrong with a profile. The message names the place and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("profile.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("profile.toml: layer {layer:?}: {field} names {value:?}, which the profile does not declare")]
    Unknown { layer: String, field: &'static str, value: String },
    #[error("profile.toml: {what} {id:?} stands twice; give each its own id")]
    Twice { what: &'static str, id: String },
    #[error("profile.toml: {field}: {problem}")]
    Invalid { field: String, problem: String },
}

impl Profile {
    /// Reads and checks a profile's text.
    ///
    /// # Errors
    /// TOML faults with line and column; ids that stand twice; layers that name an unknown group or source; a bounding
    /// box that is none; an unknown time zone.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)?;
        profile.check()?;
        Ok(profile)
    }

    /// The profile with what a desk adds: a layer in place of the one with its id, or behind the others.
    ///
    /// # Errors
    /// As [`Profile::from_toml`]; a source's id that the profile has already stands twice.
    pub fn with(mut self, additions: &Additions) -> Result<Self, ProfileError> {
        once("layer", additions.layers.iter().map(|layer| layer.id.as_str()))?;
        self.sources.extend(additions.sources.iter().cloned());
        self.added = additions.sources.iter().map(|source| source.id.clone()).collect();
        self.basemaps.extend(additions.basemaps.iter().cloned());
        self.added_basemaps = additions.basemaps.iter().map(|basemap| basemap.id.clone()).collect();
        for layer in &additions.layers {
            match self.layers.iter_mut().find(|own| own.id == layer.id) {
                Some(own) => own.clone_from(layer),
                None => self.layers.push(layer.clone()),
            }
        }
        self.check()?;
        Ok(self)
    }

    pub fn layer(&self, id: &str) -> Option<&LayerSpec> {
        self.layers.iter().find(|layer| layer.id.as_str() == id)
    }

    /// True for a source that a desk added.
    pub fn is_added(&self, source: &str) -> bool {
        self.added.iter().any(|added| added == source)
    }

    pub fn source(&self, id: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.id == id)
    }

    pub fn basemap(&self, id: &str) -> Option<&BasemapSpec> {
        self.basemaps.iter().find(|basemap| basemap.id == id)
    }

    /// Who names which secret: the id of a source or base map, and the name that its secret is kept under.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_sources = self.sources.iter().map(|source| (source.id.as_str(), source.credentials.as_ref()));
        let of_basemaps = self.basemaps.iter().map(|basemap| (basemap.id.as_str(), basemap.credentials.as_ref()));
        of_sources.chain(of_basemaps).filter_map(|(id, credentials)| Some((id, credentials?.secret())))
    }

    fn check(&self) -> Result<(), ProfileError> {
        let [w, s, e, n] = self.bbox;
        let on_earth = w.abs() <= 180.0 && e.abs() <= 180.0 && s.abs() <= 90.0 && n.abs() <= 90.0;
        if !(w < e && s < n && on_earth) {
            return Err(ProfileError::Invalid {
                field: "bbox".into(),
                problem: format!("{:?} is not west, south, east, north in degrees", self.bbox),
            });
        }
        if jiff::tz::TimeZone::get(&self.timezone).is_err() {
            return Err(ProfileError::Invalid {
                field: "timezone".into(),
                problem: format!("{:?} is no IANA time zone, for example \"Asia/Ho_Chi_Minh\"", self.timezone),
            });
        }
        once("group", self.groups.iter().map(|group| group.id.as_str()))?;
        once("source", self.sources.iter().map(|source| source.id.as_str()))?;
        once("layer", self.layers.iter().map(|layer| layer.id.as_str()))?;
        once("base map", self.basemaps.iter().map(|basemap| basemap.id.as_str()))?;
        for basemap in &self.basemaps {
            if let Some((field, problem)) = basemap.fault() {
                return Err(ProfileError::Invalid { field: format!("basemaps.{}.{field}", basemap.id), problem });
            }
        }
        for source in &self.sources {
            if let Some((field, problem)) = source.credentials_fault() {
                return Err(ProfileError::Invalid { field: format!("sources.{}.{field}", source.id), problem });
            }
        }
        for source in self.sources.iter().filter(|source| source.protocol == Protocol::StationFolder) {
            let known = ["file:///", "ftp://", "ftps://", "sftp://"];
            if !known.iter().any(|start| source.url.starts_with(start)) {
                return Err(ProfileError::Invalid {
                    field: format!("sources.{}.url", source.id),
                    problem: format!(
                        "{:?} is no folder; write \"file:///srv/stations\" or \"sftp://host/srv/stations\"",
                        source.url
                    ),
                });
            }
        }
        for source in self.sources.iter().filter(|source| source.protocol == Protocol::PostGis) {
            if let Some(problem) = database_problem(&source.url) {
                return Err(ProfileError::Invalid {
                    field: format!("sources.{}.url", source.id),
                    problem: problem.into(),
                });
            }
        }
        for source in &self.sources {
            let own = (source.protocol == Protocol::Mqtt).then_some(("url", source.url.as_str()));
            let beside = source.mqtt.as_deref().map(|url| ("mqtt", url));
            for (field, url) in own.into_iter().chain(beside) {
                if let Some(problem) = broker_problem(url) {
                    let field = format!("sources.{}.{field}", source.id);
                    return Err(ProfileError::Invalid { field, problem: problem.into() });
                }
            }
        }
        for layer in &self.layers {
            let unknown =
                |field, value: &str| ProfileError::Unknown { layer: layer.id.to_string(), field, value: value.into() };
            if !self.groups.iter().any(|group| group.id == layer.group) {
                return Err(unknown("group", &layer.group));
            }
            for (field, source) in [("feature_source", &layer.feature_source), ("live_source", &layer.live_source)] {
                if let Some(source) = source.as_ref().filter(|id| self.source(id).is_none()) {
                    return Err(unknown(field, source));
                }
            }
            if let Some((field, problem)) = layer.rest.as_ref().and_then(crate::RestMapping::fault) {
                return Err(ProfileError::Invalid { field: format!("layers.{}.rest.{field}", layer.id), problem });
            }
            let of_rest = layer.feature_source.as_ref().and_then(|id| self.source(id));
            if layer.rest.is_none() && of_rest.is_some_and(|source| source.protocol == Protocol::Rest) {
                return Err(ProfileError::Invalid {
                    field: format!("layers.{}.rest", layer.id),
                    problem: "its source speaks `rest`: write under [layers.rest] what stands where".into(),
                });
            }
            let mapped = layer.sensorthings.iter().flat_map(|mapping| mapping.parameters.keys());
            if let Some(code) = mapped.into_iter().find(|code| layer.parameter(code).is_none()) {
                return Err(unknown("sensorthings.parameters", code));
            }
            let source = layer.feature_source.as_ref().and_then(|id| self.source(id));
            if let Some((field, problem)) = layer.remote.as_ref().and_then(|remote| remote.fault(layer, source)) {
                return Err(ProfileError::Invalid { field: format!("layers.{}.{field}", layer.id), problem });
            }
            if layer.still.as_deref().is_some_and(crate::holds_login) {
                return Err(ProfileError::Invalid {
                    field: format!("layers.{}.still", layer.id),
                    problem: "the address carries a user or a password; leave them out".into(),
                });
            }
            if !(0.0..=1.0).contains(&layer.opacity) {
                return Err(ProfileError::Invalid {
                    field: format!("layers.{}.opacity", layer.id),
                    problem: format!("{} is not between 0 and 1", layer.opacity),
                });
            }
        }
        Ok(())
    }
}

/// What is wrong with the address of a broker, as [`database_problem`].
fn broker_problem(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("mqtts://")) else {
        return Some("it is no address of a broker; write \"mqtts://host:8883\"");
    };
    rest.contains('@').then_some("neither user nor password stand in it; name them under credentials")
}

/// What is wrong with the address of a database. The address itself is not shown: it may hold a password.
fn database_problem(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
        return Some("it is no address of a database; write \"postgres://host:5432/database\"");
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let in_front = place.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    let behind = query.split('&').any(|pair| pair.starts_with("password="));
    (in_front || behind).then_some(
        "a password must not stand in it; name the user and the secret under credentials, and keep the password there",
    )
}

fn once<'a>(what: &'static str, ids: impl Iterator<Item = &'a str>) -> Result<(), ProfileError> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(ProfileError::Twice { what, id: id.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        id = "x"
        code = "1"
        title = { vi = "X", en = "X" }
        timezone = "Asia/Ho_Chi_Minh"
        bbox = [105.0, 10.0, 107.0, 12.0]
        center = [106.0, 11.0]
        area_km2 = 1.0
        population = 1
        in_force = "2025-07-01"
        [[groups]]
        id = "base"
        title = { vi = "Nền", en = "Base" }
        [[layers]]
        id = "communes"
        kind = "communes"
        group = "base"
        title = { vi = "Xã", en = "Communes" }
        geometry = "polygon"
        file = "data/communes.geojson"
        freshness = "365d"
        as_of = "2026-11-01"
        provider = { vi = "a", en = "b" }
        licence = "MIT"
        name_field = "name"
    "#;

    #[test]
    fn small_profile_reads() {
        let profile = Profile::from_toml(SMALL).unwrap();
        assert_eq!(profile.layers[0].opacity, 1.0);
        assert_eq!(profile.layer("communes").unwrap().group, "base");
    }

    #[test]
    fn credentials_are_named_and_never_written_down() {
        let with = |lines: &str| {
            let source =
                "[[sources]]\nid = \"s\"\nprotocol = \"file\"\ntitle = { vi = \"a\", en = \"b\" }\nevery = \"1h\"";
            Profile::from_toml(&format!("{SMALL}\n{source}\n{lines}"))
        };
        let url = "url = \"https://h/x\"";
        let good = [
            r#"{ kind = "basic", user = "tay-ninh", secret = "so-y-te" }"#,
            r#"{ kind = "api-key", header = "X-Api-Key", secret = "key" }"#,
            r#"{ kind = "bearer", secret = "token" }"#,
            r#"{ kind = "client-credentials", token_url = "https://h/token", client_id = "a", secret = "s" }"#,
        ];
        for credentials in good {
            assert!(with(&format!("{url}\ncredentials = {credentials}")).is_ok(), "{credentials}");
        }
        let bad = [
            ("url = \"https://me:s3cret@h/x\"".to_owned(), "sources.s.url"),
            (format!("{url}\nevents = \"https://s3cret@h/x\""), "sources.s.events"),
            (format!("{url}\ncredentials = {}", good[2].replace("token", "S3cret!")), "credentials.secret"),
            (format!("{url}\ncredentials = {}", good[1].replace("X-Api-Key", "X Key")), "credentials.header"),
            (format!("{url}\ncredentials = {}", good[3].replace("https://h", "https://a:s3cret@h")), "token_url"),
            (format!("{url}\ncredentials = {}", good[3].replace("https:", "ftp:")), "credentials.token_url"),
        ];
        for (lines, field) in bad {
            let error = with(&lines).unwrap_err().to_string();
            assert!(error.contains(field) && !error.to_lowercase().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn layer_of_a_rest_source_says_what_stands_where() {
        let source = "[[sources]]\nid = \"s\"\nprotocol = \"rest\"\ntitle = { vi = \"a\", en = \"b\" }\nurl = \"https://h/\"\nevery = \"1h\"";
        let with = |mapping: &str| {
            let layer = SMALL.replace("name_field = \"name\"", "name_field = \"name\"\nfeature_source = \"s\"");
            Profile::from_toml(&format!("{layer}\n{mapping}\n{source}"))
        };
        let profile = with("[layers.rest]\nready = \"ngsi-ld\"").unwrap();
        assert!(profile.layers[0].rest.is_some());
        for (mapping, word) in [
            ("", "layers.communes.rest"),
            ("[layers.rest]\nitems = \"$.a\"", "layers.communes.rest.id"),
            ("[layers.rest]\nitems = \"$.a[\"", "TOML parse error at line"),
            ("[layers.rest]\nready = \"ngsi\"", "ngsi-ld"),
        ] {
            let error = with(mapping).unwrap_err().to_string();
            assert!(error.contains(word), "{mapping}: {error}");
        }
    }

    #[test]
    fn a_layer_that_stays_in_the_data_centre_has_a_service_and_nothing_to_be_kept() {
        let with = |layer: &str, remote: &str, protocol: &str| {
            let source = format!(
                "[[sources]]\nid = \"s\"\nprotocol = \"{protocol}\"\ntitle = {{ vi = \"a\", en = \"b\" }}\nurl = \"https://h/\"\nevery = \"1h\""
            );
            let file = "file = \"data/communes.geojson\"";
            Profile::from_toml(&format!("{}\n[layers.remote]\n{remote}\n{source}", SMALL.replace(file, layer)))
        };
        let asked = "feature_source = \"s\"";
        let profile = with(asked, "tiles = \"https://h/parcels\"", "ogc-api-features").unwrap();
        let layer = &profile.layers[0];
        let remote = layer.remote.as_ref().unwrap();
        assert_eq!(remote.name_in_tiles(layer), "communes");
        let named =
            with(asked, "tiles = \"https://h/p\"\ntile_layer = \"xa\"\nfilter = \"cql-text\"", "ogc-api-features")
                .unwrap();
        let remote = named.layers[0].remote.as_ref().unwrap();
        assert_eq!(remote.name_in_tiles(&named.layers[0]), "xa");
        assert_eq!(remote.filter, Some(crate::FilterLanguage::CqlText));
        for (layer, remote, protocol, word) in [
            ("", "tiles = \"https://h/p\"", "ogc-api-features", "communes.feature_source"),
            (asked, "tiles = \"https://h/p\"", "wfs", "\"wfs\""),
            (asked, "tiles = \"h/p\"", "ogc-api-features", "communes.remote.tiles"),
            (asked, "tiles = \"https://a:s3cret@h/p\"", "ogc-api-features", "communes.remote.tiles"),
            (asked, "tiles = \"https://h/p\"\nfilter = \"sql\"", "ogc-api-features", "cql-text"),
            ("file = \"a\"\nfeature_source = \"s\"", "tiles = \"https://h/p\"", "ogc-api-features", "communes.file"),
            (&format!("{asked}\nlive_source = \"s\""), "tiles = \"https://h/p\"", "ogc-api-features", "live_source"),
        ] {
            let error = with(layer, remote, protocol).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("s3cret"), "{layer} {remote}: {error}");
        }
    }

    #[test]
    fn a_password_in_the_address_of_a_database_is_refused_and_not_shown() {
        let check = |url: &str| {
            let source = format!(
                "[[sources]]\nid = \"db\"\nprotocol = \"postgis\"\ntitle = {{ vi = \"X\", en = \"X\" }}\n\
                 url = \"{url}\"\nevery = \"10m\"\n[[layers]]"
            );
            Profile::from_toml(&SMALL.replace("[[layers]]", &source)).map(|_| ()).map_err(|error| error.to_string())
        };
        for url in [
            "postgres://db.example:5432/land?sslmode=require",
            "postgresql://db.example/land",
            "postgres://reader@db.example/land",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in ["postgres://reader:geheim@db.example/land", "postgres://db.example/land?password=geheim"] {
            let error = check(url).unwrap_err();
            assert!(error.contains("sources.db.url"), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
        assert!(check("https://db.example/land").unwrap_err().contains("postgres://"));
        assert_eq!(broker_problem("mqtts://broker.example:8883/v1.1"), None);
        let of_broker = |url: &str| {
            let source = format!(
                "[[sources]]\nid = \"b\"\nprotocol = \"mqtt\"\ntitle = {{ vi = \"X\", en = \"X\" }}\n\
                 url = \"{url}\"\nevery = \"10m\"\n[[layers]]"
            );
            Profile::from_toml(&SMALL.replace("[[layers]]", &source)).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(of_broker("mqtts://broker.example/tayninh"), Ok(()));
        assert!(of_broker("https://broker.example").unwrap_err().contains("sources.b.url"));
        assert!(broker_problem("mqtt://u:geheim@broker.example").is_some_and(|said| said.contains("credentials")));
        assert!(broker_problem("broker.example").is_some());
    }

    #[test]
    fn faults_are_named() {
        for (from, to, word) in [
            ("group = \"base\"", "group = \"bse\"", "bse"),
            ("Asia/Ho_Chi_Minh", "Asia/Saigone", "timezone"),
            ("[105.0, 10.0, 107.0, 12.0]", "[107.0, 10.0, 105.0, 12.0]", "bbox"),
            ("kind = \"communes\"", "kind = \"comunes\"", "comunes"),
            ("freshness = \"365d\"", "freshness = \"1 year\"", "1 year"),
            ("id = \"communes\"", "id = \"Communes\"", "Communes"),
        ] {
            let error = Profile::from_toml(&SMALL.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(word), "{to}: {error}");
        }
    }
}
