//! A layer as one file on a web server: conditions, packing, and transfers that are cut.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Asked, Log, answer, cut, ok, serve};
use common::{collection, features, point, wanted};
use model::Protocol;
use sources::{Client, ClientOptions, FetchError, Fetched, Url, Wanted, service};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

async fn fetch(wanted: Wanted<'_>) -> Result<Fetched, FetchError> {
    let options = ClientOptions {
        idle_timeout: Duration::from_millis(700),
        body_limit_bytes: 1 << 20,
        ..ClientOptions::default()
    };
    service(Protocol::File).unwrap().fetch(&Client::with(options), wanted, &mut |_, _| {}).await
}

fn schools(count: usize) -> String {
    collection(&(0..count).map(|i| point(&format!("s{i}"), 106.1, 11.1)).collect::<Vec<_>>())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn ranges(log: &Log) -> Vec<Option<String>> {
    log.lock().unwrap().iter().map(|asked| asked.header("range").map(str::to_owned)).collect()
}

fn left(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// A web server that knows ranges; the first answers are cut.
fn ranged(asked: &Asked, body: &str, tag: &str, cuts: usize) -> Vec<u8> {
    let headers = format!("ETag: {tag}\r\nContent-Type: application/geo+json\r\n");
    let start = asked.header("range").filter(|_| asked.header("if-range") == Some(&tag.to_ascii_lowercase()));
    let whole = match start.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()) {
        Some(start) => {
            let range = format!("Content-Range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len());
            answer("206 Partial Content", &(headers + &range), &body[start..])
        }
        None => answer("200 OK", &headers, body),
    };
    if asked.nth < cuts { cut(whole) } else { whole }
}

#[tokio::test]
async fn a_file_comes_whole_and_only_when_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let date = "Mon, 23 Nov 2026 14:00:00 GMT";
    let (root, log) = serve(move |asked| match asked.path.as_str() {
        "/data/tagged.geojson" if asked.header("if-none-match") == Some("\"1\"") => answer("304 Not Modified", "", ""),
        "/data/tagged.geojson" => answer("200 OK", "ETag: \"1\"\r\n", schools(3)),
        "/data/dated.csv" if asked.header("if-modified-since") == Some(&date.to_ascii_lowercase()) => {
            answer("304 Not Modified", "", "")
        }
        "/data/dated.csv" => {
            answer("200 OK", &format!("Last-Modified: {date}\r\n"), "code;name;lon;lat\na1;Trường A;106,1;11,1\n")
        }
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let root: Url = root.join("/data/").unwrap();
    let tagged = wanted(&root, "tagged", folder.path());
    let all = features(fetch(tagged).await);
    assert_eq!((all.features.len(), all.validator.as_deref()), (3, Some("\"1\"")));
    assert!(matches!(fetch(Wanted { validator: Some("\"1\""), ..tagged }).await, Ok(Fetched::NotModified)));
    let dated = Wanted { collection: Some("dated.csv"), ..tagged };
    let all = features(fetch(dated).await);
    assert_eq!((all.features[0].id.as_str(), all.validator.as_deref()), ("a1", Some(date)));
    assert_eq!(all.as_of.unwrap().to_string(), "2026-11-23T14:00:00Z");
    assert!(matches!(fetch(Wanted { validator: Some(date), ..dated }).await, Ok(Fetched::NotModified)));
    let error = fetch(wanted(&root, "gone", folder.path())).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
    assert_eq!(log.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn packed_files_are_unpacked_whoever_packed_them() {
    let folder = tempfile::tempdir().unwrap();
    let (root, _) = serve(|asked| match asked.path.as_str() {
        "/a.geojson" => answer("200 OK", "Content-Encoding: gzip\r\n", gzip(&schools(4))),
        "/a.csv.gz" => ok(gzip("id,lon,lat\nx,106.1,11.1\n")),
        "/bomb.geojson" => answer("200 OK", "Content-Encoding: gzip\r\n", gzip(&" ".repeat(2 << 20))),
        "/half.geojson" => answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(&schools(40))[..90]),
        "/br.geojson" => answer("200 OK", "Content-Encoding: br\r\n", "x"),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let of = |name: &'static str| Wanted { collection: Some(name), ..wanted(&root, "l", folder.path()) };
    assert_eq!(features(fetch(of("a.geojson")).await).features.len(), 4);
    assert_eq!(features(fetch(of("a.csv.gz")).await).features[0].id, "x");
    assert_eq!(fetch(of("bomb.geojson")).await.unwrap_err().code(), "too_large");
    assert_eq!(fetch(of("half.geojson")).await.unwrap_err().code(), "truncated");
    assert_eq!(fetch(of("br.geojson")).await.unwrap_err().code(), "malformed");
    assert_eq!(left(folder.path()), 0);
}

#[tokio::test]
async fn a_cut_transfer_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (root, log) = serve(|asked| ranged(asked, &schools(200), "\"Aa\"", 3)).await;
    let all = features(fetch(wanted(&root, "schools", folder.path())).await);
    assert_eq!((all.features.len(), all.report.rejected.len()), (200, 0));
    let len = schools(200).len();
    let (a, b) = (len / 2, len / 2 + len.div_ceil(2) / 2);
    assert_eq!(
        ranges(&log)[..3],
        [None, Some(format!("bytes={a}-")), Some(format!("bytes={b}-"))],
        "each goes on from the last byte that came"
    );
    assert_eq!(left(folder.path()), 0);
}

#[tokio::test]
async fn a_transfer_goes_on_in_the_next_fetch_and_begins_anew_when_the_file_changed() {
    for changed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (root, log) = serve(move |asked| match asked.nth {
            0 => ranged(asked, &schools(100), "\"1\"", 9),
            1 => answer("503 Service Unavailable", "", ""),
            _ if changed => ranged(asked, &schools(50), "\"2\"", 0),
            _ => ranged(asked, &schools(100), "\"1\"", 0),
        })
        .await;
        let schools_here = wanted(&root, "schools", folder.path());
        let error = fetch(schools_here).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: 503, .. }), "{error}");
        assert_eq!(left(folder.path()), 2, "the part and its note");
        let all = features(fetch(schools_here).await);
        let wanted = if changed { (50, "\"2\"") } else { (100, "\"1\"") };
        assert_eq!((all.features.len(), all.validator.as_deref().unwrap()), wanted);
        assert!(ranges(&log)[2].is_some());
        assert_eq!(left(folder.path()), 0);
    }
}

#[tokio::test]
async fn what_is_packed_on_the_fly_is_asked_for_as_it_lies_after_a_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (root, log) = serve(|asked| match asked.header("accept-encoding") {
        Some("gzip") => cut(answer("200 OK", "ETag: W/\"1\"\r\nContent-Encoding: gzip\r\n", gzip(&schools(100)))),
        _ => ranged(asked, &schools(100), "\"1\"", 2),
    })
    .await;
    assert_eq!(features(fetch(wanted(&root, "schools", folder.path())).await).features.len(), 100);
    let asked = ranges(&log);
    assert_eq!((asked[1].is_none(), asked[2].is_some()), (true, true), "{asked:?}");
}

#[tokio::test]
async fn servers_that_are_wrong_about_ranges_are_asked_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let body = schools(60);
    for wrong in ["206 Partial Content", "416 Range Not Satisfiable", "200 OK"] {
        let sent = body.clone();
        let (root, _) = serve(move |asked| match (asked.nth, asked.header("range")) {
            (0, _) => cut(answer("200 OK", "ETag: \"1\"\r\n", &sent)),
            (_, Some(_)) if wrong.starts_with("206") => {
                answer(wrong, "ETag: \"1\"\r\nContent-Range: bytes 0-9/10\r\n", &sent[..10])
            }
            (_, Some(_)) if wrong.starts_with("416") => answer(wrong, "", ""),
            _ => answer("200 OK", "ETag: \"1\"\r\n", &sent),
        })
        .await;
        assert_eq!(features(fetch(wanted(&root, "schools", folder.path())).await).features.len(), 60, "{wrong}");
    }
}

#[tokio::test]
async fn what_is_no_file_of_features_is_an_error_with_its_address_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (elsewhere, reached) = serve(|_| ok(schools(1))).await;
    let (root, _) = serve(move |asked| match asked.path.as_str() {
        "/login" => ok("<html><body>login</body></html>"),
        "/empty" => ok(""),
        "/short" => ok(&schools(9)[..300]),
        "/big" => ok(schools(20_000)),
        "/away" => answer("302 Found", &format!("Location: {elsewhere}x.geojson\r\n"), ""),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n".to_vec(),
    })
    .await;
    for (name, code) in [
        ("login", "malformed"),
        ("empty", "malformed"),
        ("short", "truncated"),
        ("big", "too_large"),
        ("away", "status"),
        ("nothing", "truncated"),
    ] {
        let error = fetch(Wanted { collection: Some(name), ..wanted(&root, "l", folder.path()) }).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        let said = error.to_string();
        assert!(said.contains("127.0.0.1") && !said.contains("l.part"), "{name}: {said}");
    }
    assert!(reached.lock().unwrap().is_empty(), "nobody else is asked");
    let (bad_rows, _) = serve(|_| ok(collection(&[point("a", 106, 11), point("b", 1060, 11)]))).await;
    let all = features(fetch(wanted(&bad_rows, "l", folder.path())).await);
    assert_eq!((all.features.len(), all.report.rejected[0].code.as_str()), (1, "coordinate_range"));
}

#[tokio::test]
async fn two_fetches_of_a_layer_do_not_write_into_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (root, _) = serve(|_| ok(schools(500))).await;
    let one = wanted(&root, "schools", folder.path());
    let (a, b, c) = tokio::join!(fetch(one), fetch(one), fetch(one));
    for all in [a, b, c] {
        assert_eq!(features(all).features.len(), 500);
    }
    assert_eq!(left(folder.path()), 0);
}
