//! Vector tiles (MVT 2.1) by OGC API – Tiles, and the same as TileJSON for map libraries.

use crate::answer::{Answer, JSON, MVT, State, holds, tag};
use crate::html;
use crate::links::{link, this, to};
use crate::problem::Problem;
use crate::request::{Asked, Format};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use desk::{MAX_TILE_ZOOM, PublishedLayer};
use serde_json::{Map, Value, json};

const SET: &str = "WebMercatorQuad";
const SET_URI: &str = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad";
const WEB_MERCATOR: &str = "http://www.opengis.net/def/crs/EPSG/0/3857";
const SCHEME: &str = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme";
/// Half the width of the world in Web Mercator, metres.
const HALF_WORLD_M: f64 = 20_037_508.342_789_244;

fn known(set: &str) -> Result<(), Problem> {
    if set == SET { Ok(()) } else { Err(Problem::NoTileMatrixSet { id: set.to_owned() }) }
}

pub(crate) async fn tilesets(asked: Asked, Path(id): Path<String>) -> Response {
    asked
        .answer(move |asked| {
            asked.only(&["f"])?;
            let format = asked.format()?;
            let layer = asked.layer(&id)?;
            let mut links = this(asked, format, JSON);
            links.push(tilejson_link(asked, &layer));
            let mut own = metadata(asked, &layer);
            let path = format!("/collections/{id}/tiles/{SET}");
            own["links"] = json!([to(asked, "self", &path, "serve.link.tileset")]);
            if format == Format::Html {
                return Ok(Answer::html(html::links(
                    asked,
                    "serve.link.tiles",
                    &[links.clone(), vec![own["links"][0].clone()]].concat(),
                )));
            }
            Ok(Answer::json(JSON, &json!({"links": links, "tilesets": [own]})))
        })
        .await
}

fn tilejson_link(asked: &Asked, layer: &PublishedLayer) -> Value {
    let href = format!("{}/collections/{}/tiles/tilejson", asked.base, layer.info().id);
    link("describedby", JSON, "TileJSON 3.0", href)
}

fn metadata(asked: &Asked, layer: &PublishedLayer) -> Value {
    let info = layer.info();
    json!({
        "title": asked.say(&info.title),
        "dataType": "vector",
        "crs": WEB_MERCATOR,
        "tileMatrixSetURI": SET_URI,
    })
}

fn template(asked: &Asked, layer: &PublishedLayer, names: [&str; 3]) -> String {
    let [z, row, column] = names;
    format!("{}/collections/{}/tiles/{SET}/{{{z}}}/{{{row}}}/{{{column}}}", asked.base, layer.info().id)
}

pub(crate) async fn tileset(asked: Asked, Path((id, set)): Path<(String, String)>) -> Response {
    asked
        .answer(move |asked| {
            asked.only(&["f"])?;
            known(&set)?;
            let format = asked.format()?;
            let layer = asked.layer(&id)?;
            let mut links = this(asked, format, JSON);
            let mut item = link("item", MVT, "MVT", template(asked, &layer, ["tileMatrix", "tileRow", "tileCol"]));
            item["templated"] = json!(true);
            links.push(to(asked, SCHEME, &format!("/tileMatrixSets/{SET}"), "serve.link.matrix_set"));
            links.push(tilejson_link(asked, &layer));
            if format == Format::Html {
                return Ok(Answer::html(html::links(asked, "serve.link.tileset", &links)));
            }
            links.push(item);
            let mut document = metadata(asked, &layer);
            document["links"] = json!(links);
            document["layers"] = json!([{"id": id, "dataType": "vector", "minTileMatrix": "0",
                "maxTileMatrix": MAX_TILE_ZOOM.to_string()}]);
            if let Some(bbox) = layer.info().bbox {
                document["boundingBox"] = json!({"lowerLeft": [bbox.west, bbox.south],
                    "upperRight": [bbox.east, bbox.north], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"});
            }
            Ok(Answer::json(JSON, &document))
        })
        .await
}

/// TileJSON 3.0.0.
pub(crate) async fn tilejson(asked: Asked, Path(id): Path<String>) -> Response {
    asked
        .answer(move |asked| {
            asked.only(&["f"])?;
            let layer = asked.layer(&id)?;
            let info = layer.info();
            let kept = layer.tile_fields();
            let fields: Map<String, Value> = ["id".to_owned(), "name".to_owned()]
                .into_iter()
                .chain(kept)
                .map(|name| {
                    let field = layer.fields().iter().find(|field| field.name == name);
                    let text = field.map_or_else(|| name.clone(), |field| asked.say(&field.title).to_owned());
                    (name, json!(text))
                })
                .collect();
            let vector_layers = json!([{"id": info.id, "fields": fields, "minzoom": 0, "maxzoom": MAX_TILE_ZOOM}]);
            let mut document = json!({
                "tilejson": "3.0.0",
                "name": asked.say(&info.title),
                "version": format!("{}.0.0", info.version),
                "scheme": "xyz",
                // Row before column: y before x.
                "tiles": [template(asked, &layer, ["z", "y", "x"])],
                "vector_layers": vector_layers,
                "minzoom": 0,
                "maxzoom": MAX_TILE_ZOOM,
            });
            if let Some(provenance) = &info.provenance {
                document["attribution"] =
                    json!(format!("{} · {}", asked.say(&provenance.provider), provenance.licence));
            }
            if let Some(bbox) = info.bbox {
                document["bounds"] = json!(bbox);
            }
            Ok(Answer::json(JSON, &document))
        })
        .await
}

pub(crate) async fn tile(
    asked: Asked,
    Path((id, set, z, row, column)): Path<(String, String, String, String, String)>,
) -> Response {
    asked
        .answer(move |asked| {
            asked.only(&["f"])?;
            if let Some(format) = asked.param("f").filter(|format| *format != "mvt") {
                return Err(Problem::Format { format: format.to_owned() });
            }
            known(&set)?;
            let layer = asked.layer(&id)?;
            let missing = || Problem::NoTile { tile: format!("{z}/{row}/{column}") };
            let zoom: u8 = z.parse().ok().filter(|zoom| *zoom <= MAX_TILE_ZOOM).ok_or_else(missing)?;
            let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number < 1 << zoom);
            let (y, x) = number(&row).zip(number(&column)).ok_or_else(missing)?;
            let info = layer.info();
            let fetched_at = info.provenance.as_ref().map(|provenance| provenance.fetched_at);
            let etag = tag(&(info.version, fetched_at.map(|at| at.as_nanosecond()), &asked.path));
            let state = State::Tagged(etag.clone(), fetched_at);
            if holds(asked, &etag, fetched_at) {
                return Ok(Answer::unchanged(state));
            }
            Ok(match asked.app.desk.published_tile(&layer, zoom, x, y) {
                Some(bytes) => Answer::new(MVT, bytes.to_vec()).with(state),
                None => Answer { status: StatusCode::NO_CONTENT, ..Answer::new(MVT, Vec::new()).with(state) },
            })
        })
        .await
}

pub(crate) async fn matrix_sets(asked: Asked) -> Response {
    asked
        .answer(|asked| {
            asked.only(&["f"])?;
            let format = asked.format()?;
            let own = to(asked, "self", &format!("/tileMatrixSets/{SET}"), "serve.link.matrix_set");
            if format == Format::Html {
                return Ok(Answer::html(html::links(asked, "serve.link.matrix_sets", &[own])));
            }
            let sets =
                json!([{"id": SET, "title": "Google Maps Compatible for the World", "uri": SET_URI, "links": [own]}]);
            Ok(Answer::json(JSON, &json!({"links": this(asked, format, JSON), "tileMatrixSets": sets})))
        })
        .await
}

/// The definition (OGC 17-083r4, annex D.1), down to the zoom that tiles are made for.
pub(crate) async fn matrix_set(asked: Asked, Path(set): Path<String>) -> Response {
    asked
        .answer(move |asked| {
            asked.only(&["f"])?;
            known(&set)?;
            let matrix = |z: u8| {
                let count = 1_u32 << z;
                let cell_m = 2.0 * HALF_WORLD_M / 256.0 / f64::from(count);
                // The standard's pixel is 0.28 mm.
                json!({"id": z.to_string(), "scaleDenominator": cell_m / 0.000_28, "cellSize": cell_m,
                    "pointOfOrigin": [-HALF_WORLD_M, HALF_WORLD_M], "tileWidth": 256, "tileHeight": 256,
                    "matrixWidth": count, "matrixHeight": count})
            };
            let document = json!({
                "id": SET, "title": "Google Maps Compatible for the World", "uri": SET_URI, "crs": WEB_MERCATOR,
                "orderedAxes": ["E", "N"],
                "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
                "tileMatrices": (0..=MAX_TILE_ZOOM).map(matrix).collect::<Vec<_>>(),
            });
            Ok(Answer::json(JSON, &document))
        })
        .await
}
