//! Only what was configured is contacted: names that lead elsewhere cost no packet.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{answer, ok, serve};
use common::{collection, fetch_collection, point, wanted};
use model::Protocol;
use sources::sensorthings::Streams;
use sources::{Client, ClientOptions, FetchError, Fetched, Resolver, Resolving, Url, mqtt, service};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Knows the names that a test gives it, and remembers what it was asked for.
#[derive(Clone, Debug, Default)]
struct Names {
    known: HashMap<&'static str, Vec<IpAddr>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn of(known: &[(&'static str, &[&str])]) -> Self {
        let known = known.iter().map(|(name, ips)| (*name, ips.iter().map(|ip| ip.parse().unwrap()).collect()));
        Self { known: known.collect(), asked: Arc::default() }
    }

    fn client(&self) -> Client {
        Client::with(ClientOptions { resolver: Arc::new(self.clone()), ..ClientOptions::default() })
    }
}

impl Resolver for Names {
    fn resolve(&self, name: &str) -> Resolving {
        self.asked.lock().unwrap().push(name.to_owned());
        let found = self.known.get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| std::io::Error::other("failed to lookup address information")) })
    }
}

async fn fetch(client: &Client, root: &str) -> Result<Fetched, FetchError> {
    fetch_collection(client, &root.parse().unwrap(), "c", None, &mut |_, _| {}).await
}

fn page() -> String {
    collection(&[point("a", 106, 11)])
}

#[tokio::test]
async fn names_that_lead_to_forbidden_addresses_cost_no_packet() {
    let (root, log) = serve(|_| ok(page())).await;
    let port = root.port().unwrap();
    let names = Names::of(&[
        ("rebound.example", &["127.0.0.1", "::1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("cloud.example", &["fd00:ec2::254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nobody.example", &["0.0.0.0"]),
        ("all.example", &["224.0.0.251", "255.255.255.255", "fe80::1"]),
    ]);
    let client = names.client();
    for (name, ips) in &names.known {
        let error = fetch(&client, &format!("http://{name}:{port}/")).await.unwrap_err();
        let FetchError::ForbiddenAddress { host, address, .. } = &error else { panic!("{name}: {error:?}") };
        assert_eq!((host.as_str(), address), (*name, &ips[0]), "{error}");
        assert!(!error.retryable() && !error.answered());
    }
    assert_eq!(log.lock().unwrap().len(), 0, "a connection was made");
    assert_eq!(names.asked.lock().unwrap().len(), names.known.len(), "each name was asked for");
    let unknown = fetch(&client, "http://gone.example/").await.unwrap_err();
    assert_eq!(unknown.code(), "dns", "{unknown:?}");
}

#[tokio::test]
async fn address_that_says_this_machine_reaches_it_and_skips_what_is_forbidden() {
    let (root, log) = serve(|_| ok(page())).await;
    let port = root.port().unwrap();
    let names = Names::of(&[("practice.localhost", &["169.254.169.254", "127.0.0.1"])]);
    let fetched = fetch(&names.client(), &format!("http://practice.localhost:{port}/")).await;
    assert!(matches!(fetched, Ok(Fetched::Features(_))), "{fetched:?}");
    assert!(!log.lock().unwrap().is_empty());
    assert!(fetch(&Client::default(), &format!("http://localhost:{port}/")).await.is_ok(), "by the system's resolver");
}

#[tokio::test]
async fn forbidden_addresses_written_out_are_refused_before_a_connection() {
    for root in [
        "http://169.254.169.254/",
        "http://2852039166/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://0.0.0.0:9/",
    ] {
        assert_eq!(fetch(&Client::default(), root).await.unwrap_err().code(), "forbidden_address", "{root}");
    }
}

#[tokio::test]
async fn neither_redirects_nor_links_lead_off_the_server() {
    let (elsewhere, strangers) = serve(|_| ok(page())).await;
    for to in [
        elsewhere.to_string(),
        format!("http://localhost:{}/", elsewhere.port().unwrap()),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "//192.0.2.1/".to_owned(),
    ] {
        let target = to.clone();
        let moved = move |_: &_| answer("302 Found", &format!("Location: {target}\r\n"), "");
        let (root, log) = serve(moved).await;
        let error = fetch(&Client::default(), root.as_str()).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: 302, .. }), "{to}: {error:?}");
        assert_eq!(log.lock().unwrap().len(), 1);
        let target = to.clone();
        let (root, _) = serve(move |_| {
            let links = format!(r#""links":[{{"rel":"next","href":"{target}"}}],"features""#);
            ok(page().replacen("\"features\"", &links, 1))
        })
        .await;
        let error = fetch(&Client::default(), root.as_str()).await.unwrap_err();
        assert_eq!(error.code(), "malformed", "{to}: {error:?}");
    }
    assert_eq!(strangers.lock().unwrap().len(), 0, "another server was asked");
    // On the same server a redirect is followed.
    let (root, _) = serve(|asked| match asked.path.starts_with("/moved") {
        true => ok(page()),
        false => answer("302 Found", "Location: /moved\r\n", ""),
    })
    .await;
    let root: Url = root.join("/").unwrap();
    assert!(fetch(&Client::default(), root.as_str()).await.is_ok());
}

/// Takes connections on this machine, hangs up at once, and counts them.
async fn hangs_up() -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (port, taken)
}

/// What a database or a broker at an address has to say.
async fn ask(client: &Client, url: &str) -> FetchError {
    let root: Url = url.parse().unwrap();
    let wanted = wanted(&root, "layer", Path::new("/proc/nowhere"));
    if root.path() == KEPT {
        return service(Protocol::Mqtt).unwrap().fetch(client, wanted, &mut |_, _| {}).await.unwrap_err();
    }
    if root.scheme().starts_with("mqtt") {
        return mqtt::listen(client, &root, None, "toancanh", &Streams::default(), |_| ()).await;
    }
    service(Protocol::PostGis).unwrap().fetch(client, wanted, &mut |_, _| {}).await.unwrap_err()
}

/// Databases and brokers, as the beginning and the end of their addresses.
const OTHERS: [(&str, &str); 4] =
    [("postgres://reader@", "/land"), ("mqtt://", ""), ("mqtts://", ""), ("mqtt://", KEPT)];
/// In front of the topics of a broker that keeps features.
const KEPT: &str = "/kept";

#[tokio::test]
async fn databases_and_brokers_are_held_to_the_same_rules() {
    let (port, taken) = hangs_up().await;
    let names = Names::of(&[
        ("rebound.example", &["127.0.0.1", "::1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nobody.example", &["0.0.0.0"]),
        ("all.example", &["224.0.0.251", "255.255.255.255", "fe80::1"]),
        ("decimal", &["169.254.169.254"]),
    ]);
    let client = names.client();
    for (begin, end) in OTHERS {
        for (name, ips) in &names.known {
            let error = ask(&client, &format!("{begin}{name}:{port}{end}")).await;
            let FetchError::ForbiddenAddress { host, address, .. } = &error else { panic!("{begin}{name}: {error:?}") };
            assert_eq!((host.as_str(), address), (*name, &ips[0]), "{error}");
        }
        for literal in ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0.0.0.0"] {
            let error = ask(&client, &format!("{begin}{literal}:{port}{end}")).await;
            assert_eq!(error.code(), "forbidden_address", "{begin}{literal}: {error:?}");
        }
        assert_eq!(ask(&client, &format!("{begin}gone.example{end}")).await.code(), "dns", "{begin}");
    }
    assert_eq!(names.asked.lock().unwrap().len(), OTHERS.len() * (names.known.len() + 1), "addresses are no names");
    assert_eq!(taken.load(Ordering::SeqCst), 0, "a connection was made");
}

#[tokio::test]
async fn databases_and_brokers_of_this_machine_are_reached_past_what_is_forbidden() {
    let (port, taken) = hangs_up().await;
    // On ::1 nobody listens: the next address is tried.
    let names = Names::of(&[("db.localhost", &["169.254.169.254", "::1", "127.0.0.1"])]);
    for (at, host) in ["db.localhost", "127.0.0.1"].into_iter().enumerate() {
        for (already, (begin, end)) in OTHERS[..2].iter().enumerate() {
            let error = ask(&names.client(), &format!("{begin}{host}:{port}{end}")).await;
            assert!(matches!(error.code(), "reset" | "truncated" | "ended"), "{begin}{host}: {error:?}");
            assert_eq!(taken.load(Ordering::SeqCst), 2 * at + already + 1, "{begin}{host}");
        }
    }
    // The library looks the name of a broker with TLS up itself, and would take the forbidden one too.
    let error = ask(&names.client(), &format!("mqtts://db.localhost:{port}")).await;
    assert_eq!(error.code(), "forbidden_address", "{error:?}");
    assert_eq!(taken.load(Ordering::SeqCst), 4);
}
