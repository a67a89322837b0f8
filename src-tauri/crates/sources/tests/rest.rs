//! JSON services by the profile's mapping: the practice gateway over real HTTP with all its pagings, faces and faults.
#![allow(clippy::unwrap_used)]

mod common;

use common::{features, wanted};
use model::{Credentials, Feature, Protocol, RestMapping};
use practice::{Fault, GatewayHabits, Options, Practice};
use sources::{Client, Collection, FetchError, Fetched, Login, Secret, Url, Wanted, service};
use std::path::Path;
use std::time::{Duration, Instant};

async fn centre() -> Practice {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
    Practice::start(&profile, Options::default()).await.unwrap()
}

fn mapping(text: &str) -> RestMapping {
    toml::from_str(text).unwrap()
}

/// The list of a layer, with its Vietnamese names.
fn list(layer: &str, paging: &str) -> RestMapping {
    mapping(&format!(
        r#"
        path = "danh-muc/{layer}"
        items = "$.danhSach"
        id = "$.ma"
        lon = "$.viTri.kinhDo"
        lat = "$.viTri.viDo"
        as_of = "$.capNhat"
        fields = {{ name = "$.ten", level = "$.cap", pupils = "$.soHocSinh", beds = "$.soGiuong", commune = "$.maXa", sample = "$.mau" }}
        {paging}
        "#
    ))
}

fn by_token(centre: &Practice) -> (Credentials, &'static str) {
    let token_url = format!("{}/gateway/oauth2/token", centre.base_url());
    let credentials =
        Credentials::ClientCredentials { token_url, client_id: "toan-canh".into(), scope: None, secret: "s".into() };
    (credentials, "mat-khau-thuc-hanh")
}

async fn fetch_with(
    client: &Client,
    root: &str,
    layer: &str,
    mapping: &RestMapping,
    (credentials, secret): &(Credentials, &str),
) -> Result<Fetched, FetchError> {
    let (root, secret): (Url, _) = (root.parse().unwrap(), Secret::new(*secret));
    let login = Some(Login { credentials, secret: &secret });
    let wanted = Wanted { login, mapping: Some(mapping), ..wanted(&root, layer, Path::new("/proc/nowhere")) };
    service(Protocol::Rest).unwrap().fetch(client, wanted, &mut |_, _| {}).await
}

async fn fetch(centre: &Practice, below: &str, mapping: &RestMapping) -> Result<Fetched, FetchError> {
    let root = format!("{}/gateway{below}", centre.base_url());
    fetch_with(&Client::default(), &root, "schools", mapping, &by_token(centre)).await
}

/// The same layer by OGC API – Features, in the order of the keys.
async fn by_ogc(centre: &Practice, layer: &str) -> Vec<Feature> {
    let root: Url = format!("{}/ogc", centre.base_url()).parse().unwrap();
    let fetched = service(Protocol::OgcApiFeatures)
        .unwrap()
        .fetch(&Client::default(), wanted(&root, layer, Path::new("/proc/nowhere")), &mut |_, _| {})
        .await;
    sorted(features(fetched))
}

fn sorted(collection: Collection) -> Vec<Feature> {
    assert_eq!(collection.report.rejected, []);
    let mut all = collection.features;
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

const PAGINGS: [&str; 5] = [
    r#"paging = { by = "page", param = "trang", size_param = "kichThuoc", size = 70 }"#,
    r#"paging = { by = "offset", param = "batDau", size_param = "soLuong", size = 70 }"#,
    r#"paging = { by = "cursor", next = "$.conTroTiep", param = "conTro", size_param = "kichThuoc", size = 70 }"#,
    r#"paging = { by = "cursor", next = "$.tiepTheo", size_param = "kichThuoc", size = 70 }"#,
    r#"paging = { by = "link", size_param = "kichThuoc", size = 70 }"#,
];

#[tokio::test]
async fn every_paging_brings_the_features_that_ogc_brings() {
    let centre = centre().await;
    let (root, client, login) = (format!("{}/gateway", centre.base_url()), Client::default(), by_token(&centre));
    for layer in ["schools", "clinics"] {
        let expected = by_ogc(&centre, layer).await;
        assert!(expected.len() > 200, "{layer}: {}", expected.len());
        for paging in PAGINGS {
            for total in ["", "total = \"$.tongSo\"\n"] {
                for cap in [None, Some(33)] {
                    centre.set_gateway_habits(GatewayHabits { cap, ..Default::default() });
                    let collection = features(
                        fetch_with(&client, &root, layer, &list(layer, &format!("{total}{paging}")), &login).await,
                    );
                    assert!(collection.practice);
                    assert_eq!(collection.as_of.unwrap().to_string(), "2026-11-01T00:00:00Z");
                    assert_eq!(sorted(collection), expected, "{layer} {paging} {total} {cap:?}");
                }
            }
        }
    }
    assert_eq!(centre.tokens_given(), 1, "one token for 40 fetches");
    centre.stop().await;
}

#[tokio::test]
async fn geometry_comes_as_geojson_and_as_text_too() {
    let centre = centre().await;
    let expected = by_ogc(&centre, "schools").await;
    for way in ["$.hinh", "$.wkt"] {
        let mut mapping = list("schools", PAGINGS[0]);
        (mapping.lon, mapping.lat) = (None, None);
        mapping.geometry = Some(way.parse().unwrap());
        assert_eq!(sorted(features(fetch(&centre, "", &mapping).await)), expected, "{way}");
    }
    // A layer of areas, whole.
    let communes = mapping(
        r#"
        path = "danh-muc/communes"
        items = "$.danhSach[*]"
        id = "$.ma"
        geometry = "$.hinh"
        paging = { by = "page", param = "trang", size_param = "kichThuoc" }
        "#,
    );
    let (ours, theirs) = (sorted(features(fetch(&centre, "", &communes).await)), by_ogc(&centre, "communes").await);
    assert_eq!(ours.len(), 96);
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!((&our.id, &our.geometry), (&their.id, &their.geometry));
    }
    centre.stop().await;
}

#[tokio::test]
async fn broker_of_ngsi_ld_brings_the_same_in_both_forms() {
    let centre = centre().await;
    for (kind, layer) in
        [("School", "schools"), ("Clinic", "clinics"), ("AirStation", "air_stations"), ("Camera", "cameras")]
    {
        let expected = by_ogc(&centre, layer).await;
        for simplified in [false, true] {
            for cap in [None, Some(37)] {
                centre.set_gateway_habits(GatewayHabits { simplified, cap, ..Default::default() });
                let mapping =
                    RestMapping { path: Some(format!("entities?type={kind}")), ..mapping("ready = \"ngsi-ld\"") };
                let mut brought = sorted(features(fetch(&centre, "/ngsi-ld/v1", &mapping).await));
                for feature in &mut brought {
                    // An entity's own type is no property.
                    if let Some(category) = feature.properties.remove("category") {
                        feature.properties.insert("type".into(), category);
                    }
                }
                assert_eq!(brought, expected, "{kind} {simplified} {cap:?}");
            }
        }
    }
    // The collection is the entity type; chosen fields by path.
    let root: Url = format!("{}/gateway/ngsi-ld/v1", centre.base_url()).parse().unwrap();
    let mapping = mapping("ready = \"ngsi-ld\"\nfields = { name = \"$.name\" }");
    let (credentials, secret) = by_token(&centre);
    let secret = Secret::new(secret);
    let login = Some(Login { credentials: &credentials, secret: &secret });
    let wanted = Wanted {
        collection: Some("Clinic"),
        mapping: Some(&mapping),
        login,
        ..wanted(&root, "clinics", Path::new("/x"))
    };
    let clinics = features(service(Protocol::Rest).unwrap().fetch(&Client::default(), wanted, &mut |_, _| {}).await);
    assert_eq!((clinics.features.len(), clinics.features[0].properties.len()), (214, 1));
    centre.stop().await;
}

#[tokio::test]
async fn bundles_of_fhir_bring_the_same_places() {
    let centre = centre().await;
    let fields = r#"
        [fields]
        level = "$.type[0].coding[0].code"
        beds = "$.extension[?@.url == 'urn:toancanh:thuc-hanh:beds'].valueInteger"
        commune = "$.extension[?@.url == 'urn:toancanh:thuc-hanh:commune'].valueCode"
        sample = "$.extension[?@.url == 'urn:toancanh:thuc-hanh:sample'].valueBoolean"
    "#;
    let expected = by_ogc(&centre, "clinics").await;
    for (ready, path) in
        [("fhir-location", ""), ("fhir-organization", ""), ("fhir-location", "path = \"Location?type=clinic\"\n")]
    {
        for cap in [None, Some(41)] {
            centre.set_gateway_habits(GatewayHabits { cap, ..Default::default() });
            let mapping = mapping(&format!("ready = \"{ready}\"\n{path}{fields}"));
            let brought = sorted(features(fetch(&centre, "/fhir", &mapping).await));
            assert_eq!(brought.len(), expected.len());
            for (our, their) in brought.iter().zip(&expected) {
                assert_eq!((&our.id, &our.geometry), (&their.id, &their.geometry), "{ready}");
                for (name, value) in their.properties.iter() {
                    assert_eq!(our.properties.get(name), Some(value), "{ready} {}: {name}", our.id);
                }
                assert_eq!(our.text("identifier"), Some(our.id.as_str()));
            }
        }
    }
    let unknown = mapping("ready = \"fhir-location\"\npath = \"Location?type=factory\"");
    let error = fetch(&centre, "/fhir", &unknown).await.unwrap_err();
    assert!(error.code() == "service_refuses" && error.to_string().contains("clinic or school"), "{error}");
    centre.stop().await;
}

#[tokio::test]
async fn gateway_opens_to_whoever_shows_what_it_wants() {
    let centre = centre().await;
    let root = format!("{}/gateway", centre.base_url());
    let all = list("clinics", PAGINGS[0]);
    let key = Credentials::ApiKey { header: "X-Api-Key".into(), secret: "s".into() };
    let basic = Credentials::Basic { user: "toan-canh".into(), secret: "s".into() };
    let bearer = Credentials::Bearer { secret: "s".into() };
    for (credentials, secret, opens) in [
        (key.clone(), "khoa-thuc-hanh", true),
        (key, "khoa-sai", false),
        (basic, "mat-khau-thuc-hanh", true),
        (bearer, "thuc-hanh", false),
        (by_token(&centre).0, "mat-khau-thuc-hanh", true),
    ] {
        let outcome = fetch_with(&Client::default(), &root, "clinics", &all, &(credentials, secret)).await;
        match outcome {
            Ok(fetched) => assert!(opens && features(Ok(fetched)).features.len() == 214),
            Err(error) => assert!(!opens && matches!(error, FetchError::Status { status: 401, .. }), "{error}"),
        }
    }
    let (credentials, _) = by_token(&centre);
    let error = fetch_with(&Client::default(), &root, "clinics", &all, &(credentials, "sai")).await.unwrap_err();
    assert!(matches!(&error, FetchError::TokenRefused { code, .. } if code == "invalid_client"), "{error}");
    centre.set_gateway_habits(GatewayHabits { form_only: true, ..Default::default() });
    assert_eq!(features(fetch(&centre, "", &all).await).features.len(), 214);
    centre.stop().await;
}

#[tokio::test]
async fn tokens_that_end_on_the_way_are_replaced() {
    let centre = centre().await;
    let (root, client, login) = (format!("{}/gateway", centre.base_url()), Client::default(), by_token(&centre));
    let all = list("clinics", PAGINGS[1]);
    features(fetch_with(&client, &root, "clinics", &all, &login).await);
    assert_eq!(centre.tokens_given(), 1);
    centre.revoke_tokens();
    features(fetch_with(&client, &root, "clinics", &all, &login).await);
    assert_eq!(centre.tokens_given(), 2, "the client did not know that its token had ended");
    centre.set_gateway_habits(GatewayHabits { refuse_tokens: 1, ..Default::default() });
    features(fetch_with(&client, &root, "clinics", &all, &login).await);
    assert_eq!(centre.tokens_given(), 3, "one 401 is an accident");
    centre.set_gateway_habits(GatewayHabits { refuse_tokens: 99, ..Default::default() });
    let error = fetch_with(&client, &root, "clinics", &all, &login).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 401, .. }), "{error}");
    assert_eq!(centre.tokens_given(), 4, "two are none");
    centre.stop().await;
}

#[tokio::test]
async fn gateway_that_counts_requests_is_waited_for() {
    let centre = centre().await;
    let started = Instant::now();
    let busy = |secs| Fault::Status { code: 429, retry_after: Some(Duration::from_secs(secs)) };
    centre.faults().set("/gateway/danh-muc", busy(1), Some(2));
    assert_eq!(features(fetch(&centre, "", &list("clinics", PAGINGS[0])).await).features.len(), 214);
    assert!(started.elapsed() >= Duration::from_secs(2));
    centre.faults().set("/gateway/danh-muc", busy(600), None);
    let error = fetch(&centre, "", &list("clinics", PAGINGS[0])).await.unwrap_err();
    assert_eq!(error.retry_after_secs(), Some(600), "so long a wait is the sync's");
    centre.stop().await;
}

#[tokio::test]
async fn what_the_gateway_does_wrong_is_an_error_and_no_half_layer() {
    let centre = centre().await;
    centre.set_gateway_habits(GatewayHabits { wrong_total: true, ..Default::default() });
    let wrong = |error: FetchError, word: &str| {
        assert!(error.code() == "malformed" && error.to_string().contains(word), "{word}: {error}");
    };
    for paging in PAGINGS {
        let mapping = list("clinics", &format!("total = \"$.tongSo\"\n{paging}"));
        wrong(fetch(&centre, "", &mapping).await.unwrap_err(), "215 features were announced, 214 came");
    }
    let broker = mapping("ready = \"ngsi-ld\"\npath = \"entities?type=Clinic\"");
    let fhir = mapping("ready = \"fhir-location\"");
    wrong(fetch(&centre, "/ngsi-ld/v1", &broker).await.unwrap_err(), "215");
    wrong(fetch(&centre, "/fhir", &fhir).await.unwrap_err(), "215");

    centre.set_gateway_habits(GatewayHabits { repeat_cursor: true, ..Default::default() });
    for paging in &PAGINGS[2..] {
        let error = fetch(&centre, "", &list("clinics", paging)).await.unwrap_err();
        assert!(error.code() == "malformed", "{error}");
    }
    wrong(fetch(&centre, "/ngsi-ld/v1", &broker).await.unwrap_err(), "page");
    wrong(fetch(&centre, "/fhir", &fhir).await.unwrap_err(), "page");
    centre.set_gateway_habits(GatewayHabits::default());
    for fault in [Fault::Truncate { bytes: 3_000 }, Fault::Reset] {
        centre.faults().set("/gateway/danh-muc", fault, None);
        let error = fetch(&centre, "", &list("clinics", PAGINGS[0])).await.unwrap_err();
        assert!(["truncated", "reset"].contains(&error.code()), "{error}");
    }
    centre.stop().await;
}
