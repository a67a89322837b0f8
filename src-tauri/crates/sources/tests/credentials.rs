//! Credentials over HTTP: what each service shows, to whom, and how tokens are had and lost.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Asked, Log, answer, ok, serve};
use common::{collection, features, point, wanted};
use model::{Credentials, Protocol};
use sources::{Client, FetchError, Fetched, Login, Secret, Url, Wanted, sensorthings, service};

const SECRET: &str = "Mat-khau-80";

fn named() -> String {
    "so-y-te".into()
}

async fn fetch(
    client: &Client,
    protocol: Protocol,
    root: &Url,
    credentials: &Credentials,
) -> Result<Fetched, FetchError> {
    let (secret, folder) = (Secret::new(SECRET), tempfile::tempdir().unwrap());
    let login = Some(Login { credentials, secret: &secret });
    let wanted = Wanted { login, ..wanted(root, "communes", folder.path()) };
    service(protocol).unwrap().fetch(client, wanted, &mut |_, _| {}).await
}

fn items() -> Vec<u8> {
    ok(collection(&[point("a", 106.1, 11.1), point("b", 106.2, 11.2)]))
}

fn shown(log: &Log, header: &str) -> Vec<Option<String>> {
    log.lock().unwrap().iter().map(|asked| asked.header(header).map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_service_shows_what_the_profile_says() {
    let all = [
        (
            Credentials::Basic { user: "tay-ninh".into(), secret: named() },
            "authorization",
            "basic dgf5lw5pbmg6twf0lwtoyxutoda=",
        ),
        (Credentials::Bearer { secret: named() }, "authorization", "bearer mat-khau-80"),
        (Credentials::ApiKey { header: "X-Api-Key".into(), secret: named() }, "x-api-key", "mat-khau-80"),
    ];
    let protocols = [Protocol::OgcApiFeatures, Protocol::File, Protocol::Wfs, Protocol::ArcGis, Protocol::Cap];
    for (credentials, header, value) in &all {
        for protocol in protocols {
            let (root, log) = serve(|_| answer("404 Not Found", "", "")).await;
            let error = fetch(&Client::default(), protocol, &root, credentials).await.unwrap_err();
            assert!(!format!("{error:?} {error}").contains(SECRET));
            let shown = shown(&log, header);
            assert!(!shown.is_empty(), "{protocol:?}");
            assert!(shown.iter().all(|shown| shown.as_deref() == Some(value)), "{protocol:?}: {shown:?}");
        }
        let (root, log) = serve(|_| answer("404 Not Found", "", "")).await;
        let secret = Secret::new(SECRET);
        let client = Client::default().showing(&root, Some(Login { credentials, secret: &secret })).unwrap();
        assert!(sensorthings::latest(&client, &root, None).await.is_err());
        assert!(sources::still(&client, &root).await.is_err());
        sources::events::listen(&client, &root, &mut None, |_| {}).await;
        assert_eq!(shown(&log, header), vec![Some((*value).to_owned()); 3]);
    }
}

#[tokio::test]
async fn nothing_is_shown_to_another_server() {
    let credentials = Credentials::ApiKey { header: "X-Api-Key".into(), secret: named() };
    let (elsewhere, overheard) = serve(|_| items()).await;
    let to = elsewhere.clone();
    let (root, log) = serve(move |asked| match asked.path.as_str() {
        path if path.starts_with("/collections") => answer("302 Found", "Location: /moved\r\n", ""),
        _ => answer("302 Found", &format!("Location: {to}collections\r\n"), ""),
    })
    .await;
    let error = fetch(&Client::default(), Protocol::OgcApiFeatures, &root, &credentials).await.unwrap_err();
    assert_eq!(error.code(), "status", "{error}");
    assert_eq!(
        shown(&log, "x-api-key"),
        vec![Some("mat-khau-80".to_owned()); 2],
        "on its own server a redirect carries it"
    );
    assert!(overheard.lock().unwrap().is_empty(), "another server is not even asked");
    let secret = Secret::new(SECRET);
    let client = Client::default().showing(&root, Some(Login { credentials: &credentials, secret: &secret })).unwrap();
    assert!(sources::still(&client, &elsewhere).await.is_err());
    assert_eq!(shown(&overheard, "x-api-key"), [None]);
}

/// A service that wants tokens, and a token endpoint whose `nth` answer is given by `grant`.
async fn gateway(
    grant: impl Fn(&Asked, usize) -> Vec<u8> + Send + Sync + 'static,
    accepted: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> (Url, Log, Credentials, Log) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let (id, asked) = serve(move |asked| grant(asked, count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))).await;
    let (root, log) = serve(move |asked| match asked.header("authorization") {
        Some(token) if accepted(token) => items(),
        _ => answer("401 Unauthorized", "", ""),
    })
    .await;
    let token_url = id.join("token").unwrap().into();
    let credentials = Credentials::ClientCredentials {
        token_url,
        client_id: "toan-canh".into(),
        scope: Some("truong-hoc y-te".into()),
        secret: named(),
    };
    (root, log, credentials, asked)
}

fn token(nth: usize, expires_secs: u64) -> Vec<u8> {
    ok(format!(r#"{{"access_token":"t{nth}","token_type":"Bearer","expires_in":{expires_secs}}}"#))
}

#[tokio::test]
async fn token_is_fetched_once_kept_and_fetched_anew_when_it_is_refused() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let valid = Arc::new(AtomicUsize::new(0));
    let now = valid.clone();
    let (root, log, credentials, asked) =
        gateway(|_, nth| token(nth, 3_600), move |token| token == format!("bearer t{}", now.load(Ordering::SeqCst)))
            .await;
    let client = Client::default();
    for _ in 0..2 {
        let fetched = features(fetch(&client, Protocol::OgcApiFeatures, &root, &credentials).await);
        assert_eq!(fetched.features.len(), 2);
    }
    {
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "one token for both");
        assert_eq!(asked[0].header("authorization"), Some("basic dg9hbi1jyw5ook1hdc1ragf1ltgw"));
        assert_eq!(asked[0].body, "grant_type=client_credentials&scope=truong-hoc+y-te");
    }
    assert!(shown(&log, "authorization").iter().all(|shown| shown.as_deref() == Some("bearer t0")));
    valid.store(1, Ordering::SeqCst);
    assert_eq!(features(fetch(&client, Protocol::OgcApiFeatures, &root, &credentials).await).features.len(), 2);
    assert_eq!(asked.lock().unwrap().len(), 2, "the one that was refused is replaced");
    valid.store(99, Ordering::SeqCst);
    let error = fetch(&client, Protocol::OgcApiFeatures, &root, &credentials).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 401, .. }), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 3, "and once only");
}

#[tokio::test]
async fn token_that_ends_is_not_shown_any_more() {
    let (root, _, credentials, asked) = gateway(|_, nth| token(nth, 0), |_| true).await;
    let client = Client::default();
    features(fetch(&client, Protocol::OgcApiFeatures, &root, &credentials).await);
    let requests = asked.lock().unwrap().len();
    assert_eq!(requests, 2, "one a request: items and description");
}

#[tokio::test]
async fn client_says_who_it_is_in_the_form_where_the_header_is_not_known() {
    let (root, _, credentials, asked) = gateway(
        |asked, nth| {
            if asked.body.contains("client_secret=Mat-khau-80") {
                token(nth, 60)
            } else {
                answer("401 Unauthorized", "", r#"{"error":"invalid_client"}"#)
            }
        },
        |_| true,
    )
    .await;
    features(fetch(&Client::default(), Protocol::OgcApiFeatures, &root, &credentials).await);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].header("authorization"), None);
    assert!(asked[1].body.contains("client_id=toan-canh"), "{}", asked[1].body);
}

#[tokio::test]
async fn what_the_token_endpoint_does_wrong_is_named() {
    let refusal = format!(r#"{{"error":"invalid_scope","error_description":"no {SECRET} here"}}"#);
    let cases: [(Vec<u8>, &str, &str); 6] = [
        (answer("400 Bad Request", "", refusal), "token_refused", "invalid_scope"),
        (answer("200 OK", "Content-Type: text/html\r\n", "<html>Đăng nhập</html>"), "malformed", "text/html"),
        (ok(r#"{"access_token":"","token_type":"Bearer"}"#), "malformed", "empty"),
        (ok(r#"{"access_token":"t","token_type":"mac"}"#), "malformed", "Bearer"),
        (answer("503 Service Unavailable", "Retry-After: 7\r\n", ""), "status", "503"),
        (ok("x".repeat(300 << 10)), "too_large", "262144"),
    ];
    for (wrong, code, word) in cases {
        let (root, log, credentials, _) = gateway(move |_, _| wrong.clone(), |_| true).await;
        let error = fetch(&Client::default(), Protocol::OgcApiFeatures, &root, &credentials).await.unwrap_err();
        let said = error.to_string();
        assert!(error.code() == code && said.contains(word) && !said.contains(SECRET), "{code}: {error:?}");
        assert!(log.lock().unwrap().is_empty(), "without a token the service is not asked");
    }
    let credentials = Credentials::ClientCredentials {
        token_url: "http://127.0.0.1:9/token".into(),
        client_id: "a".into(),
        scope: None,
        secret: named(),
    };
    let (root, _) = serve(|_| items()).await;
    let error = fetch(&Client::default(), Protocol::OgcApiFeatures, &root, &credentials).await.unwrap_err();
    assert_eq!(error, FetchError::Refused { host: "127.0.0.1:9".into() });
}

#[tokio::test]
async fn secret_that_a_server_repeats_is_taken_out_of_its_words() {
    let body = format!(r#"{{"error":{{"code":498,"message":"Invalid token {SECRET}"}}}}"#);
    let (root, _) = serve(move |_| ok(&body)).await;
    let credentials = Credentials::Bearer { secret: named() };
    let error = fetch(&Client::default(), Protocol::ArcGis, &root.join("0").unwrap(), &credentials).await.unwrap_err();
    let said = error.hiding(&Secret::new(SECRET)).to_string();
    assert!(said.contains("Invalid token …"), "{said}");
}
