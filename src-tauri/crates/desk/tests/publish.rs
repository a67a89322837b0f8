//! What other systems may read.

#![allow(clippy::unwrap_used)]

use desk::{Audience, Crs, Desk, Form, ImportOptions, LayerId, Options, PublishedLayer, Selection};
use serde_json::Value;
use std::sync::Arc;

fn works() -> (tempfile::TempDir, Arc<Desk>, PublishedLayer) {
    let home = tempfile::tempdir().unwrap();
    let (desk, _) = Desk::open(Options::at(home.path().join("home"))).unwrap();
    let file = home.path().join("works.csv");
    let rows = "id,name,opened,lon,lat\n\
                a,Cầu,2026-03-05,106.10,11.10\n\
                b,Đường,2026-04-01,106.20,11.20\n\
                c,Kè,,106.30,11.30\n";
    std::fs::write(&file, rows).unwrap();
    let id = LayerId::new("works").unwrap();
    desk.import(&file, &id, &ImportOptions::default(), &mut |_, _| true).unwrap();
    let layer = desk.published_layer(Audience::Trusted, "works").unwrap();
    (home, desk, layer)
}

fn ids(desk: &Desk, layer: &PublishedLayer, selection: &Selection) -> Vec<String> {
    let ordinals = desk.select(layer, selection).unwrap();
    let form = Form { crs: Crs::CRS84, live: false, properties: None, skip_geometry: true };
    let mut text = b"[".to_vec();
    let written = desk.write_features(layer, &ordinals, &form, usize::MAX, &mut text).unwrap();
    text.push(b']');
    let features: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert_eq!(features.len(), written);
    features.iter().map(|feature| feature["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn times_are_days_of_the_province_or_moments() {
    let (_home, desk, layer) = works();
    assert_eq!(layer.time_field().unwrap().name, "opened");
    let at = |text: &str| ids(&desk, &layer, &Selection { time: desk.time_of(text), ..Selection::default() });
    assert_eq!(at("2026-03-05"), ["a"]);
    assert_eq!(at("2026-03-06/.."), ["b"]);
    assert_eq!(at("../2026-03-31"), ["a"]);
    assert_eq!(at("/"), ["a", "b"], "what has no time is not in any");
    // 17:00 UTC is midnight in Tây Ninh.
    assert_eq!(at("2026-03-04T17:00:00Z"), ["a"]);
    assert_eq!(at("2026-03-04T16:59:59Z"), Vec::<String>::new());
    for wrong in ["", "soon", "2026-03-05/2026-03-04", "2026-03-05/x", "2026-02-30"] {
        assert!(desk.time_of(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_box_in_a_grid_holds_what_lies_in_it_on_the_grid() {
    let (_home, desk, layer) = works();
    let crs = Crs::epsg(9209);
    let point = |ordinal| {
        let form = Form { crs, live: false, properties: None, skip_geometry: false };
        let mut text = Vec::new();
        desk.write_features(&layer, &[ordinal], &form, usize::MAX, &mut text).unwrap();
        let feature: Value = serde_json::from_slice(&text).unwrap();
        let at = |axis: usize| feature["geometry"]["coordinates"][axis].as_f64().unwrap();
        [at(0), at(1)]
    };
    let ([e0, n0], [e1, n1]) = (point(0), point(1));
    let within = |bbox| ids(&desk, &layer, &Selection { bbox: Some((crs, bbox)), ..Selection::default() });
    assert_eq!(within([e0 - 0.01, n0 - 0.01, e1 + 0.01, n1 + 0.01]), ["a", "b"]);
    assert_eq!(within([e0 + 0.01, n0 - 0.01, e1 + 0.01, n1 + 0.01]), ["b"]);
    assert_eq!(within([e0 - 0.01, n0 - 0.01, e1 + 0.01, n1 - 0.01]), ["a"]);
    let wrong = Selection { bbox: Some((crs, [e1, n0, e0, n1])), ..Selection::default() };
    assert_eq!(desk.select(&layer, &wrong).unwrap_err().code, "bbox_range");
}

#[test]
fn internal_layers_and_layers_behind_a_role_are_for_the_trusted() {
    let (_home, desk, _) = works();
    let names = |audience| desk.published(audience).iter().map(|layer| layer.info().id.to_string()).collect::<Vec<_>>();
    let (public, trusted) = (names(Audience::Public), names(Audience::Trusted));
    assert!(!public.contains(&"cameras".to_owned()) && trusted.contains(&"cameras".to_owned()));
    assert!(public.iter().all(|name| trusted.contains(name)));
    assert!(desk.published_layer(Audience::Public, "cameras").is_none());
    // Not by whoever sits at the desk: a guest there changes nothing.
    assert!(desk.published_layer(Audience::Trusted, "cameras").unwrap().info().allowed);
}
