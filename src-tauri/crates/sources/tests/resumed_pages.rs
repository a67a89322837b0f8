//! A walk through pages that was cut goes on where it ended, and never mixes two states of a collection.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Asked, Log, answer, cut, ok, serve};
use common::{features, point, wanted};
use model::Protocol;
use sources::{Client, FetchError, Fetched, Url, service};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn fetch(protocol: Protocol, root: &Url, staging: &Path) -> Result<Fetched, FetchError> {
    service(protocol).unwrap().fetch(&Client::default(), wanted(root, "communes", staging), &mut |_, _| {}).await
}

fn offset(asked: &Asked) -> usize {
    let words = ["offset", "startindex", "resultoffset"];
    words.iter().find_map(|word| asked.query(word)?.parse().ok()).unwrap_or(0)
}

/// The pages that were asked for since the last look, by where they begin.
fn pages(log: &Log) -> Vec<usize> {
    let seen = std::mem::take(&mut *log.lock().unwrap());
    let is_page = |asked: &&Asked| {
        asked.path.contains("/items")
            || (asked.query("request").as_deref() == Some("GetFeature") && asked.query("resulttype").is_none())
            || asked.query("resultoffset").is_some()
    };
    seen.iter().filter(is_page).map(offset).collect()
}

/// What a test changes of the server between two tries.
#[derive(Default)]
struct Turn(AtomicUsize);

impl Turn {
    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn next(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn rows(from: usize, to: usize, word: &str) -> String {
    (from..to).map(|i| point(&format!("{word}{i}"), 106.1, 11.1 + i as f64 / 1_000.0)).collect::<Vec<_>>().join(",")
}

/// A page of two of `total` features.
fn page(asked: &Asked, total: usize, word: &str) -> String {
    let from = offset(asked);
    let to = total.min(from + 2);
    let next = if to < total { format!(r#"{{"rel":"next","href":"?offset={to}&limit=2"}}"#) } else { String::new() };
    format!(
        r#"{{"type":"FeatureCollection","timeStamp":"{}","numberMatched":{total},"links":[{next}],"features":[{}]}}"#,
        asked.nth,
        rows(from, to, word)
    )
}

/// OGC API: the first try is cut in the page that begins at 6; what comes then is up to `then`.
async fn broken(then: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> (Url, Log, Arc<Turn>) {
    let turn = Arc::new(Turn::default());
    let seen = turn.clone();
    let (root, log) = serve(move |asked| match (seen.now(), offset(asked)) {
        _ if !asked.path.contains("/items") => answer("404 Not Found", "", ""),
        (0, 6) => cut(ok(page(asked, 10, "c"))),
        (0, _) => ok(page(asked, 10, "c")),
        _ => then(asked),
    })
    .await;
    (root, log, turn)
}

const OGC: Protocol = Protocol::OgcApiFeatures;

#[tokio::test]
async fn a_cut_walk_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (root, log, turn) = broken(|asked| ok(page(asked, 10, "c"))).await;
    let error = fetch(OGC, &root, folder.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::Truncated { .. } | FetchError::Reset { .. }), "{error}");
    assert_eq!(pages(&log), [0, 2, 4, 6]);
    turn.next();
    let whole = features(fetch(OGC, &root, folder.path()).await);
    assert_eq!(pages(&log), [0, 6, 8], "the first page tells whether the rest still stands");
    let ids: Vec<String> = whole.features.iter().map(|feature| feature.id.clone()).collect();
    assert_eq!(ids, (0..10).map(|i| format!("c{i}")).collect::<Vec<_>>());
    assert!(whole.announced);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of a walk that came to its end");
    fetch(OGC, &root, folder.path()).await.unwrap();
    assert_eq!(pages(&log), [0, 2, 4, 6, 8]);
}

#[tokio::test]
async fn what_changed_is_fetched_anew() {
    // Another first page, another number of features, another validator of the first page.
    let changed: [fn(&Asked) -> Vec<u8>; 3] = [
        |asked| ok(page(asked, 10, if offset(asked) == 0 { "d" } else { "c" })),
        |asked| ok(page(asked, 12, "c")),
        |asked| answer("200 OK", "ETag: \"2\"\r\n", page(asked, 10, "c")),
    ];
    for then in changed {
        let folder = tempfile::tempdir().unwrap();
        let (root, log, turn) = broken(then).await;
        fetch(OGC, &root, folder.path()).await.unwrap_err();
        pages(&log);
        turn.next();
        fetch(OGC, &root, folder.path()).await.unwrap();
        assert_eq!(pages(&log)[..5], [0, 2, 4, 6, 8]);
    }
}

#[tokio::test]
async fn pages_with_validators_are_asked_whether_they_still_stand() {
    let folder = tempfile::tempdir().unwrap();
    let turn = Arc::new(Turn::default());
    let seen = turn.clone();
    // Each page has a tag of its own; that of 4 changes between the tries.
    let (root, log) = serve(move |asked| {
        if !asked.path.contains("/items") {
            return answer("404 Not Found", "", "");
        }
        let (now, from) = (seen.now(), offset(asked));
        let (tag, word) =
            if (now, from) == (1, 4) { ("\"4-new\"".to_owned(), "new") } else { (format!("\"{from}\""), "c") };
        if asked.header("if-none-match").is_some_and(|known| known == tag) {
            return b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_vec();
        }
        let whole = answer("200 OK", &format!("ETag: {tag}\r\n"), page(asked, 10, word));
        if (now, from) == (0, 6) { cut(whole) } else { whole }
    })
    .await;
    fetch(OGC, &root, folder.path()).await.unwrap_err();
    turn.next();
    log.lock().unwrap().clear();
    let whole = features(fetch(OGC, &root, folder.path()).await);
    let asked: Vec<(usize, bool)> = log
        .lock()
        .unwrap()
        .iter()
        .filter(|asked| asked.path.contains("/items"))
        .map(|asked| (offset(asked), asked.header("if-none-match").is_some()))
        .collect();
    assert_eq!(asked[..5], [(0, false), (2, true), (4, true), (6, false), (8, false)]);
    assert!(
        whole.features.iter().any(|feature| feature.id == "new4")
            && !whole.features.iter().any(|feature| feature.id == "c4")
    );
}

#[tokio::test]
async fn bad_pages_and_damaged_files_are_not_kept() {
    // A page that is no JSON: the next try asks for it again.
    let folder = tempfile::tempdir().unwrap();
    let turn = Arc::new(Turn::default());
    let seen = turn.clone();
    let (root, log) = serve(move |asked| match (seen.now(), offset(asked)) {
        _ if !asked.path.contains("/items") => answer("404 Not Found", "", ""),
        (0, 4) => ok("<html>Bảo trì</html>"),
        _ => ok(page(asked, 10, "c")),
    })
    .await;
    assert!(matches!(fetch(OGC, &root, folder.path()).await, Err(FetchError::Malformed { .. })));
    pages(&log);
    turn.next();
    assert_eq!(features(fetch(OGC, &root, folder.path()).await).features.len(), 10);
    assert_eq!(pages(&log), [0, 4, 6, 8]);

    // A byte that changed on the disk, a file cut short, another program's file.
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| {
            let at = bytes.len() - 40;
            bytes[at] ^= 1;
        },
        |bytes| bytes.truncate(bytes.len() - 9),
        |bytes| *bytes = b"\x00\xff not ours".to_vec(),
    ];
    for damage in damages {
        let (root, log, turn) = broken(|asked| ok(page(asked, 10, "c"))).await;
        fetch(OGC, &root, folder.path()).await.unwrap_err();
        let path = folder.path().join("communes.pages");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        pages(&log);
        turn.next();
        let whole = features(fetch(OGC, &root, folder.path()).await);
        assert_eq!((whole.features.len(), whole.report.rejected.len()), (10, 0));
        assert!(pages(&log).contains(&4));
    }
}

#[tokio::test]
async fn wfs_and_arcgis_go_on_too() {
    for protocol in [Protocol::Wfs, Protocol::ArcGis] {
        let folder = tempfile::tempdir().unwrap();
        let turn = Arc::new(Turn::default());
        let seen = turn.clone();
        let (root, log) = serve(move |asked| {
            let whole = if protocol == Protocol::Wfs { wfs(asked) } else { arcgis(asked) };
            if seen.now() == 0 && offset(asked) == 6 { cut(whole) } else { whole }
        })
        .await;
        let root = root.join(if protocol == Protocol::Wfs { "/wfs" } else { "/FeatureServer/0" }).unwrap();
        fetch(protocol, &root, folder.path()).await.unwrap_err();
        assert_eq!(pages(&log), [0, 2, 4, 6], "{protocol:?}");
        turn.next();
        assert_eq!(features(fetch(protocol, &root, folder.path()).await).features.len(), 10, "{protocol:?}");
        assert_eq!(pages(&log), [0, 6, 8], "{protocol:?}");
    }
}

fn wfs(asked: &Asked) -> Vec<u8> {
    match asked.query("request").as_deref() {
        Some("GetCapabilities") => ok(
            "<WFS_Capabilities version='2.0.0' xmlns='http://www.opengis.net/wfs/2.0' xmlns:ows='http://www.opengis.net/ows/1.1'>\
             <ows:OperationsMetadata><ows:Operation name='GetFeature'><ows:Parameter name='outputFormat'><ows:AllowedValues><ows:Value>application/json</ows:Value></ows:AllowedValues></ows:Parameter></ows:Operation>\
             <ows:Constraint name='ImplementsResultPaging'><ows:DefaultValue>TRUE</ows:DefaultValue></ows:Constraint></ows:OperationsMetadata>\
             <FeatureTypeList><FeatureType><Name>communes</Name><DefaultCRS>urn:ogc:def:crs:EPSG::4326</DefaultCRS><OtherCRS>urn:ogc:def:crs:OGC:1.3:CRS84</OtherCRS></FeatureType></FeatureTypeList></WFS_Capabilities>",
        ),
        _ if asked.query("resulttype").is_some() => ok(
            "<wfs:FeatureCollection xmlns:wfs='http://www.opengis.net/wfs/2.0' numberMatched='10' numberReturned='0'/>",
        ),
        _ => ok(page(asked, 10, "c")),
    }
}

fn arcgis(asked: &Asked) -> Vec<u8> {
    if asked.query("returncountonly").is_some() {
        return ok(r#"{"count":10}"#);
    }
    if asked.query("resultoffset").is_none() {
        return ok(
            r#"{"id":0,"name":"communes","maxRecordCount":2,"supportedQueryFormats":"JSON, geoJSON","fields":[{"name":"name","type":"esriFieldTypeString"}],"advancedQueryCapabilities":{"supportsPagination":true}}"#,
        );
    }
    let from = offset(asked);
    let exceeded = from + 2 < 10;
    ok(format!(
        r#"{{"type":"FeatureCollection","properties":{{"exceededTransferLimit":{exceeded}}},"features":[{}]}}"#,
        rows(from, from + 2, "c")
    ))
}
