//! The API's description in OpenAPI 3.0.

use crate::answer::{GEO_JSON, JSON, MVT, OPENAPI, SCHEMA};
use crate::crs;
use crate::items::MAX_LIMIT;
use crate::request::Asked;
use serde_json::{Map, Value, json};

pub(crate) fn document(asked: &Asked) -> Value {
    let get = |key: &str, types: &[&str], parameters: &[&str]| operation(asked, key, types, parameters);
    let html = "text/html";
    let mut paths = Map::new();
    let mut path = |path: &str, operation: Value| {
        paths.insert(path.to_owned(), json!({"get": operation}));
    };
    let items = [
        "collectionId",
        "f",
        "limit",
        "bbox",
        "bbox-crs",
        "crs",
        "datetime",
        "filter",
        "filter-lang",
        "properties",
        "live",
        "cursor",
    ];
    path("/", get("landing", &[JSON, html], &["f"]));
    path("/conformance", get("conformance", &[JSON, html], &["f"]));
    path("/api", get("api", &[OPENAPI, html], &["f"]));
    path("/collections", get("collections", &[JSON, html], &["f"]));
    path("/collections/{collectionId}", get("collection", &[JSON, html], &["collectionId", "f"]));
    path("/collections/{collectionId}/queryables", get("queryables", &[SCHEMA, html], &["collectionId", "f"]));
    path("/collections/{collectionId}/schema", get("schema", &[SCHEMA, html], &["collectionId", "f"]));
    path("/collections/{collectionId}/items", get("items", &[GEO_JSON, html], &items));
    let item = ["collectionId", "featureId", "f", "crs", "properties", "live"];
    path("/collections/{collectionId}/items/{featureId}", get("item", &[GEO_JSON, html], &item));
    path("/collections/{collectionId}/tiles", get("tiles", &[JSON, html], &["collectionId", "f"]));
    path("/collections/{collectionId}/tiles/tilejson", get("tilejson", &[JSON], &["collectionId"]));
    let set = ["collectionId", "tileMatrixSetId", "f"];
    path("/collections/{collectionId}/tiles/{tileMatrixSetId}", get("tileset", &[JSON, html], &set));
    let tile = ["collectionId", "tileMatrixSetId", "tileMatrix", "tileRow", "tileCol"];
    let tile_path = "/collections/{collectionId}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}";
    path(tile_path, get("tile", &[MVT], &tile));
    path("/tileMatrixSets", get("matrix_sets", &[JSON, html], &["f"]));
    path("/tileMatrixSets/{tileMatrixSetId}", get("matrix_set", &[JSON], &["tileMatrixSetId"]));
    let bearer = json!({"bearer": {"type": "http", "scheme": "bearer", "description": asked.word("serve.api.bearer")}});
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": asked.word("serve.title"),
            "description": asked.word("serve.description"),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{"url": asked.base}],
        "paths": paths,
        "components": {"parameters": parameters(asked), "securitySchemes": bearer,
            "schemas": {"problem": problem_schema()}},
        "security": [{}, {"bearer": []}],
    })
}

fn operation(asked: &Asked, key: &str, types: &[&str], parameters: &[&str]) -> Value {
    let content: Map<String, Value> = types.iter().map(|known| ((*known).to_owned(), json!({}))).collect();
    let refs: Vec<Value> =
        parameters.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
    let problem = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}});
    json!({
        "operationId": key,
        "summary": asked.word(&format!("serve.api.{key}")),
        "parameters": refs,
        "responses": {
            "200": {"description": "OK", "content": content},
            "304": {"description": "Not Modified"},
            "default": {"description": "RFC 9457", "content": problem},
        },
    })
}

fn problem_schema() -> Value {
    json!({"type": "object", "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "code": {"type": "string"},
        "where": {"type": "object", "additionalProperties": {"type": "string"}},
    }})
}

fn parameters(asked: &Asked) -> Value {
    let ids: Vec<String> =
        asked.app.desk.published(asked.audience).iter().map(|layer| layer.info().id.to_string()).collect();
    let systems: Vec<String> = asked.app.desk.published_crs().into_iter().map(crs::uri).collect();
    let describe = |name: &str| asked.word(&format!("serve.param.{name}"));
    let path = |name: &str, schema: Value| json!({"name": name, "in": "path", "required": true, "schema": schema, "description": describe(name)});
    let query = |name: &str, schema: Value| {
        json!({"name": name, "in": "query", "required": false, "schema": schema, "description": describe(name),
            "style": "form", "explode": false})
    };
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer", "minimum": 0});
    json!({
        "collectionId": path("collectionId", json!({"type": "string", "enum": ids})),
        "featureId": path("featureId", text()),
        "tileMatrixSetId": path("tileMatrixSetId", json!({"type": "string", "enum": ["WebMercatorQuad"]})),
        "tileMatrix": path("tileMatrix", number()),
        "tileRow": path("tileRow", number()),
        "tileCol": path("tileCol", number()),
        "f": query("f", json!({"type": "string", "enum": ["json", "html"]})),
        "limit": query("limit", json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100})),
        "bbox": query("bbox", json!({"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6})),
        "bbox-crs": query("bbox-crs", json!({"type": "string", "format": "uri", "enum": systems})),
        "crs": query("crs", json!({"type": "string", "format": "uri", "enum": systems})),
        "datetime": query("datetime", text()),
        "filter": query("filter", text()),
        "filter-lang": query("filter-lang", json!({"type": "string", "enum": ["cql2-text"], "default": "cql2-text"})),
        "properties": query("properties", json!({"type": "array", "items": {"type": "string"}})),
        "live": query("live", json!({"type": "boolean", "default": false})),
        "cursor": query("cursor", text()),
    })
}
