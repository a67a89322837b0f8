//! GDAL, on which QGIS stands, reads the same features from the server as from the cache.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use support::Running;

/// `None`, with a word, where GDAL or one of its drivers is missing; the full tests install it.
fn gdal(driver: &str) -> Option<()> {
    let formats = Command::new("ogrinfo").arg("--formats").output().ok();
    let there = formats.is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(driver));
    if !there {
        assert!(std::env::var_os("TOANCANH_FULL").is_none(), "the full tests need GDAL with {driver}");
        eprintln!("SKIPPED: GDAL with {driver} is not on this machine (apt install gdal-bin)");
    }
    there.then_some(())
}

async fn run(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).env("CPL_TMPDIR", "/tmp").env_remove("http_proxy");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Id, or the name where a format has none, to properties and geometry.
fn features(path: &Path) -> BTreeMap<String, (Value, Value)> {
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let key = |feature: &Value| feature["properties"]["name"].to_string() + &feature["properties"]["code"].to_string();
    let all = document["features"].as_array().unwrap().iter();
    all.map(|feature| (key(feature), (feature["properties"].clone(), feature["geometry"].clone()))).collect()
}

fn close(a: &Value, b: &Value, within: f64) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b, within)),
        (Value::Number(a), Value::Number(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= within,
        _ => a == b,
    }
}

#[tokio::test]
async fn ogr_reads_whole_layers_and_boxes_as_they_are_in_the_cache() {
    let Some(()) = gdal("OAPIF") else { return };
    let running = Running::start().await;
    let url = format!("OAPIF:{}", running.server.url());
    let listed = run("ogrinfo", &["-ro", &url]).await;
    assert!(listed.contains("communes") && listed.contains("schools") && !listed.contains("cameras"), "{listed}");

    let cache = running.home.path().join("home/province.gpkg");
    let cache = cache.to_str().unwrap();
    for (layer, clip) in [("communes", None), ("communes", Some(["106.2", "11.0", "106.3", "11.1"])), ("schools", None)]
    {
        let read = async |source: &str, name: &str| {
            let out = running.home.path().join(format!("{name}.geojson"));
            let mut args = vec!["-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=9"];
            if let Some(clip) = &clip {
                args.push("-spat");
                args.extend(clip);
            }
            let path = out.to_str().unwrap().to_owned();
            args.extend([path.as_str(), source, layer]);
            run("ogr2ogr", &args).await;
            let found = features(&out);
            std::fs::remove_file(&out).unwrap();
            found
        };
        let ours = read(&url, "ours").await;
        let theirs = read(cache, "theirs").await;
        assert!(!ours.is_empty());
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{layer} {clip:?}");
        for (key, (properties, geometry)) in &theirs {
            let (our_properties, our_geometry) = &ours[key];
            for (name, value) in properties.as_object().unwrap() {
                // SQLite has no booleans of its own, and the cache's own key is not served.
                let same = match (value, &our_properties[name]) {
                    (Value::Number(number), Value::Bool(truth)) => number.as_i64() == Some(i64::from(*truth)),
                    (value, ours) => close(value, ours, 1e-9),
                };
                assert!(
                    same || name == "fid" || name == "id" || name.starts_with("tc_"),
                    "{key} {name}: {value} {}",
                    our_properties[name]
                );
            }
            let parts = |geometry: &Value| match geometry["type"].as_str().unwrap() {
                "Polygon" | "Point" | "LineString" => Value::Array(vec![geometry["coordinates"].clone()]),
                _ => geometry["coordinates"].clone(),
            };
            assert!(close(&parts(geometry), &parts(our_geometry), 1e-8), "{key}: the shape differs");
        }
    }
}

#[tokio::test]
async fn ogr_opens_our_tiles() {
    let Some(()) = gdal("MVT") else { return };
    let running = Running::start().await;
    let tile = running.get("/collections/communes/tiles/WebMercatorQuad/9/240/407").await;
    let path = running.home.path().join("240.mvt");
    std::fs::write(&path, &tile.body).unwrap();
    let told = run("ogrinfo", &["-ro", "-so", "-al", &format!("MVT:{}", path.display())]).await;
    assert!(told.contains("Layer name: communes") && !told.contains("Feature Count: 0"), "{told}");
}

#[tokio::test]
async fn the_axis_order_is_the_registers() {
    let Some(()) = gdal("OAPIF") else { return };
    let running = Running::start().await;
    for crs in running.desk.published_crs().into_iter().skip(1) {
        let text = run("gdalsrsinfo", &["-o", "wkt2_2019", &format!("EPSG:{}", crs.epsg)]).await;
        let axes: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("AXIS[")).collect();
        let latitude_first = axes[axes.len() - 2].contains("north");
        assert_eq!(latitude_first, crs.latitude_first, "EPSG:{}", crs.epsg);
    }
}
