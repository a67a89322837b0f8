//! What the server says about itself: landing page, conformance, the API's description.

use crate::answer::{Answer, JSON, OPENAPI};
use crate::links::{link, this, to};
use crate::request::{Asked, Format};
use crate::{html, openapi};
use axum::response::Response;
use serde_json::json;

/// What holds, and nothing else. Of CQL2 the text form is understood, but not yet all that its class "basic" wants
/// (dates), so that class is not named.
pub(crate) const CONFORMANCE: [&str; 14] = [
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
];

pub(crate) async fn landing(asked: Asked) -> Response {
    asked
        .answer(|asked| {
            asked.only(&["f"])?;
            let format = asked.format()?;
            let title = desk::text_of("serve.title");
            let province = &asked.app.desk.profile().title;
            let mut links = this(asked, format, JSON);
            let api = |f: &str| format!("{}/api?f={f}", asked.base);
            links.push(link("service-desc", OPENAPI, &asked.word("serve.link.api"), api("json")));
            links.push(link("service-doc", "text/html", &asked.word("serve.link.api"), api("html")));
            links.push(to(asked, "conformance", "/conformance", "serve.link.conformance"));
            links.push(to(asked, "data", "/collections", "serve.link.collections"));
            let matrices = "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes";
            links.push(to(asked, matrices, "/tileMatrixSets", "serve.link.matrix_sets"));
            if format == Format::Html {
                return Ok(Answer::html(html::landing(asked, &links)));
            }
            let document = json!({
                "title": format!("{}: {}", asked.say(&title), asked.say(province)),
                "description": asked.word("serve.description"),
                "links": links,
            });
            Ok(Answer::json(JSON, &document))
        })
        .await
}

pub(crate) async fn conformance(asked: Asked) -> Response {
    asked
        .answer(|asked| {
            asked.only(&["f"])?;
            let format = asked.format()?;
            if format == Format::Html {
                return Ok(Answer::html(html::list(asked, "serve.link.conformance", &CONFORMANCE.map(str::to_owned))));
            }
            Ok(Answer::json(JSON, &json!({"conformsTo": CONFORMANCE, "links": this(asked, format, JSON)})))
        })
        .await
}

pub(crate) async fn api(asked: Asked) -> Response {
    asked
        .answer(|asked| {
            asked.only(&["f"])?;
            let document = openapi::document(asked);
            if asked.format()? == Format::Html {
                let paths = document["paths"].as_object();
                let line = |(path, operation): (&String, &serde_json::Value)| {
                    format!("GET {path}: {}", operation["get"]["summary"].as_str().unwrap_or_default())
                };
                let lines: Vec<String> = paths.into_iter().flatten().map(line).collect();
                return Ok(Answer::html(html::list(asked, "serve.link.api", &lines)));
            }
            Ok(Answer::json(OPENAPI, &document))
        })
        .await
}
