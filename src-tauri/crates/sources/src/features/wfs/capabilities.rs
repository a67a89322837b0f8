//! What a WFS says that it can do, and how its attributes are typed.

use super::super::malformed;
use super::super::recognise::Offer as Listed;
use crate::crs::by_name;
use crate::file::FileCrs;
use crate::net::{FetchError, host_of};
use crate::xml::{Element, document};
use std::collections::HashMap;
use url::Url;

/// The versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1_1,
    V2_0,
}

impl Version {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1.0",
            Self::V2_0 => "2.0.0",
        }
    }
}

/// What a layer's requests are made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offer {
    pub(super) version: Version,
    /// The feature type as the server writes it.
    pub(super) type_name: String,
    /// The format that is asked for; `None` for the server's own GML.
    pub(super) json: Option<String>,
    /// The system that is asked for, where it is not the default one.
    pub(super) srs: Option<String>,
    /// The system that comes when the answer does not say.
    pub(super) assumed_srs: String,
    /// `startIndex` is understood.
    pub(super) paging: bool,
    pub(super) describes: bool,
}

fn capabilities(url: &Url, bytes: &[u8]) -> Result<Element, FetchError> {
    let root = document(bytes).map_err(|reason| malformed(url, format!("no capabilities came: {reason}")))?;
    refuse_exceptions(url, &root)?;
    if root.name != "WFS_Capabilities" {
        return Err(malformed(url, format!("a {:?} came instead of the capabilities of a WFS", root.name)));
    }
    Ok(root)
}

fn types_of(root: &Element) -> Vec<&Element> {
    root.child("FeatureTypeList").map(|list| list.children("FeatureType").collect()).unwrap_or_default()
}

/// What the service calls itself, and its feature types.
///
/// # Errors
/// As [`read`].
pub(super) fn list(url: &Url, bytes: &[u8]) -> Result<(Option<String>, Vec<Listed>), FetchError> {
    let root = capabilities(url, bytes)?;
    let about = root.child("ServiceIdentification");
    let title = about.and_then(|about| about.text_of("Title")).filter(|title| !title.is_empty()).map(str::to_owned);
    let listed = types_of(&root).into_iter().filter_map(|found| {
        let name = found.text_of("Name")?;
        let title = found.text_of("Title").filter(|title| !title.is_empty()).unwrap_or(name);
        Some(Listed { collection: Some(name.to_owned()), title: title.to_owned(), features: None })
    });
    Ok((title, listed.collect()))
}

/// Reads a capabilities document for one feature type.
///
/// # Errors
/// `service_refuses` for an exception report; `no_collection`; `malformed` for another version or nothing but unknown
/// systems.
pub(super) fn read(url: &Url, bytes: &[u8], wanted: &str) -> Result<Offer, FetchError> {
    let root = capabilities(url, bytes)?;
    let version = match root.attribute("version") {
        Some(version) if version.starts_with("2.") => Version::V2_0,
        Some(version) if version.starts_with("1.1") => Version::V1_1,
        other => {
            let what = format!("WFS {} is not spoken here, 2.0 and 1.1 are", other.unwrap_or("without a version"));
            return Err(malformed(url, what));
        }
    };
    let types = types_of(&root);
    let feature_type = choose(&types, wanted).ok_or_else(|| FetchError::NoCollection {
        host: host_of(url),
        collection: wanted.to_owned(),
        offers: types.iter().filter_map(|found| found.text_of("Name")).map(str::to_owned).collect(),
    })?;
    let metadata = root.child("OperationsMetadata");
    let operation = |name: &str| {
        metadata.and_then(|all| all.children("Operation").find(|found| found.attribute("name") == Some(name)))
    };
    let get_feature = operation("GetFeature");
    let mut formats: Vec<String> = Vec::new();
    let of_operation = get_feature
        .and_then(|found| found.children("Parameter").find(|one| one.attribute("name") == Some("outputFormat")));
    for list in feature_type.child("OutputFormats").into_iter().chain(of_operation) {
        list.visit(&mut |found| {
            if matches!(found.name.as_str(), "Value" | "Format") {
                formats.push(found.text.trim().to_owned());
            }
        });
    }
    let is_true = |constraint: &Element| {
        let said = constraint.text_of("DefaultValue").map(str::to_owned);
        said.unwrap_or_else(|| constraint.all_text()).eq_ignore_ascii_case("true")
    };
    let constraints = [metadata, get_feature].into_iter().flatten().flat_map(|around| around.children("Constraint"));
    let paging = version == Version::V2_0
        && constraints.filter(|one| one.attribute("name") == Some("ImplementsResultPaging")).any(is_true);
    let (srs, assumed_srs) = system(url, feature_type)?;
    Ok(Offer {
        version,
        type_name: feature_type.text_of("Name").unwrap_or_default().to_owned(),
        json: json_of(&formats),
        srs,
        assumed_srs,
        paging,
        describes: operation("DescribeFeatureType").is_some(),
    })
}

/// By the whole name, or by what stands behind the prefix where that is no question.
fn choose<'a>(types: &[&'a Element], wanted: &str) -> Option<&'a Element> {
    let named = |found: &&&Element| found.text_of("Name") == Some(wanted);
    if let Some(exact) = types.iter().find(named) {
        return Some(exact);
    }
    let mut alike = types.iter().filter(|found| found.text_of("Name").is_some_and(|name| local(name) == wanted));
    let only = alike.next()?;
    alike.next().is_none().then_some(only)
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn json_of(formats: &[String]) -> Option<String> {
    let known = |wanted: &str| formats.iter().find(|format| format.to_ascii_lowercase() == wanted);
    let geo = || {
        formats.iter().find(|format| {
            let format = format.to_ascii_lowercase();
            (format.contains("geojson") || format.contains("geo+json")) && !format.contains("csv")
        })
    };
    ["application/geo+json", "application/json", "json"].into_iter().find_map(known).or_else(geo).cloned()
}

/// The system to ask for, if any, and the one that comes: degrees if they are offered, else the default if it is known.
fn system(url: &Url, feature_type: &Element) -> Result<(Option<String>, String), FetchError> {
    let all = |names: [&'static str; 2]| {
        let found = names.into_iter().flat_map(|name| feature_type.children(name));
        found.map(|element| element.text.trim().to_owned()).filter(|name| !name.is_empty())
    };
    // A server that names none means WGS84, as WFS has it for its bounding boxes.
    let default = all(["DefaultCRS", "DefaultSRS"]).next().unwrap_or_else(|| "urn:ogc:def:crs:EPSG::4326".into());
    let others: Vec<String> = all(["OtherCRS", "OtherSRS"]).collect();
    let epsg = |name: &String| match by_name(name) {
        FileCrs::Epsg(epsg) if geodesy::is_known(epsg) => Some(epsg),
        _ => None,
    };
    if epsg(&default) == Some(4326) {
        return Ok((None, default));
    }
    if let Some(degrees) = others.iter().find(|name| epsg(name) == Some(4326)) {
        return Ok((Some(degrees.clone()), degrees.clone()));
    }
    if epsg(&default).is_some() {
        return Ok((None, default));
    }
    match others.into_iter().find(|name| epsg(name).is_some()) {
        Some(known) => Ok((Some(known.clone()), known)),
        None => {
            Err(malformed(url, format!("its coordinate system {default:?} is not known here, and it offers no other")))
        }
    }
}

/// An exception report, which comes with status 200 as often as not.
pub(super) fn refuse_exceptions(url: &Url, root: &Element) -> Result<(), FetchError> {
    if !matches!(root.name.as_str(), "ExceptionReport" | "ServiceExceptionReport") {
        return Ok(());
    }
    let exception = root.children.iter().find(|child| matches!(child.name.as_str(), "Exception" | "ServiceException"));
    let code = exception.and_then(|found| found.attribute("exceptionCode").or_else(|| found.attribute("code")));
    let reason: String = exception.map(Element::all_text).unwrap_or_default().chars().take(300).collect();
    Err(FetchError::Service { host: host_of(url), code: code.unwrap_or("exception").to_owned(), reason })
}

/// How an attribute is to be read from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Boolean,
    Text,
}

/// The types of the attributes by a schema (`DescribeFeatureType`). What it does not say stays text.
pub(super) fn kinds(schema: &Element) -> HashMap<String, Kind> {
    let mut kinds = HashMap::new();
    schema.visit(&mut |found| {
        if found.name != "element" {
            return;
        }
        let Some(name) = found.attribute("name") else { return };
        let mut base = found.attribute("type").map(str::to_owned);
        if base.is_none() {
            found.visit(&mut |inner| {
                if inner.name == "restriction" && base.is_none() {
                    base = inner.attribute("base").map(str::to_owned);
                }
            });
        }
        let kind = match local(base.as_deref().unwrap_or_default()) {
            "int" | "integer" | "long" | "short" | "byte" | "unsignedInt" | "unsignedLong" | "unsignedShort"
            | "unsignedByte" | "nonNegativeInteger" | "positiveInteger" => Kind::Integer,
            "double" | "float" | "decimal" => Kind::Real,
            "boolean" => Kind::Boolean,
            _ => Kind::Text,
        };
        kinds.insert(name.to_owned(), kind);
    });
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        "http://wfs.example/ows".parse().unwrap()
    }

    fn capabilities(version: &str, types: &str, operations: &str) -> String {
        format!(
            "<wfs:WFS_Capabilities version='{version}' xmlns:wfs='http://www.opengis.net/wfs/2.0' xmlns:ows='http://www.opengis.net/ows/1.1'>\
             <ows:OperationsMetadata>{operations}</ows:OperationsMetadata><wfs:FeatureTypeList>{types}</wfs:FeatureTypeList></wfs:WFS_Capabilities>"
        )
    }

    fn feature_type(name: &str, systems: &str) -> String {
        format!("<wfs:FeatureType><wfs:Name>{name}</wfs:Name>{systems}</wfs:FeatureType>")
    }

    #[test]
    fn offers_are_read_from_both_versions() {
        let types = feature_type(
            "tn:communes",
            "<wfs:DefaultCRS>urn:ogc:def:crs:EPSG::9209</wfs:DefaultCRS><wfs:OtherCRS>urn:ogc:def:crs:EPSG::4326</wfs:OtherCRS>",
        );
        let operations = "<ows:Operation name='DescribeFeatureType'/><ows:Operation name='GetFeature'><ows:Parameter name='outputFormat'><ows:AllowedValues>\
            <ows:Value>application/gml+xml; version=3.2</ows:Value><ows:Value>application/json; subtype=geojson</ows:Value></ows:AllowedValues></ows:Parameter></ows:Operation>\
            <ows:Constraint name='ImplementsResultPaging'><ows:NoValues/><ows:DefaultValue>TRUE</ows:DefaultValue></ows:Constraint>";
        let offer = read(&url(), capabilities("2.0.0", &types, operations).as_bytes(), "communes").unwrap();
        assert_eq!(
            offer,
            Offer {
                version: Version::V2_0,
                type_name: "tn:communes".into(),
                json: Some("application/json; subtype=geojson".into()),
                srs: Some("urn:ogc:def:crs:EPSG::4326".into()),
                assumed_srs: "urn:ogc:def:crs:EPSG::4326".into(),
                paging: true,
                describes: true,
            }
        );
        let types = feature_type(
            "communes",
            "<wfs:DefaultSRS>EPSG:9209</wfs:DefaultSRS><wfs:OutputFormats><wfs:Format>text/xml; subtype=gml/3.1.1</wfs:Format></wfs:OutputFormats>",
        );
        let offer = read(&url(), capabilities("1.1.0", &types, "").as_bytes(), "communes").unwrap();
        assert_eq!((offer.version, offer.json, offer.srs, offer.paging), (Version::V1_1, None, None, false));
        assert_eq!(offer.assumed_srs, "EPSG:9209");
    }

    #[test]
    fn what_is_not_offered_is_named() {
        let two = [feature_type("a:roads", ""), feature_type("b:roads", "")].concat();
        let unknown = feature_type("roads", "<wfs:DefaultCRS>urn:ogc:def:crs:EPSG::27700</wfs:DefaultCRS>");
        for (text, code, word) in [
            (capabilities("2.0.0", &two, ""), "no_collection", "a:roads, b:roads"),
            (capabilities("1.0.0", &two, ""), "malformed", "1.0.0"),
            (capabilities("2.0.0", &unknown, ""), "malformed", "27700"),
            ("<html><body>x</body></html>".into(), "malformed", "html"),
            (
                "<ServiceExceptionReport><ServiceException code='InvalidParameterValue'>no such map</ServiceException></ServiceExceptionReport>".into(),
                "service_refuses",
                "no such map (InvalidParameterValue)",
            ),
        ] {
            let error = read(&url(), text.as_bytes(), "roads").unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn attributes_have_the_types_of_the_schema() {
        let schema = document(
            b"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='communes' type='tn:communesType'/><xs:complexType name='communesType'><xs:sequence>\
              <xs:element name='area_km2' type='xs:double'/><xs:element name='pupils'><xs:simpleType><xs:restriction base='xs:integer'/></xs:simpleType></xs:element>\
              <xs:element name='sample' type='xs:boolean'/><xs:element name='code' type='xs:string'/></xs:sequence></xs:complexType></xs:schema>",
        )
        .unwrap();
        let kinds = kinds(&schema);
        let of = |name: &str| kinds.get(name).copied();
        assert_eq!(
            [of("area_km2"), of("pupils"), of("sample"), of("code")],
            [Kind::Real, Kind::Integer, Kind::Boolean, Kind::Text].map(Some)
        );
    }
}
