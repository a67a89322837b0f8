//! What JSON services answer besides what was asked for.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Log, answer, ok, serve};
use common::{features, wanted};
use geo_types::{Geometry, Point};
use model::{Protocol, RestMapping};
use sources::{Client, Collection, FetchError, Fetched, Url, Wanted, service};
use std::path::Path;

const LIST: &str = "items = \"$.data\"\nid = \"$.id\"\nlon = \"$.lon\"\nlat = \"$.lat\"\n";

async fn fetch(root: &Url, mapping: &str, validator: Option<&str>) -> Result<Fetched, FetchError> {
    let mapping: RestMapping = toml::from_str(mapping).unwrap();
    let wanted = Wanted { mapping: Some(&mapping), validator, ..wanted(root, "clinics", Path::new("/proc/nowhere")) };
    service(Protocol::Rest).unwrap().fetch(&Client::default(), wanted, &mut |_, _| {}).await
}

async fn answered(body: impl Into<Vec<u8>>, mapping: &str) -> Result<Fetched, FetchError> {
    let body = ok(body.into());
    let (root, _) = serve(move |_| body.clone()).await;
    fetch(&root, mapping, None).await
}

fn item(id: usize) -> String {
    format!(r#"{{"id":{id},"lon":106.{:03},"lat":11.2}}"#, id % 1000)
}

fn page(ids: std::ops::Range<usize>, more: &str) -> String {
    format!(r#"{{"data":[{}]{more}}}"#, ids.map(item).collect::<Vec<_>>().join(","))
}

fn rejected(collection: &Collection) -> Vec<(u64, &str)> {
    collection.report.rejected.iter().map(|rejection| (rejection.row, rejection.code.as_str())).collect()
}

fn paths(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|asked| asked.path.clone()).collect()
}

#[tokio::test]
async fn answer_that_is_no_list_is_an_error_with_what_came_instead() {
    let cases: [(&str, &str, &str); 9] = [
        ("<html><form>Đăng nhập</form></html>", LIST, "no JSON came"),
        ("", LIST, "no JSON came"),
        (r#"{"maLoi":401,"thongBao":"Hết phiên"}"#, LIST, "maLoi, thongBao"),
        (r#"{"data":{"a":1}}"#, LIST, "no list at $"),
        (r#"{"data":"none"}"#, LIST, "no list at $"),
        ("[]", LIST, "a list of 0"),
        (r#"{"data":[{"id":1,"lon":1e400,"lat":11}]}"#, LIST, "number out of range"),
        (r#"{"data":[],"total":"many"}"#, &format!("{LIST}total = \"$.total\""), "no number of items"),
        (
            r#"{"data":[],"next":{"a":1}}"#,
            &format!("{LIST}paging = {{ by = \"cursor\", next = \"$.next\" }}"),
            "leads nowhere",
        ),
    ];
    for (body, mapping, word) in cases {
        let error = answered(body, mapping).await.unwrap_err();
        assert!(error.code() == "malformed" && error.to_string().contains(word), "{body}: {error}");
    }
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(answered(deep, LIST).await.unwrap_err().code(), "malformed");
    let nothing = format!("{{\"data\":[{}0]}}", "0,".repeat(4_000_000));
    let error = answered(nothing, LIST).await.unwrap_err();
    assert!(error.to_string().contains("4000001 items"), "{error}");
    assert!(common::peak_mb() < 512, "{} MB", common::peak_mb());
    let large = format!("{{\"data\":[],\"x\":\"{}\"}}", "x".repeat(17 << 20));
    assert_eq!(answered(large, LIST).await.unwrap_err().code(), "too_large");
    assert_eq!(answered(&b"{\"data\":[{\"id\":1"[..], LIST).await.unwrap_err().code(), "truncated");
    assert_eq!(answered(&b"{\"data\":[\"\xff\"]}"[..], LIST).await.unwrap_err().code(), "malformed");
    assert_eq!(features(answered(r#"{"data":null}"#, LIST).await).features.len(), 0, "as some write an empty list");
}

#[tokio::test]
async fn bad_items_cost_a_row_each() {
    let body = r#"{"data":[
        {"id":1,"lon":106.1,"lat":11.2},
        {"lon":106.1,"lat":11.2},
        {"id":3,"lon":null,"lat":11.2},
        {"id":4,"lon":"x","lat":11.2},
        {"id":5,"lon":1e300,"lat":11.2},
        null,
        [1,2],
        {"id":{"a":null},"lon":106.1,"lat":11.2},
        {"id":1,"lon":106.2,"lat":11.2},
        {"id":"10","lon":"106.3","lat":"11,2"}
    ]}"#;
    let collection = features(answered(body, LIST).await);
    assert_eq!(collection.features.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["1", "10"]);
    let expected = [
        (2, "id_missing"),
        (3, "geometry_missing"),
        (4, "geometry_invalid"),
        (5, "coordinate_range"),
        (6, "id_missing"),
        (7, "id_missing"),
        (8, "id_missing"),
        (9, "duplicate_id"),
    ];
    assert_eq!(rejected(&collection), expected);
}

#[tokio::test]
async fn metres_are_read_in_the_order_that_the_profile_says() {
    let body = r#"{"data":[{"id":1,"x":1250153.911,"y":568469.126}]}"#;
    let grid = "items = \"$.data\"\nid = \"$.id\"\nx = \"$.x\"\ny = \"$.y\"\ncrs = 9209\norder = \"xy-vn\"";
    let collection = features(answered(body, grid).await);
    let Geometry::Point(Point(at)) = collection.features[0].geometry else { panic!("no point") };
    assert!((at.x - 106.129).abs() < 1e-6 && (at.y - 11.304).abs() < 1e-6, "{at:?}");
    let unknown = grid.replace("9209", "27700");
    let error = answered(body, &unknown).await.unwrap_err();
    assert!(error.to_string().contains("EPSG:27700"), "{error}");
}

#[tokio::test]
async fn pages_end_where_the_list_ends_and_not_before() {
    let paged = format!("{LIST}paging = {{ by = \"page\", size_param = \"size\", size = 100 }}");
    let number =
        |asked: &common::server::Asked| asked.query("page").and_then(|page| page.parse::<usize>().ok()).unwrap();
    // Capped in silence: 40 a page.
    let (root, log) = serve(move |asked| {
        let from = (number(asked) - 1) * 40;
        ok(page(from..(from + 40).min(95).max(from), ""))
    })
    .await;
    assert_eq!(features(fetch(&root, &paged, None).await).features.len(), 95);
    assert_eq!(paths(&log), ["/?page=1&size=100", "/?page=2&size=100", "/?page=3&size=100"]);
    // There is nothing behind a short first page, and the server says so by 404.
    let (root, _) = serve(move |asked| match number(asked) {
        1 => ok(page(0..7, "")),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    assert_eq!(features(fetch(&root, &paged, None).await).features.len(), 7);
    // Who ignores where a page begins sends the same again, or two by turns.
    for turns in [1, 2] {
        let (root, _) =
            serve(move |asked| ok(page((number(asked) % turns) * 100..(number(asked) % turns) * 100 + 100, ""))).await;
        let error = fetch(&root, &paged, None).await.unwrap_err();
        assert!(error.code() == "malformed" && error.to_string().contains("page"), "{error}");
    }
    // With a total, a page that is missing is missed.
    let counted = format!("total = \"$.n\"\n{paged}");
    let (root, _) = serve(move |asked| ok(page(0..if number(asked) == 1 { 100 } else { 0 }, r#","n":150"#))).await;
    let error = fetch(&root, &counted, None).await.unwrap_err();
    assert!(error.to_string().contains("150 features were announced, 100 came"), "{error}");
    let (root, _) = serve(move |asked| {
        let n = number(asked);
        ok(page((n - 1) * 100..n * 100, &format!(r#","n":{}"#, 300 + n)))
    })
    .await;
    assert_eq!(fetch(&root, &counted, None).await.unwrap_err().code(), "changed");
}

#[tokio::test]
async fn next_addresses_stay_on_their_server() {
    let by_address = format!("{LIST}paging = {{ by = \"cursor\", next = \"$.next\" }}");
    let (elsewhere, overheard) = serve(|_| ok(page(0..1, ""))).await;
    let next = format!(r#","next":"{elsewhere}""#);
    let (root, _) = serve(move |_| ok(page(0..1, &next))).await;
    let error = fetch(&root, &by_address, None).await.unwrap_err();
    assert!(error.code() == "malformed" && error.to_string().contains("another server"), "{error}");
    assert!(paths(&overheard).is_empty());
    let (root, _) = serve(|_| ok(page(0..0, r#","next":"?p=2""#))).await;
    let error = fetch(&root, &by_address, None).await.unwrap_err();
    assert!(error.to_string().contains("an empty page"), "{error}");
}

#[tokio::test]
async fn one_answer_is_asked_for_with_what_is_held() {
    let (root, log) = serve(|asked| match asked.header("if-none-match") {
        Some("\"v1\"") => answer("304 Not Modified", "", ""),
        _ => answer("200 OK", "ETag: \"v1\"\r\n", page(0..3, "")),
    })
    .await;
    let first = features(fetch(&root, LIST, None).await);
    assert_eq!(first.validator.as_deref(), Some("\"v1\""));
    assert!(matches!(fetch(&root, LIST, Some("\"v1\"")).await, Ok(Fetched::NotModified)));
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn organization_that_no_location_places_is_named() {
    let organization =
        |id: &str| format!(r#"{{"resource":{{"resourceType":"Organization","id":"{id}","name":"{id}"}}}}"#);
    let location = |of: &str, position: &str| {
        format!(
            r#"{{"search":{{"mode":"include"}},"resource":{{"resourceType":"Location","id":"l","managingOrganization":{{"reference":"{of}"}}{position}}}}}"#
        )
    };
    let at = r#","position":{"longitude":106.1,"latitude":11.3}"#;
    let entries = [
        organization("a"),
        organization("b"),
        organization("c"),
        organization("d"),
        location("Organization/a", at),
        location("Organization/b", ""),
        location("https://h/fhir/Organization/c/_history/2", at),
    ];
    let body = format!(r#"{{"resourceType":"Bundle","type":"searchset","total":4,"entry":[{}]}}"#, entries.join(","));
    let collection = features(answered(body, "ready = \"fhir-organization\"").await);
    assert_eq!(collection.features.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(rejected(&collection), [(2, "geometry_missing"), (4, "geometry_missing")]);
    for (body, ready) in
        [("[]", "fhir-location"), (r#"{"resourceType":"Patient"}"#, "fhir-location"), ("{}", "ngsi-ld")]
    {
        assert_eq!(answered(body, &format!("ready = \"{ready}\"")).await.unwrap_err().code(), "malformed", "{body}");
    }
    let empty = features(
        answered(r#"{"resourceType":"Bundle","type":"searchset","total":0}"#, "ready = \"fhir-location\"").await,
    );
    assert!(empty.features.is_empty());
}
