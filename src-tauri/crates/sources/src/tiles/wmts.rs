//! OGC Web Map Tile Service 1.0.0 (OGC 07-057r7): tiles of a Web Mercator matrix set, by address template or by query.

use super::capabilities::{self, bounds, is_web_mercator, parameter, request};
use super::template::{Addresses, bare, replace};
use super::{Description, TileSpec, Way, malformed, tilejson};
use crate::net::{Client, FetchError, host_of};
use crate::xml::Element;
use model::{BBox, TileForm};
use std::collections::HashMap;
use url::Url;

/// Metres around the equator of Web Mercator.
const AROUND: f64 = 40_075_016.685_578_49;
/// A pixel of the standard, metres.
const PIXEL: f64 = 0.000_28;

/// A layer that can be asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) styles: Vec<String>,
    default_style: Option<String>,
    formats: Vec<String>,
    sets: Vec<String>,
    /// Name and the value to ask with.
    dimensions: Vec<(String, String)>,
    /// Media type and template.
    addresses: Vec<(String, String)>,
    bounds: Option<BBox>,
}

/// The zooms of a Mercator matrix set.
#[derive(Clone, Debug, PartialEq)]
struct MatrixSet {
    name: String,
    matrices: HashMap<u8, String>,
    tile_size: u16,
}

/// What a service offers.
#[derive(Debug, PartialEq)]
pub(super) struct Service {
    pub(super) title: Option<String>,
    attribution: Vec<model::Credit>,
    licence: Option<String>,
    pub(super) layers: Vec<Layer>,
    sets: Vec<MatrixSet>,
}

pub(super) async fn open(client: &Client, root: &Url, spec: &TileSpec<'_>) -> Result<(Description, Way), FetchError> {
    let (url, service) = service(client, root).await?;
    chosen(&url, root, &service, spec)
}

/// The capabilities: the document at the address when that is one, else by query.
///
/// # Errors
/// As [`capabilities::fetch`].
pub(super) async fn service(client: &Client, root: &Url) -> Result<(Url, Service), FetchError> {
    let is_document = root.path().to_ascii_lowercase().ends_with(".xml") && parameter(root, "request").is_none();
    let url = if is_document {
        root.clone()
    } else {
        request(root, &[("SERVICE", "WMTS"), ("REQUEST", "GetCapabilities"), ("VERSION", "1.0.0")])
    };
    let document = capabilities::fetch(client, &url, "WMTS", &["Capabilities"]).await?;
    let service = read(&url, &document)?;
    Ok((url, service))
}

fn read(url: &Url, root: &Element) -> Result<Service, FetchError> {
    let Some(contents) = root.child("Contents") else {
        return Err(malformed(url, "the capabilities have no contents: it is no WMTS"));
    };
    let about = root.child("ServiceIdentification");
    let provider = root.child("ServiceProvider");
    let site = provider.and_then(|found| found.child("ProviderSite")).and_then(|site| site.attribute("href"));
    let name = provider.and_then(|found| found.worded("ProviderName")).unwrap_or_default();
    Ok(Service {
        title: about.and_then(|found| found.worded("Title")).map(super::attribution::plain),
        attribution: capabilities::credit(name, site),
        licence: about.and_then(capabilities::licence),
        layers: contents.children("Layer").filter_map(layer).collect(),
        sets: contents.children("TileMatrixSet").filter_map(matrix_set).collect(),
    })
}

fn layer(element: &Element) -> Option<Layer> {
    let name = element.worded("Identifier")?.to_owned();
    let texts = |element: &Element, name: &str| -> Vec<String> {
        element.children(name).map(|found| found.text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
    };
    let styles: Vec<&Element> = element.children("Style").collect();
    let default = styles.iter().find(|style| style.attribute("isDefault") == Some("true")).or(styles.first());
    let dimensions = element.children("Dimension").filter_map(|dimension| {
        let value = dimension.worded("Default").or_else(|| dimension.worded("Value"))?;
        Some((dimension.worded("Identifier")?.to_owned(), value.to_owned()))
    });
    let addresses = element.children("ResourceURL").filter(|found| found.attribute("resourceType") == Some("tile"));
    let corners = element.child("WGS84BoundingBox");
    let corner = |name: &str| {
        let text = corners?.text_of(name)?;
        let (lon, lat) = text.split_once(char::is_whitespace)?;
        Some((lon.trim().parse::<f64>().ok()?, lat.trim().parse::<f64>().ok()?))
    };
    let bounds =
        corner("LowerCorner").zip(corner("UpperCorner")).and_then(|(low, high)| bounds(low.0, low.1, high.0, high.1));
    Some(Layer {
        title: element.worded("Title").map(super::attribution::plain).unwrap_or_else(|| name.clone()),
        default_style: default.and_then(|style| style.worded("Identifier")).map(str::to_owned),
        styles: styles.iter().filter_map(|style| style.worded("Identifier")).map(str::to_owned).collect(),
        formats: texts(element, "Format"),
        sets: element.children("TileMatrixSetLink").flat_map(|link| texts(link, "TileMatrixSet")).collect(),
        dimensions: dimensions.collect(),
        addresses: addresses
            .filter_map(|found| Some((found.attribute("format")?.to_owned(), found.attribute("template")?.to_owned())))
            .collect(),
        bounds,
        name,
    })
}

/// A matrix set whose tiles are those of the Mercator grid, by what it says of each: scale, corner and size. Its name is
/// not asked for.
fn matrix_set(element: &Element) -> Option<MatrixSet> {
    if !is_web_mercator(element.text_of("SupportedCRS")?) {
        return None;
    }
    let mut set =
        MatrixSet { name: element.worded("Identifier")?.to_owned(), matrices: HashMap::new(), tile_size: 256 };
    for matrix in element.children("TileMatrix") {
        let number = |name: &str| matrix.text_of(name)?.parse::<f64>().ok();
        let (scale, width) = (number("ScaleDenominator")?, number("TileWidth")?);
        let corner: Vec<f64> =
            matrix.text_of("TopLeftCorner")?.split_whitespace().filter_map(|text| text.parse().ok()).collect();
        let side = scale * PIXEL * width;
        let columns = AROUND / side;
        let zoom = columns.log2().round();
        let fits = side.is_finite()
            && side > 0.0
            && (columns / zoom.exp2() - 1.0).abs() < 1e-3
            && (0.0..=24.0).contains(&zoom);
        let square = number("TileHeight")? == width && matches!(width as u32, 256 | 512 | 1024);
        // A hundredth of a pixel at the deepest zoom is not asked for: corners are rounded.
        let near = |value: &f64, wanted: f64| (value - wanted).abs() < 2.0;
        let at_corner = matches!(corner.as_slice(), [x, y] if near(x, -AROUND / 2.0) && near(y, AROUND / 2.0));
        if fits && square && at_corner {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            set.matrices.insert(zoom as u8, matrix.worded("Identifier")?.to_owned());
            set.tile_size = width as u16;
        }
    }
    (!set.matrices.is_empty()).then_some(set)
}

fn chosen(url: &Url, root: &Url, service: &Service, spec: &TileSpec<'_>) -> Result<(Description, Way), FetchError> {
    let wanted = spec.layer.map(str::trim).filter(|name| !name.is_empty());
    let found = match (wanted, service.layers.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), layers) => layers.iter().find(|layer| layer.name == name),
    };
    let layer = found.ok_or_else(|| FetchError::NoCollection {
        host: host_of(root),
        collection: wanted.unwrap_or_default().to_owned(),
        offers: service.layers.iter().map(|layer| layer.name.clone()).collect(),
    })?;
    let sets = || service.sets.iter().filter(|set| layer.sets.contains(&set.name));
    let Some(set) = sets().max_by_key(|set| set.matrices.len()) else {
        let all = layer.sets.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
        let what =
            format!("its layer {:?} has no tiles on the Web Mercator grid, its matrix sets are {all}", layer.name);
        return Err(malformed(root, what));
    };
    let style = match spec.style {
        Some(style) if !layer.styles.iter().any(|known| known == style) => {
            let all = layer.styles.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(malformed(root, format!("its layer {:?} has no style {style:?} but {all}", layer.name)));
        }
        Some(style) => style,
        None => layer.default_style.as_deref().unwrap_or_default(),
    };
    let by_form = |formats: Vec<&str>| {
        [TileForm::Png, TileForm::Webp, TileForm::Jpeg, TileForm::Mvt].into_iter().find_map(|form| {
            let name = formats.iter().find(|name| TileForm::by_name(name) == Some(form))?;
            Some(((*name).to_owned(), form))
        })
    };
    let encoded =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let own: Vec<&(String, String)> =
        layer.addresses.iter().filter(|(_, address)| tilejson::stays(url, address)).collect();
    let (template, form) = match by_form(own.iter().map(|(format, _)| format.as_str()).collect()) {
        Some((format, form)) => {
            let address = own.iter().find(|(known, _)| *known == format).map(|(_, address)| address.as_str());
            let mut text = address.unwrap_or_default().to_owned();
            text = replace(&text, "{Style}", &encoded(style));
            text = replace(&text, "{TileMatrixSet}", &encoded(&set.name));
            text = replace(&text, "{Layer}", &encoded(&layer.name));
            for (name, value) in &layer.dimensions {
                text = replace(&text, &format!("{{{name}}}"), &encoded(value));
            }
            (text, form)
        }
        None => {
            let Some((format, form)) = by_form(layer.formats.iter().map(String::as_str).collect()) else {
                let all = layer.formats.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(malformed(
                    root,
                    format!("its layer {:?} comes as none of PNG, WebP, JPEG or MVT but {all}", layer.name),
                ));
            };
            (by_query(root, layer, set, style, &format), form)
        }
    };
    let (Some(min), Some(max)) = (set.matrices.keys().min(), set.matrices.keys().max()) else {
        return Err(malformed(root, "its matrix set is empty"));
    };
    let description = Description {
        title: Some(layer.title.clone()),
        min_zoom: *min,
        max_zoom: *max,
        bounds: layer.bounds,
        tile_size: set.tile_size,
        attribution: service.attribution.clone(),
        licence: service.licence.clone(),
        ..bare(form)
    };
    let matrices = Some(set.matrices.clone());
    let addresses = Addresses { base: url.clone(), template, south_up: false, matrices };
    // A template may have places of its own, which nothing can be put into.
    let first = addresses.of(*min, 0, 0)?;
    match first.as_str().contains("%7B") || first.as_str().contains('{') {
        true => Err(malformed(root, format!("the address of its tiles has places that nothing is said of: {first}"))),
        false => Ok((description, Way::Address(addresses))),
    }
}

/// The template of GetTile by query.
fn by_query(root: &Url, layer: &Layer, set: &MatrixSet, style: &str, format: &str) -> String {
    let mut pairs = vec![
        ("SERVICE", "WMTS"),
        ("REQUEST", "GetTile"),
        ("VERSION", "1.0.0"),
        ("LAYER", layer.name.as_str()),
        ("STYLE", style),
        ("FORMAT", format),
        ("TILEMATRIXSET", set.name.as_str()),
    ];
    pairs.extend(layer.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let url = request(root, &pairs);
    format!("{url}&TILEMATRIX={{TileMatrix}}&TILEROW={{TileRow}}&TILECOL={{TileCol}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::document;
    use model::TileProtocol;

    fn matrices(from: u8, to: u8, size: u32, corner: &str) -> String {
        (from..=to)
            .map(|z| {
                let scale = 559_082_264.028_717_8 / f64::from(1_u32 << z) * 256.0 / f64::from(size);
                format!(
                    "<TileMatrix><ows:Identifier>m{z}</ows:Identifier><ScaleDenominator>{scale}</ScaleDenominator>\
                     <TopLeftCorner>{corner}</TopLeftCorner><TileWidth>{size}</TileWidth><TileHeight>{size}</TileHeight>\
                     <MatrixWidth>1</MatrixWidth><MatrixHeight>1</MatrixHeight></TileMatrix>"
                )
            })
            .collect()
    }

    fn capabilities(addresses: &str, matrices: &str) -> String {
        format!(
            "<Capabilities version='1.0.0' xmlns='http://www.opengis.net/wmts/1.0' xmlns:ows='http://www.opengis.net/ows/1.1'>\
             <ows:ServiceIdentification><ows:Title>Nền</ows:Title><ows:AccessConstraints>CC0</ows:AccessConstraints></ows:ServiceIdentification>\
             <ows:ServiceProvider><ows:ProviderName>Sở</ows:ProviderName></ows:ServiceProvider><Contents>\
             <Layer><ows:Identifier>land</ows:Identifier><ows:Title>Đất</ows:Title>\
             <ows:WGS84BoundingBox><ows:LowerCorner>105 10</ows:LowerCorner><ows:UpperCorner>107 12</ows:UpperCorner></ows:WGS84BoundingBox>\
             <Style><ows:Identifier>a</ows:Identifier></Style><Style isDefault='true'><ows:Identifier>day light</ows:Identifier></Style>\
             <Format>image/jpeg</Format><Format>image/png</Format>\
             <Dimension><ows:Identifier>Time</ows:Identifier><Default>2026</Default></Dimension>\
             <TileMatrixSetLink><TileMatrixSet>mine</TileMatrixSet></TileMatrixSetLink>{addresses}</Layer>\
             <TileMatrixSet><ows:Identifier>mine</ows:Identifier><ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>{matrices}</TileMatrixSet>\
             </Contents></Capabilities>"
        )
    }

    const CORNER: &str = "-20037508.3427892 20037508.3427892";

    fn of(text: &str, style: Option<&str>) -> Result<(Description, Url), FetchError> {
        let root: Url = "http://h/wmts".parse().unwrap();
        let service = read(&root, &document(text.as_bytes()).unwrap())?;
        let spec = TileSpec { protocol: TileProtocol::Wmts, url: "", layer: None, style, login: None };
        match chosen(&root, &root, &service, &spec)? {
            (description, Way::Address(addresses)) => Ok((description, addresses.of(6, 5, 4)?)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tiles_are_asked_by_template_or_by_query() {
        let template = "<ResourceURL format='image/png' resourceType='tile' \
            template='http://h/t/{Layer}/{style}/{Time}/{TileMatrixSet}/{TileMatrix}/{TileRow}/{TileCol}.png'/>";
        let (described, url) = of(&capabilities(template, &matrices(4, 8, 256, CORNER)), None).unwrap();
        assert_eq!(url.as_str(), "http://h/t/land/day%20light/2026/mine/m6/4/5.png");
        assert_eq!((described.min_zoom, described.max_zoom, described.tile_size), (4, 8, 256));
        assert_eq!((described.licence.as_deref(), described.attribution[0].text.as_str()), (Some("CC0"), "Sở"));
        assert_eq!(described.bounds, Some([105.0, 10.0, 107.0, 12.0].into()));
        // A template of another server is passed over.
        let other = template.replace("http://h/", "http://other/");
        let (described, url) = of(&capabilities(&other, &matrices(0, 8, 512, CORNER)), Some("a")).unwrap();
        assert_eq!(described.tile_size, 512);
        let wanted =
            "LAYER=land&STYLE=a&FORMAT=image%2Fpng&TILEMATRIXSET=mine&Time=2026&TILEMATRIX=m6&TILEROW=4&TILECOL=5";
        assert!(url.as_str().ends_with(wanted), "{url}");
    }

    #[test]
    fn another_grid_is_refused_by_its_numbers_not_its_name() {
        let error = of(&capabilities("", &matrices(0, 8, 256, "0 0")), None).unwrap_err().to_string();
        assert!(error.contains("Web Mercator grid") && error.contains("mine"), "{error}");
        let shifted = matrices(0, 8, 256, CORNER).replace("<ScaleDenominator>5", "<ScaleDenominator>6");
        let kept =
            read(&"http://h/".parse().unwrap(), &document(capabilities("", &shifted).as_bytes()).unwrap()).unwrap();
        assert!(kept.sets[0].matrices.len() < 9, "{kept:?}");
        assert!(
            of(&capabilities("", &matrices(0, 8, 256, CORNER)), Some("night"))
                .unwrap_err()
                .to_string()
                .contains("day light")
        );
        let place = "<ResourceURL format='image/png' resourceType='tile' template='http://h/{Elevation}/{TileMatrix}/{TileRow}/{TileCol}.png'/>";
        assert!(
            of(&capabilities(place, &matrices(0, 8, 256, CORNER)), None).unwrap_err().to_string().contains("places")
        );
    }
}
