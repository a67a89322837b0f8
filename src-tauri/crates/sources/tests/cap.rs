//! CAP 1.2: updates, cancellations, expiry, languages, shapes, feeds over HTTP, and documents that mean harm.
#![allow(clippy::unwrap_used)]

use geo_types::{Coord, Geometry};
use model::{Feature, Protocol, Timestamp};
use proptest::prelude::*;
use sources::cap::{Alert, features, in_force, parse};
use sources::{Client, FetchError, Fetched, Url, Wanted, service};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn now() -> Timestamp {
    "2026-11-28T03:00:00Z".parse().unwrap()
}

fn info(language: &str, headline: &str, expires: &str) -> String {
    format!(
        "<info><language>{language}</language><category>Met</category><event>Flood</event><urgency>Expected</urgency>\
         <severity>Severe</severity><certainty>Likely</certainty><expires>{expires}</expires>\
         <headline>{headline}</headline><area><areaDesc>Trảng Bàng</areaDesc>\
         <polygon>11.0,106.3 11.1,106.3 11.1,106.4 11.0,106.3</polygon>\
         <geocode><valueName>commune</valueName><value>25708</value></geocode></area></info>"
    )
}

fn alert(id: &str, kind: &str, references: &str, infos: &str) -> String {
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{id}</identifier><sender>kttv@example.vn</sender>\
         <sent>2026-11-28T08:00:00+07:00</sent><status>Actual</status><msgType>{kind}</msgType><scope>Public</scope>\
         <references>{references}</references>{infos}</alert>"
    )
}

const LATER: &str = "2026-11-28T18:00:00+07:00";

fn read(xml: &str) -> Alert {
    parse(xml.as_bytes()).unwrap().alerts.remove(0).unwrap()
}

fn shown(alerts: &[Alert], now: Timestamp) -> Vec<Feature> {
    features(&in_force(alerts, now), now, None).0
}

#[test]
fn an_alert_becomes_its_areas_longitude_first_vietnamese_with_english_beside() {
    let infos = info("en-US", "Flood on the Vàm Cỏ Đông", LATER) + &info("vi-VN", "Lũ trên sông Vàm Cỏ Đông", LATER);
    let alerts = [read(&alert("A1", "Alert", "", &infos))];
    let all = shown(&alerts, now());
    assert_eq!(all.len(), 1);
    let text = |name: &str| all[0].text(name).unwrap_or_default();
    assert_eq!((text("name"), text("name_en")), ("Lũ trên sông Vàm Cỏ Đông", "Flood on the Vàm Cỏ Đông"));
    assert_eq!((text("severity"), text("urgency"), text("certainty")), ("Severe", "Expected", "Likely"));
    assert_eq!((text("expires"), text("geocodes")), ("2026-11-28T11:00:00Z", "commune=25708"));
    let Geometry::Polygon(polygon) = &all[0].geometry else { panic!("{:?}", all[0].geometry) };
    assert_eq!(polygon.exterior().0[1], Coord { x: 106.3, y: 11.1 });
}

#[test]
fn updated_cancelled_and_expired_alerts_and_exercises_are_gone() {
    let first = read(&alert("A1", "Alert", "", &info("vi", "1", LATER)));
    let update = read(&alert("A2", "Update", "kttv@example.vn,A1,2026-11-28T08:00:00+07:00", &info("vi", "2", LATER)));
    let cancel = read(&alert("A3", "Cancel", "kttv@example.vn,A2,2026-11-28T08:00:00+07:00", ""));
    let other = read(&alert("B1", "Alert", "", &info("vi", "3", "2026-11-28T09:30:00+07:00")));
    let exercise = read(&alert("E1", "Alert", "", &info("vi", "4", LATER)).replace("Actual", "Exercise"));
    let fake = read(&alert("E2", "Cancel", "kttv@example.vn,A1,x", "").replace("Actual", "Test"));
    let names = |alerts: &[Alert]| -> Vec<String> {
        shown(alerts, now()).iter().map(|feature| feature.text("name").unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[first.clone(), first.clone(), fake]), ["1"], "once, and a test cancels nothing");
    assert_eq!(names(&[update.clone(), first.clone()]), ["2"], "in any order");
    assert_eq!(names(&[first.clone(), update, cancel]), [""; 0]);
    assert_eq!(names(&[other, exercise]), [""; 0]);
    let evening = "2026-11-28T11:00:00Z".parse().unwrap();
    assert_eq!(shown(&[first], evening), [], "expired to the second");
}

#[test]
fn circles_have_their_radius_and_areas_without_shape_are_named() {
    let circle = info("vi", "c", LATER)
        .replace("<polygon>11.0,106.3 11.1,106.3 11.1,106.4 11.0,106.3</polygon>", "<circle>11.03,106.36 2.5</circle>");
    let bare = info("vi", "d", LATER).replace("<polygon>11.0,106.3 11.1,106.3 11.1,106.4 11.0,106.3</polygon>", "");
    let alerts = [read(&alert("C1", "Alert", "", &(circle + &bare)))];
    let (all, report) = features(&in_force(&alerts, now()), now(), None);
    let Geometry::Polygon(polygon) = &all[0].geometry else { panic!() };
    for corner in &polygon.exterior().0 {
        let distance_m = geodesy::distance_m(Coord { x: 106.36, y: 11.03 }, *corner);
        assert!((distance_m - 2_500.0).abs() < 2.5, "{distance_m}");
    }
    assert_eq!(report.rejected.len(), 1);
    assert_eq!(
        (report.rejected[0].code.as_str(), report.rejected[0].value.as_str()),
        ("geometry_missing", "commune=25708")
    );
}

/// Knows one commune.
#[derive(Debug)]
struct OneCommune;

impl sources::Areas for OneCommune {
    fn shape(&self, code: &str) -> Option<geo_types::MultiPolygon<f64>> {
        let square = geo_types::Rect::new((106.3, 11.0), (106.4, 11.1)).to_polygon();
        (code == "25708").then(|| square.into())
    }
}

#[test]
fn areas_named_by_codes_are_drawn_where_the_codes_are_known() {
    let drawn = "<polygon>11.0,106.3 11.1,106.3 11.1,106.4 11.0,106.3</polygon>";
    let bare = info("vi", "d", LATER).replace(drawn, "");
    let unknown = bare.replace("25708", "1").replace("<area>", "<area><!-- elsewhere -->");
    let alerts = [read(&alert("G1", "Alert", "", &(bare + &unknown + &info("vi", "e", LATER))))];
    let (all, report) = features(&in_force(&alerts, now()), now(), Some(&OneCommune));
    let from = |at: usize| all[at].text("drawn_from");
    assert_eq!((all.len(), from(0), from(1)), (2, Some("geocode"), None), "what is drawn stays as it is drawn");
    assert!(matches!(&all[0].geometry, Geometry::Polygon(square) if square.exterior().0.len() == 5));
    assert_eq!(report.rejected.len(), 1, "{report:?}");
}

#[test]
fn a_bad_alert_says_what_is_wrong_with_it() {
    let good = alert("A1", "Alert", "", &info("vi", "1", LATER));
    for (from, to, word) in [
        ("<identifier>A1</identifier>", "", "identifier"),
        ("08:00:00+07:00", "08:00", "instant"),
        (LATER, "tomorrow", "expires"),
        ("11.0,106.3 11.1", "106.3,11.0 11.1", "lat,lon"),
        ("11.1,106.3 11.1,106.4 ", "", "corners"),
    ] {
        let document = parse(good.replace(from, to).as_bytes()).unwrap();
        let reason = document.alerts[0].clone().unwrap_err();
        assert!(reason.contains(word), "{word}: {reason}");
    }
}

#[test]
fn document_types_entities_and_depth_are_refused() {
    let bomb = "<!DOCTYPE a [<!ENTITY x \"y\">]><alert><identifier>&x;</identifier></alert>";
    assert!(parse(bomb.as_bytes()).unwrap_err().contains("document type"));
    assert!(parse(b"<alert><identifier>&x;</identifier></alert>").unwrap_err().contains("entity"));
    assert!(parse("<a>".repeat(100_000).as_bytes()).unwrap_err().contains("elements"));
    assert!(parse(b"<alert><identifier>1</alert>").is_err());
    assert!(parse(b"<html><body/></html>").unwrap_err().contains("html"));
    assert!(parse(b"").is_err() && parse(b"<alert>").is_err() && parse(b"\xff\xfe<").is_err());
    let escaped = alert("A&amp;1", "Alert", "", "").replace("kttv", "k&#116;tv");
    assert_eq!((read(&escaped).identifier.as_str(), read(&escaped).sender.as_str()), ("A&1", "kttv@example.vn"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_cut_and_no_changed_byte_makes_it_panic(at in 0_usize..900, byte in any::<u8>()) {
        let mut bytes = alert("A1", "Alert", "", &info("vi", "1", LATER)).into_bytes();
        let at = at.min(bytes.len() - 1);
        let _ = parse(&bytes[..at]);
        bytes[at] = byte;
        if let Ok(document) = parse(&bytes) {
            let alerts: Vec<Alert> = document.alerts.into_iter().flatten().collect();
            let _ = features(&in_force(&alerts, now()), now(), None);
        }
    }
}

/// A server of fixed answers; `{root}` in them is its address.
async fn serve(pages: &[(&str, String)]) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let pages: HashMap<String, String> =
        pages.iter().map(|(path, body)| ((*path).to_owned(), body.replace("{root}", &root))).collect();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8_192];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (status, body) = pages.get(path).map_or(("404 Not Found", ""), |body| ("200 OK", body.as_str()));
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes()).await;
        }
    });
    Url::parse(&root).unwrap()
}

async fn names(feed: Url) -> Result<(Vec<String>, usize), FetchError> {
    let wanted = Wanted {
        root: &feed,
        layer: "warnings",
        collection: None,
        id_field: None,
        mapping: None,
        changed_field: None,
        login: None,
        validator: None,
        province: [105.4, 10.3, 106.9, 11.8].into(),
        at_most: None,
        now: now(),
        areas: None,
        staging: std::path::Path::new("/proc/nowhere"),
    };
    let fetched = service(Protocol::Cap).unwrap().fetch(&Client::default(), wanted, &mut |_, _| ()).await?;
    let Fetched::Features(collection) = fetched else { panic!("not modified") };
    let names = collection.features.iter().map(|feature| feature.text("name").unwrap().to_owned()).collect();
    Ok((names, collection.report.rejected.len()))
}

#[tokio::test]
async fn feeds_that_link_and_feeds_that_embed_give_the_same() {
    let first = alert("A1", "Alert", "", &info("vi", "1", LATER));
    let second = alert("A2", "Alert", "", &info("vi", "2", LATER));
    let atom = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><link rel=\"alternate\" href=\"/page\"/>\
                <link type=\"application/cap+xml\" href=\"{root}/a1\"/></entry><entry><link href=\"a2\"/></entry></feed>";
    let rss = format!(
        "<rss version=\"2.0\"><channel><item><link>{{root}}/a1</link></item><item><cap:alert \
         xmlns:cap=\"urn:oasis:names:tc:emergency:cap:1.2\">{}</item></channel></rss>",
        second.split_once('>').unwrap().1.replace("</alert>", "</cap:alert>")
    );
    let root = serve(&[
        ("/atom", atom.into()),
        ("/rss", rss),
        ("/a1", first),
        ("/a2", second),
        ("/broken", atom.replace("a2", "page")),
        ("/page", "<html/>".into()),
        ("/lost", atom.replace("a2", "nothing")),
        ("/away", atom.replace("a2", "http://127.0.0.2:1/a")),
    ])
    .await;
    let feed = |path: &str| root.join(path).unwrap();
    for path in ["/atom", "/rss"] {
        assert_eq!(names(feed(path)).await.unwrap(), (vec!["1".to_owned(), "2".to_owned()], 0), "{path}");
    }
    assert_eq!(names(feed("/a1")).await.unwrap().0, ["1"], "an alert is a feed of one");
    assert_eq!(names(feed("/broken")).await.unwrap(), (vec!["1".to_owned()], 1));
    assert_eq!(names(feed("/lost")).await.unwrap_err().code(), "status", "half a feed is none");
    assert_eq!(names(feed("/away")).await.unwrap_err().code(), "malformed", "no other server is asked");
}
