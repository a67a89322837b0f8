//! The API over real HTTP, as clients meet it.

#![allow(clippy::unwrap_used)]

mod support;

use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::io::Read;
use support::{Running, raw};

const CRS: &str = "http://www.opengis.net/def/crs/EPSG/0";

fn links(document: &Value, found: &mut Vec<(String, String)>) {
    match document {
        Value::Object(members) => {
            if let (Some(href), Some(kind)) = (members.get("href").and_then(Value::as_str), members.get("type"))
                && members.get("templated") != Some(&Value::Bool(true))
            {
                found.push((href.to_owned(), kind.as_str().unwrap_or_default().to_owned()));
            }
            members.values().for_each(|member| links(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| links(item, found)),
        _ => {}
    }
}

/// The links of a page for people.
fn anchors(page: &str) -> Vec<String> {
    let hrefs = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    hrefs.map(|href| href.replace("&amp;", "&").replace("&#39;", "'")).collect()
}

#[tokio::test]
async fn every_link_leads_to_what_it_says() {
    let running = Running::start().await;
    let start = format!("{}/?f=json", running.server.url());
    let mut queue = VecDeque::from([(start, "application/json".to_owned())]);
    let mut seen = BTreeSet::new();
    while let Some((href, kind)) = queue.pop_front() {
        assert!(href.starts_with(running.server.url()), "{href} leads away");
        // The first pages of a layer stand for all.
        if href.contains("cursor=") && seen.len() > 400 || !seen.insert(href.clone()) {
            continue;
        }
        let answer = running.trusted(&href).await;
        assert_eq!(answer.status, 200, "{href}: {}", answer.text());
        let declared = answer.header("content-type").unwrap().to_owned();
        assert!(kind.is_empty() || declared.starts_with(&kind), "{href}: {declared}, not {kind}");
        if declared.contains("json") {
            let mut found = Vec::new();
            links(&answer.json(), &mut found);
            queue.extend(found);
        } else if declared.starts_with("text/html") {
            queue.extend(anchors(&answer.text()).into_iter().map(|href| (href, String::new())).take(40));
        }
        if seen.len() > 1_500 {
            break;
        }
    }
    assert!(seen.len() > 200, "{}", seen.len());
}

#[tokio::test]
async fn pages_together_are_the_layer_and_each_feature_comes_once() {
    let running = Running::start().await;
    let mut href = "/collections/communes/items?limit=17".to_owned();
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = running.get(&href).await.json();
        assert_eq!(page["numberMatched"], 96);
        let features = page["features"].as_array().unwrap();
        assert_eq!(page["numberReturned"], features.len());
        ids.extend(features.iter().map(|feature| feature["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let rel = |rel: &str| page["links"].as_array().unwrap().iter().find(|link| link["rel"] == rel).cloned();
        assert_eq!(rel("prev").is_some(), pages > 1);
        match rel("next") {
            Some(next) => href = next["href"].as_str().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (6, 96, 96));

    // Back again: the page before the last begins where it began.
    let last = running.get(&href).await.json();
    let prev = last["links"].as_array().unwrap().iter().find(|link| link["rel"] == "prev").unwrap().clone();
    let before = running.get(prev["href"].as_str().unwrap()).await.json();
    assert_eq!(before["features"][0]["id"], ids[68].as_str());
}

#[tokio::test]
async fn a_page_of_a_replaced_layer_is_gone_and_nothing_is_mixed() {
    let running = Running::start().await;
    let page = running.get("/collections/communes/items?limit=10").await.json();
    let next = page["links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").unwrap()["href"].clone();
    assert_eq!(running.get(next.as_str().unwrap()).await.status, 200);
    let file = running.home.path().join("communes.geojson");
    let one = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"1","properties":{"name":"Một"},
        "geometry":{"type":"Polygon","coordinates":[[[106,11],[106.1,11],[106.1,11.1],[106,11]]]}}]}"#;
    std::fs::write(&file, one).unwrap();
    let options = desk::ImportOptions::default();
    running.desk.import(&file, &desk::LayerId::new("communes").unwrap(), &options, &mut |_, _| true).unwrap();
    let gone = running.get(next.as_str().unwrap()).await;
    assert_eq!((gone.status, gone.json()["code"].as_str()), (410, Some("api_replaced")));
    assert_eq!(running.get("/collections/communes/items").await.json()["numberMatched"], 1);
}

#[tokio::test]
async fn questions_narrow_and_wrong_ones_are_named() {
    let running = Running::start().await;
    let count = async |query: &str| {
        let answer = running.get(&format!("/collections/schools/items?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        answer.json()["numberMatched"].as_u64().unwrap()
    };
    let all = count("limit=1").await;
    assert!(all > 100);
    let boxed = count("limit=1&bbox=106.2,11.0,106.4,11.2").await;
    assert!(boxed > 0 && boxed < all);
    assert_eq!(count(&format!("limit=1&bbox=11.0,106.2,11.2,106.4&bbox-crs={CRS}/4326")).await, boxed);
    assert_eq!(count("limit=1&bbox=106.2,11.0,0,106.4,11.2,50").await, boxed);
    // Across the 180° meridian, all around the world but for a strip.
    assert_eq!(
        count("limit=1&bbox=106.4,11.0,106.2,11.2").await,
        count("bbox=106.4,11.0,180,11.2").await + count("bbox=-180,11.0,106.2,11.2").await
    );
    let filtered = count("filter=name%20LIKE%20'%25THPT%25'&filter-lang=cql2-text&limit=1").await;
    assert!(filtered > 0 && filtered < all);
    assert_eq!(count("limit=99999").await, all, "a limit beyond the greatest is the greatest");
    assert_eq!(count("limit=1&datetime=2026-01-01/..").await, all, "schools have no times");

    for (query, code) in [
        ("limit=0", "api_limit"),
        ("limit=ten", "api_limit"),
        ("bbox=1,2,3", "api_bbox"),
        ("bbox=1,2,3,NaN", "api_bbox"),
        ("bbox=106,12,107,11", "bbox_range"),
        ("bbox=106,11,107,95", "bbox_range"),
        ("bbox-crs=EPSG:32648&bbox=1,2,3,4", "api_crs"),
        ("crs=EPSG:1", "api_crs"),
        ("datetime=yesterday", "api_datetime"),
        ("datetime=2026-02-01/2026-01-01", "api_datetime"),
        ("filter=pupils%20%3E", "bad_filter"),
        ("filter=pupil_count_x%20%3E%205", "filter_property"),
        ("filter=freshness='fresh'", "filter_property"),
        ("filter-lang=cql2-json&filter=x", "api_filter_lang"),
        ("properties=name,nothing", "api_property"),
        ("live=yes", "api_live"),
        ("cursor=abc", "api_cursor"),
        ("f=gml", "api_format"),
        ("limitt=5", "api_parameter"),
        ("limit=5&limit=6", "api_twice"),
    ] {
        let answer = running.get(&format!("/collections/schools/items?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{query}");
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{query}");
        assert_eq!((problem["status"].as_u64(), problem["title"].as_str()), (Some(400), Some("Bad Request")));
        let sentence = problem["detail"].as_str().unwrap();
        assert!(!sentence.contains("error.") && !sentence.contains('{') && sentence.len() > 20, "{sentence}");
    }
    let english = running.ask("GET", "/collections/nothing", &[("Accept-Language", "en")]).await;
    assert_eq!(english.status, 404);
    assert!(english.json()["detail"].as_str().unwrap().starts_with("There is no collection nothing"));
    for path in
        ["/nothing", "/collections/%ff", "/collections/communes/items/%C3%28", "/collections/communes/items/a/b"]
    {
        let answer = running.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/problem+json")), "{path}");
    }
    let page = running.ask("GET", "/nothing", &[("Accept", "text/html")]).await;
    assert!(page.status == 404 && page.text().contains("<h1>404"));
}

#[tokio::test]
async fn coordinates_come_in_the_system_asked_for_in_its_axis_order() {
    let running = Running::start().await;
    let ask = async |crs: &str| {
        let answer = running.get(&format!("/collections/schools/items?limit=1&crs={crs}")).await;
        let content_crs = answer.header("content-crs").unwrap().to_owned();
        let at = answer.json()["features"][0]["geometry"]["coordinates"].clone();
        (content_crs, at[0].as_f64().unwrap(), at[1].as_f64().unwrap())
    };
    let (uri, lon, lat) = ask("CRS84").await;
    assert_eq!(uri, "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>");
    assert!((105.0..107.0).contains(&lon) && (10.0..12.0).contains(&lat));
    let (uri, first, second) = ask(&format!("{CRS}/4326")).await;
    assert_eq!((uri, first, second), (format!("<{CRS}/4326>"), lat, lon));
    let (_, first, second) = ask("EPSG:4756").await;
    assert!((first - lat).abs() < 0.003 && (second - lon).abs() < 0.003 && first != lat);
    for epsg in [9209, 9210, 3405] {
        let (uri, east, north) = ask(&format!("{CRS}/{epsg}")).await;
        assert_eq!(uri, format!("<{CRS}/{epsg}>"));
        assert!(
            (400_000.0..800_000.0).contains(&east) && (1_100_000.0..1_400_000.0).contains(&north),
            "{east} {north}"
        );
        // The feature lies in a box of half a metre around itself, and in none beside it.
        let boxed = async |east: f64| {
            let bbox = format!("{},{},{},{}", east - 0.5, north - 0.5, east + 0.5, north + 0.5);
            let path = format!("/collections/schools/items?limit=1&bbox={bbox}&bbox-crs={CRS}/{epsg}");
            running.get(&path).await.json()["numberMatched"].as_u64().unwrap()
        };
        assert!(boxed(east).await >= 1 && boxed(east + 5.0).await < boxed(east).await);
    }
}

#[tokio::test]
async fn what_is_held_is_not_sent_again() {
    let running = Running::start().await;
    for path in [
        "/",
        "/collections",
        "/collections/communes",
        "/collections/communes/items?limit=5",
        "/collections/communes/tiles/WebMercatorQuad/9/240/407",
    ] {
        let first = running.get(path).await;
        let etag = first.header("etag").unwrap_or_else(|| panic!("{path}: {}", first.head)).to_owned();
        let again = running.ask("GET", path, &[("If-None-Match", &etag)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let other = running.ask("GET", path, &[("If-None-Match", "\"other\"")]).await;
        assert_eq!(other.status, first.status, "{path}");
    }
    let items = running.get("/collections/communes/items").await;
    let date = items.header("last-modified").unwrap().to_owned();
    let again = running.ask("GET", "/collections/communes/items", &[("If-Modified-Since", &date)]).await;
    assert_eq!(again.status, 304);
    let head = running.ask("HEAD", "/collections/communes/items", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 10_000);

    let packed = running.ask("GET", "/collections/communes/items?limit=96", &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
    assert!(text.contains("\"numberReturned\":96") && text.len() > packed.body.len() * 2);
}

#[tokio::test]
async fn tiles_open_as_vector_tiles() {
    let running = Running::start().await;
    let tilejson = running.get("/collections/communes/tiles/tilejson").await.json();
    assert_eq!(tilejson["tilejson"], "3.0.0");
    let template = tilejson["tiles"][0].as_str().unwrap();
    let href = template.replace("{z}", "9").replace("{y}", "240").replace("{x}", "407");
    let tile = running.get(&href).await;
    assert_eq!((tile.status, tile.header("content-type")), (200, Some("application/vnd.mapbox-vector-tile")));
    let reader = mvt_reader::Reader::new(tile.body.clone()).unwrap();
    assert_eq!(reader.get_layer_names().unwrap(), ["communes"]);
    assert!(reader.get_features(0).unwrap().len() > 10);
    let packed = running.ask("GET", &href, &[("Accept-Encoding", "gzip")]).await;
    let mut bytes = Vec::new();
    GzDecoder::new(packed.body.as_slice()).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, tile.body);
    assert_eq!(running.get("/collections/communes/tiles/WebMercatorQuad/9/0/0").await.status, 204);
    for wrong in ["9/512/0", "17/0/0", "-1/0/0", "9/240/x"] {
        let path = format!("/collections/communes/tiles/WebMercatorQuad/{wrong}");
        assert_eq!(running.get(&path).await.status, 404, "{wrong}");
    }
    assert_eq!(running.get("/collections/communes/tiles/WorldCRS84Quad/0/0/0").await.status, 404);
}

#[tokio::test]
async fn properties_and_single_features_are_as_the_schema_says() {
    let running = Running::start().await;
    let schema = running.get("/collections/communes/schema").await.json();
    let page = running.get("/collections/communes/items?limit=1").await.json();
    let feature = &page["features"][0];
    for name in feature["properties"].as_object().unwrap().keys() {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
    let few = running.get("/collections/communes/items?limit=1&properties=name").await.json();
    assert_eq!(few["features"][0]["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["name"]);
    let id = feature["id"].as_str().unwrap();
    let one = running.get(&format!("/collections/communes/items/{id}")).await;
    assert_eq!(one.header("content-type"), Some("application/geo+json"));
    let one = one.json();
    assert_eq!(
        (&one["id"], &one["geometry"], &one["properties"]),
        (&feature["id"], &feature["geometry"], &feature["properties"])
    );
    assert!(one["links"].as_array().unwrap().iter().any(|link| link["rel"] == "collection"));
    assert_eq!(running.get("/collections/communes/items/%2e%2e%2fx").await.status, 404);

    let collection = running.get("/collections/communes").await.json();
    for name in ["asOf", "fetchedAt", "provider", "licence", "freshness", "sample", "practice"] {
        assert!(!collection[name].is_null(), "{name}");
    }
    // Live values come when they are asked for, and only where there are stations.
    let stations = running.get("/collections/air_stations/items?live=true&filter=freshness='never'").await;
    assert_eq!(stations.header("cache-control"), Some("no-store"));
    assert!(stations.json()["features"][0]["properties"].get("measured_at").is_some());
    let plain = running.get("/collections/air_stations/items").await.json();
    assert!(plain["features"][0]["properties"].get("measured_at").is_none());
}

#[tokio::test]
async fn internal_layers_are_not_there_without_the_token() {
    let running = Running::start().await;
    let bearer = |token: &str| format!("Bearer {token}");
    for path in [
        "",
        "/items",
        "/items?f=html",
        "/schema",
        "/queryables",
        "/tiles",
        "/tiles/tilejson",
        "/tiles/WebMercatorQuad/9/240/407",
    ] {
        let path = format!("/collections/cameras{path}");
        assert_eq!(running.get(&path).await.status, 404, "{path}");
        assert_eq!(running.trusted(&path).await.status, 200, "{path}");
    }
    for path in ["/", "/collections", "/collections?f=html", "/api", "/api?f=html"] {
        assert!(!running.get(path).await.text().contains("cameras"), "{path}");
    }
    assert!(running.trusted("/collections").await.text().contains("cameras"));
    // What was found for one asker is not kept for another.
    let filtered = "/collections/cameras/items?filter=id%20IS%20NOT%20NULL&limit=1";
    assert_eq!(running.trusted(filtered).await.status, 200);
    assert_eq!(running.get(filtered).await.status, 404);
    for wrong in ["a-token-for-the-tests-0123456780", "a", ""] {
        let answer = running.ask("GET", "/collections", &[("Authorization", &bearer(wrong))]).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let none = Running::with(|options| options.token = None).await;
    let given = none.ask("GET", "/collections/cameras", &[("Authorization", "Bearer anything")]).await;
    assert_eq!(given.status, 404);
}

#[tokio::test]
async fn only_reading_under_its_own_name_and_within_limits() {
    let running = Running::start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let answer = running.ask(method, "/collections/communes/items", &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for (host, status) in [
        ("localhost:1", 200),
        ("127.0.0.9", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ] {
        assert_eq!(running.ask("GET", "/", &[("Host", host)]).await.status, status, "{host}");
    }
    let long = format!("/collections/communes/items?filter={}", "a".repeat(9_000));
    assert_eq!(running.get(&long).await.status, 414);
    let address = running.server.address();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    assert_eq!(raw(address, head.into_bytes()).await.status, 431);
    let fields = "X: a\r\n".repeat(200);
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    assert_eq!(raw(address, head.into_bytes()).await.status, 431);
    assert_eq!(raw(address, b"nonsense\r\n\r\n".to_vec()).await.status, 400);
    assert_eq!(running.get("/").await.status, 200, "still there");

    assert!(
        running
            .ask("GET", "/", &[("Origin", "https://a.example")])
            .await
            .header("access-control-allow-origin")
            .is_none()
    );
    let open = Running::with(|options| options.cors = vec!["https://a.example".into()]).await;
    let allowed = open.ask("GET", "/", &[("Origin", "https://a.example")]).await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://a.example"));
    assert!(
        open.ask("GET", "/", &[("Origin", "https://b.example")]).await.header("access-control-allow-origin").is_none()
    );
    let preflight = open
        .ask("OPTIONS", "/collections", &[("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")])
        .await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, Some("GET, HEAD")));
}

#[tokio::test]
async fn links_begin_with_the_address_given_for_the_server() {
    let running = Running::with(|options| options.url = Some("https://data.example.vn/ogc/".into())).await;
    let landing = running.ask("GET", "/", &[("Host", "data.example.vn")]).await.json();
    for link in landing["links"].as_array().unwrap() {
        assert!(link["href"].as_str().unwrap().starts_with("https://data.example.vn/ogc/"), "{link}");
    }
}

#[tokio::test]
async fn it_ends_in_good_order() {
    let running = Running::start().await;
    let address = running.server.address();
    let (under_way, stopped) = tokio::join!(running.get("/collections/communes/items"), async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    });
    assert_eq!((under_way.status, stopped), (200, ()));
    running.server.stop().await;
    assert!(std::net::TcpStream::connect(address).is_err());
}
