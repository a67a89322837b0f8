mod support;

use serde_json::Value;
use std::collections::HashSet;
use support::{ask, follow, get, options, start};

fn rel<'a>(page: &'a Value, name: &str) -> Option<&'a str> {
    page["links"].as_array()?.iter().find(|link| link["rel"] == name)?["href"].as_str()
}

#[tokio::test]
async fn next_links_lead_through_all_features_once() {
    let centre = start(options()).await;
    let mut seen = HashSet::new();
    let mut link = format!("{}/ogc/collections/communes/items?limit=37", centre.base_url());
    let mut pages = 0;
    loop {
        let reply = follow(centre.address(), &link).await;
        assert_eq!(reply.header("content-type"), Some("application/geo+json"));
        let page = reply.json();
        assert_eq!(page["numberMatched"], 250);
        assert_eq!(page["numberReturned"], page["features"].as_array().unwrap().len());
        for feature in page["features"].as_array().unwrap() {
            assert!(seen.insert(feature["id"].as_str().unwrap().to_owned()), "repeated");
        }
        pages += 1;
        assert_eq!(rel(&page, "prev").is_some(), pages > 1);
        match rel(&page, "next") {
            Some(next) => link = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (250, 7));
    centre.practice.stop().await;
}

#[tokio::test]
async fn landing_conformance_collections_and_features_are_linked() {
    let centre = start(options()).await;
    let at = centre.address();
    let landing = get(at, "/ogc").await;
    assert_eq!(landing.header("x-practice-data"), Some("true"));
    let landing = landing.json();
    assert!(
        follow(at, rel(&landing, "conformance").unwrap()).await.json()["conformsTo"].as_array().unwrap().len() >= 2
    );
    let collections = follow(at, rel(&landing, "data").unwrap()).await.json();
    let communes = collections["collections"].as_array().unwrap().iter().find(|c| c["id"] == "communes").unwrap();
    assert_eq!(communes["practice"], true);
    assert_eq!(communes["sample"], true);
    assert_eq!(communes["asOf"], "2026-11-01");
    assert_eq!(communes["itemType"], "feature");
    assert_eq!(communes["extent"]["spatial"]["bbox"][0][0], 105.0);
    assert_eq!(follow(at, rel(communes, "self").unwrap()).await.json()["title"], "Xã, phường");
    let items = follow(at, rel(communes, "items").unwrap()).await.json();
    assert_eq!(items["numberReturned"], 100, "the limit when none is asked for");
    let one = get(at, "/ogc/collections/communes/items/25003").await.json();
    assert_eq!((one["id"].as_str(), one["type"].as_str()), (Some("25003"), Some("Feature")));
    centre.practice.stop().await;
}

#[tokio::test]
async fn bounding_box_selects_what_it_touches() {
    let centre = start(options()).await;
    let at = centre.address();
    let page = get(at, "/ogc/collections/air_stations/items?bbox=106.15,10.9,106.35,11.1").await.json();
    let ids: Vec<_> = page["features"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["air-an-tinh", "air-tan-ninh"]);
    let inside = get(at, "/ogc/collections/communes/items?bbox=105.005,10.01,105.01,10.02").await.json();
    assert_eq!(inside["numberMatched"], 1, "a box within one polygon");
    let page = get(at, "/ogc/collections/communes/items?bbox=105.001,10.001,105.119,10.099&limit=2").await.json();
    assert_eq!(page["numberMatched"], 6);
    assert!(rel(&page, "next").unwrap().contains("bbox=105.001,10.001,105.119,10.099"));
    centre.practice.stop().await;
}

#[tokio::test]
async fn unchanged_content_is_not_sent_again() {
    let centre = start(options()).await;
    let at = centre.address();
    for path in [
        "/ogc/collections",
        "/ogc/collections/communes",
        "/ogc/collections/communes/items?limit=5&offset=10",
        "/ogc/collections/communes/items/25003",
    ] {
        let first = get(at, path).await;
        let etag = first.header("etag").unwrap().to_owned();
        let again = ask(at, "GET", path, &[("If-None-Match", &etag)], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
        let date = first.header("last-modified").unwrap().to_owned();
        assert_eq!(ask(at, "GET", path, &[("If-Modified-Since", &date)], "").await.status, 304, "{path}");
        assert_eq!(ask(at, "GET", path, &[("If-None-Match", "\"other\"")], "").await.status, 200);
    }
    let file = centre.folder.path().join("data/communes.geojson");
    let old = get(at, "/ogc/collections/communes/items").await.header("etag").unwrap().to_owned();
    let text = std::fs::read_to_string(&file).unwrap().replace("Xã 3\"", "Xã Ba\"");
    std::fs::write(&file, text).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(8);
    loop {
        let now = ask(at, "GET", "/ogc/collections/communes/items", &[("If-None-Match", &old)], "").await;
        if now.status == 200 {
            assert!(String::from_utf8_lossy(&now.body).contains("Xã Ba"));
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the change is not seen");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    centre.practice.stop().await;
}

#[tokio::test]
async fn wrong_requests_say_what_is_wrong() {
    let centre = start(options()).await;
    let at = centre.address();
    for (path, status, word) in [
        ("/ogc/collections/nothing", 404, "air_stations"),
        ("/ogc/collections/communes/items/nothing", 404, "nothing"),
        ("/ogc/collections/communes/items?bbox=1", 400, "west"),
        ("/ogc/collections/communes/items?limit=none", 400, "whole number"),
        ("/ogc/collections/communes/items?colour=red", 400, "colour"),
        ("/ogcc", 404, "/ogc"),
    ] {
        let reply = get(at, path).await;
        let body = reply.json();
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(body["code"], status.to_string());
        assert!(body["type"].is_string());
        assert!(body["description"].as_str().unwrap().contains(word), "{path}: {body}");
        assert_eq!(reply.header("x-practice-data"), Some("true"));
    }
    centre.practice.stop().await;
}
