//! Public warnings as a layer: there while they hold, gone when they are cancelled or have expired.

#![allow(clippy::unwrap_used)]

use desk::{Desk, Options, QueryArgs, Timestamp};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn alert(id: &str, kind: &str, references: &str) -> String {
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{id}</identifier><sender>s</sender>\
         <sent>2026-11-28T08:00:00+07:00</sent><status>Actual</status><msgType>{kind}</msgType><scope>Public</scope>\
         <references>{references}</references><info><language>vi</language><event>Lũ</event><urgency>Expected</urgency>\
         <severity>Severe</severity><certainty>Likely</certainty><expires>2026-11-28T18:00:00+07:00</expires>\
         <headline>{id}</headline><area><areaDesc>Trảng Bàng</areaDesc><polygon>11.0,106.3 11.1,106.3 11.1,106.4 \
         11.0,106.3</polygon></area></info></alert>"
    )
}

fn feed(alerts: &[String]) -> String {
    let entries: String = alerts.iter().map(|alert| format!("<entry><content>{alert}</content></entry>")).collect();
    format!("<feed xmlns=\"http://www.w3.org/2005/Atom\">{entries}</feed>")
}

/// A server of one answer, which may change; none while it is empty.
async fn serve(body: Arc<Mutex<String>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/feed", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8_192];
            let _ = stream.read(&mut request).await;
            let body = body.lock().unwrap().clone();
            if !body.is_empty() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        }
    });
    address
}

/// The built-in province with a layer of warnings.
fn profile(dir: &Path, url: &str) -> std::path::PathBuf {
    let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
    let to = dir.join("maps");
    fs::create_dir_all(to.join("data")).unwrap();
    for entry in fs::read_dir(maps.join("data")).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, to.join("data").join(from.file_name().unwrap())).unwrap();
    }
    fs::write(to.join("data/none.geojson"), "{\"type\":\"FeatureCollection\",\"features\":[]}").unwrap();
    let profile = fs::read_to_string(maps.join("profile.toml")).unwrap();
    let more = format!(
        "\n[[sources]]\nid = \"warnings\"\nprotocol = \"cap\"\ntitle = {{ vi = \"a\", en = \"a\" }}\nurl = \"{url}\"\n\
         every = \"1m\"\n[[layers]]\nid = \"warnings\"\nkind = \"other\"\ngroup = \"environment\"\n\
         title = {{ vi = \"Cảnh báo\", en = \"Warnings\" }}\ngeometry = \"polygon\"\nfile = \"data/none.geojson\"\n\
         feature_source = \"warnings\"\nfreshness = \"5m\"\nas_of = \"2026-11-01\"\nprovider = {{ vi = \"a\", en = \"a\" }}\n\
         licence = \"x\"\nname_field = \"name\"\n"
    );
    fs::write(to.join("profile.toml"), profile + &more).unwrap();
    to
}

fn names(desk: &Desk) -> Vec<String> {
    let args: QueryArgs = serde_json::from_value(serde_json::json!({"layer": "warnings"})).unwrap();
    let features = desk.query(&args).unwrap().features;
    features.iter().map(|feature| feature["properties"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn warnings_come_and_go_with_their_feed_and_their_time() {
    let body = Arc::new(Mutex::new(feed(&[alert("A1", "Alert", ""), alert("B1", "Alert", "")])));
    let url = serve(body.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let time: Arc<Mutex<Timestamp>> = Arc::new(Mutex::new("2026-11-28T03:00:00Z".parse().unwrap()));
    let clock = time.clone();
    let options = Options {
        profile: Some(profile(dir.path(), &url)),
        clock: Arc::new(move || *clock.lock().unwrap()),
        ..Options::at(dir.path().join("home"))
    };
    let (desk, notices) = Desk::open(options).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let sync = || desk.sync_once(Some("warnings"));
    assert_eq!(sync().await.unwrap(), (1, 0));
    assert_eq!(names(&desk), ["A1", "B1"]);
    assert_eq!(sync().await.unwrap(), (0, 0), "the same again changes nothing");

    *body.lock().unwrap() =
        feed(&[alert("A1", "Alert", ""), alert("B1", "Alert", ""), alert("A2", "Cancel", "s,A1,x")]);
    sync().await.unwrap();
    assert_eq!(names(&desk), ["B1"]);

    *body.lock().unwrap() = feed(&["<alert><identifier>C</identifier></alert>".into()]);
    assert_eq!(sync().await.unwrap_err().code, "empty_answer");
    assert_eq!(names(&desk), ["B1"], "what cannot be read takes nothing away");

    body.lock().unwrap().clear();
    *time.lock().unwrap() = "2026-11-28T11:00:00Z".parse().unwrap();
    sync().await.unwrap_err();
    assert_eq!(names(&desk), [""; 0], "a warning ends at its time, though nobody answers");

    *body.lock().unwrap() = feed(&[]);
    assert_eq!(sync().await.unwrap(), (0, 0));
}

#[tokio::test]
async fn areas_named_by_code_are_those_of_the_communes() {
    let named = |id: &str, code: &str| {
        let drawn = alert(id, "Alert", "");
        let (before, rest) = drawn.split_once("<polygon>").unwrap();
        let (_, behind) = rest.split_once("</polygon>").unwrap();
        format!("{before}<geocode><valueName>xa</valueName><value>{code}</value></geocode>{behind}")
    };
    // Tân Ninh of today, a ward that became part of it, the whole province, a code of elsewhere.
    let alerts = [named("N", "25459"), named("F", "25456"), named("P", "80"), named("X", "00001")];
    let url = serve(Arc::new(Mutex::new(feed(&alerts)))).await;
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        profile: Some(profile(dir.path(), &url)),
        clock: Arc::new(|| "2026-11-28T03:00:00Z".parse().unwrap()),
        ..Options::at(dir.path().join("home"))
    };
    let (desk, _) = Desk::open(options).unwrap();
    desk.sync_once(Some("warnings")).await.unwrap();
    assert_eq!(names(&desk), ["F", "N", "P"]);
    let args = |json| serde_json::from_value::<QueryArgs>(json).unwrap();
    // The middle of Tân Ninh lies in all three, Tân An in the last alone.
    let at = |lon: f64, lat: f64| {
        let found = desk.query(&args(serde_json::json!({"layer": "warnings", "at": [lon, lat]}))).unwrap().features;
        found.iter().map(|feature| feature["properties"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((at(106.1, 11.31).len(), at(106.41, 10.54)), (3, vec!["P".to_owned()]));
}
