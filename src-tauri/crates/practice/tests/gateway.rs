//! The practice gateway as a client sees it: closed without credentials, and marked everywhere.
mod support;

use serde_json::Value;
use support::{ask, get, options, start};

const KEY: (&str, &str) = ("x-api-key", "khoa-thuc-hanh");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn gateway_is_closed_and_opens_to_key_token_and_words() {
    let centre = start(options()).await;
    let at = centre.address();
    let path = "/gateway/danh-muc/communes?trang=1&kichThuoc=2";
    let closed = get(at, path).await;
    assert_eq!((closed.status, closed.header("x-practice-data")), (401, Some("true")));
    assert!(closed.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    let form = "grant_type=client_credentials&client_id=toan-canh&client_secret=mat-khau-thuc-hanh";
    let token = ask(at, "POST", "/gateway/oauth2/token", &[FORM], form).await.json();
    assert_eq!((token["token_type"].as_str(), token["expires_in"].as_u64()), (Some("Bearer"), Some(300)));
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap_or_default());
    let words = "Basic dG9hbi1jYW5oOm1hdC1raGF1LXRodWMtaGFuaA==";
    for header in [KEY, ("authorization", &bearer), ("authorization", words)] {
        let reply = ask(at, "GET", path, &[header], "").await;
        assert_eq!((reply.status, reply.header("x-practice-data")), (200, Some("true")), "{header:?}");
        let page = reply.json();
        assert_eq!((page["thucHanh"].as_bool(), page["danhSach"].as_array().map(Vec::len)), (Some(true), Some(2)));
    }
    centre.revoke_tokens();
    assert_eq!(ask(at, "GET", path, &[("authorization", &bearer)], "").await.status, 401);
    for (wrong, error) in [
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&client_id=toan-canh&client_secret=sai", "invalid_client"),
        ("grant_type=client_credentials", "invalid_client"),
    ] {
        let refused = ask(at, "POST", "/gateway/oauth2/token", &[FORM], wrong).await;
        assert_eq!(refused.json()["error"], error, "{wrong}");
    }
    centre.practice.stop().await;
}

#[tokio::test]
async fn habits_are_set_over_http_and_addresses_are_told() {
    let centre = start(options()).await;
    let at = centre.address();
    let about = get(at, "/gateway").await.json();
    assert_eq!((&about["practice"], &about["api_key"]), (&Value::Bool(true), &Value::from(KEY.1)));
    let put = ask(at, "PUT", "/practice/gateway", &[], r#"{"wrong_total":true,"cap":3}"#).await.json();
    assert_eq!((&put["wrong_total"], &put["cap"]), (&Value::Bool(true), &Value::from(3)));
    let page = ask(at, "GET", "/gateway/danh-muc/communes", &[KEY], "").await.json();
    assert_eq!((page["danhSach"].as_array().map(Vec::len), page["tongSo"].as_u64()), (Some(3), Some(251)));
    assert_eq!(ask(at, "PUT", "/practice/gateway", &[], r#"{"wrong":1}"#).await.status, 400);
    assert_eq!(ask(at, "GET", "/gateway/ngsi-ld/v1/entities?type=Tree", &[KEY], "").await.status, 400);
    let unknown = ask(at, "GET", "/gateway/fhir/Patient", &[KEY], "").await;
    assert_eq!((unknown.status, unknown.json()["resourceType"].as_str()), (404, Some("OperationOutcome")));
    centre.practice.stop().await;
}
