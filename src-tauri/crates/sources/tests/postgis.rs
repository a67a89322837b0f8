//! Tables of a real PostgreSQL with PostGIS, read directly.
#![allow(clippy::unwrap_used)]

#[path = "foreign/cluster.rs"]
mod cluster;
mod common;
#[path = "foreign/communes.rs"]
mod communes;
#[path = "foreign/process.rs"]
mod process;

use cluster::{Cluster, programs};
use common::{features, rejected_of, wanted};
use communes::{communes, same};
use model::{Credentials, Protocol, Value};
use sources::{
    Client, ClientOptions, Collection, FetchError, Fetched, Login, Offer, Secret, Url, Wanted, recognise,
    recognise_with, service,
};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// One cluster for the tests that leave it running.
fn shared() -> Option<Arc<Cluster>> {
    static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let programs = programs()?;
    let mut held = CLUSTER.lock().unwrap();
    if let Some(cluster) = held.upgrade() {
        return Some(cluster);
    }
    let cluster = Arc::new(filled(Cluster::start(programs)));
    *held = Arc::downgrade(&cluster);
    Some(cluster)
}

/// With the communes and two roles: `reader` may read the schema `land`, `sealed` the same, by TLS only.
fn filled(cluster: Cluster) -> Cluster {
    let all = communes();
    let mut sql = "CREATE SCHEMA land;
        CREATE ROLE reader LOGIN PASSWORD 'Mật khẩu 1'; CREATE ROLE sealed LOGIN PASSWORD 'x';
        GRANT USAGE ON SCHEMA land TO reader, sealed;
        ALTER DEFAULT PRIVILEGES IN SCHEMA land GRANT SELECT ON TABLES TO reader, sealed;
        CREATE TABLE land.communes (id text PRIMARY KEY, code text, name text, full_name text, type varchar(20),
            name_en text, area_km2 numeric, area_estimated bool, old_province text, vn2000 int, sample boolean,
            geom geometry(Geometry, 4326));\n"
        .to_owned();
    for commune in &all {
        let text = |value: &Value| match value {
            Value::Null => "NULL".to_owned(),
            other => format!("'{}'", other.to_string().replace('\'', "''")),
        };
        let (names, values): (Vec<&str>, Vec<String>) =
            commune.properties.iter().map(|(name, value)| (name, text(value))).unzip();
        let hex: String = model::to_wkb(&commune.geometry).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        sql += &format!(
            "INSERT INTO land.communes (id, geom, {}) VALUES ('{}', ST_SetSRID('{hex}'::geometry, 4326), {});\n",
            names.join(", "),
            commune.id,
            values.join(", ")
        );
    }
    cluster.sql("land", &sql);
    cluster
}

fn root(cluster: &Cluster, query: &str) -> Url {
    format!("postgres://localhost:{}/land{query}", cluster.port).parse().unwrap()
}

fn basic(user: &str) -> Credentials {
    Credentials::Basic { user: user.into(), secret: "land-db".into() }
}

/// As `reader`, of the schema `land`.
struct Ask {
    root: Url,
    credentials: Credentials,
    secret: Secret,
}

impl Ask {
    fn new(cluster: &Cluster) -> Self {
        Self::by(cluster, "?schema=land", "reader", "Mật khẩu 1")
    }

    fn by(cluster: &Cluster, query: &str, user: &str, password: &str) -> Self {
        Self { root: root(cluster, query), credentials: basic(user), secret: Secret::new(password) }
    }

    fn table<'a>(&'a self, name: &'a str) -> Wanted<'a> {
        let login = Login { credentials: &self.credentials, secret: &self.secret };
        Wanted { login: Some(login), collection: Some(name), ..wanted(&self.root, "layer", Path::new("/proc/nowhere")) }
    }
}

async fn try_fetch(wanted: Wanted<'_>) -> Result<Fetched, FetchError> {
    service(Protocol::PostGis).unwrap().fetch(&Client::default(), wanted, &mut |_, _| {}).await
}

async fn fetch(wanted: Wanted<'_>) -> Collection {
    features(try_fetch(wanted).await)
}

async fn refused(wanted: Wanted<'_>) -> FetchError {
    try_fetch(wanted).await.unwrap_err()
}

#[tokio::test]
async fn the_communes_are_the_same_features_in_every_system_and_as_a_view() {
    let Some(cluster) = shared() else { return };
    let other = "code, name, full_name, type, name_en, area_km2, area_estimated, old_province, vn2000, sample";
    // By the parameters of the ministry's decision: from 3405 to WGS84 PROJ chooses among others, place by place.
    let datum = "+ellps=WGS84 +towgs84=-191.90441429,-39.30318279,-111.45032835,0.00928836,-0.01975479,0.00427372,\
                 0.252906278 +units=m +no_defs";
    let utm = format!("+proj=utm +zone=48 {datum}");
    let own = format!("+proj=tmerc +lat_0=0 +lon_0=105.5 +k=0.9999 +x_0=500000 +y_0=0 {datum}");
    // 910530 is an office's own number for the system that the register has as 9209.
    let wkt = r#"PROJCS["VN-2000 / TM-3 105-30",GEOGCS["VN-2000",DATUM["Vietnam_2000",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",105.5],PARAMETER["scale_factor",0.9999],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]"#;
    let table = |name: &str, definition: &str, srid: u32| {
        format!(
            "CREATE TABLE land.{name} AS SELECT id, {other},
                ST_SetSRID(ST_Transform(geom, '{definition}'), {srid})::geometry(Geometry, {srid}) AS geom FROM land.communes;"
        )
    };
    let tables = [table("utm", &utm, 3405), table("grid", &own, 9209), table("own", &own, 910_530)].concat();
    cluster.sql(
        "land",
        &format!(
            "INSERT INTO spatial_ref_sys VALUES (910530, 'tay-ninh', 1, '{wkt}', '{own}');
            {tables}
            CREATE VIEW land.seen AS SELECT id, {other}, ST_Force2D(geom) AS shape FROM land.own;
            CREATE MATERIALIZED VIEW land.kept AS SELECT id, {other}, geom::geography AS geog FROM land.communes;"
        ),
    );
    let ask = Ask::new(&cluster);
    for table in ["communes", "land.communes", "utm", "grid", "own", "seen", "kept"] {
        same(table, &fetch(ask.table(table)).await);
    }
    let mut seen = Vec::new();
    let Fetched::Features(_) = service(Protocol::PostGis)
        .unwrap()
        .fetch(&Client::default(), ask.table("communes"), &mut |done, all| seen.push((done, all)))
        .await
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(seen, [(64, Some(96)), (96, Some(96))]);
}

#[tokio::test]
async fn what_has_not_changed_is_not_read_again() {
    let Some(cluster) = shared() else { return };
    cluster.sql(
        "land",
        "CREATE TABLE land.posts (id int PRIMARY KEY, name text, changed timestamptz, geom geometry(Point, 4326));
        INSERT INTO land.posts SELECT n, 'post ' || n, '2026-11-20 07:00+07'::timestamptz + n * interval '1 min',
            ST_SetSRID(ST_MakePoint(106 + n * 0.01, 11), 4326) FROM generate_series(1, 20) n;
        CREATE VIEW land.posts_seen AS SELECT * FROM land.posts;",
    );
    let ask = Ask::new(&cluster);
    let with = |table: &'static str, changed_field| Wanted { changed_field, ..ask.table(table) };
    let first = fetch(with("posts", Some("changed"))).await;
    assert_eq!(first.as_of.unwrap().to_string(), "2026-11-20T00:20:00Z");
    let plain = fetch(with("posts", None)).await;
    let seen = fetch(with("posts_seen", Some("changed"))).await;
    assert_eq!(fetch(with("posts_seen", None)).await.validator, None, "a view alone does not tell its state");
    let held = [("posts", Some("changed"), first), ("posts", None, plain), ("posts_seen", Some("changed"), seen)];
    let stands = |fetched: Fetched| matches!(fetched, Fetched::NotModified);
    for (table, changed, collection) in &held {
        let again = Wanted { validator: collection.validator.as_deref(), ..with(table, *changed) };
        assert!(stands(try_fetch(again).await.unwrap()), "{table} {changed:?}");
        let otherwise = Wanted { id_field: Some("name"), ..again };
        assert!(!stands(try_fetch(otherwise).await.unwrap()), "another key is another reading");
    }
    for change in [
        "UPDATE land.posts SET name = 'x', changed = '2026-11-21 00:00Z' WHERE id = 3",
        // Begun earlier than the newest, ended later.
        "UPDATE land.posts SET name = 'y', changed = '2026-11-20 12:00Z' WHERE id = 4",
        "DELETE FROM land.posts WHERE id = 5",
        "TRUNCATE land.posts",
    ] {
        let mut before = Vec::new();
        for (table, changed, _) in &held {
            before.push(fetch(with(table, *changed)).await.validator);
        }
        cluster.sql("land", change);
        for ((table, changed, _), validator) in held.iter().zip(&before) {
            let again = Wanted { validator: validator.as_deref(), ..with(table, *changed) };
            assert!(!stands(try_fetch(again).await.unwrap()), "{change}: {table} {changed:?}");
        }
    }
}

#[tokio::test]
async fn columns_of_every_kind_become_properties() {
    let Some(cluster) = shared() else { return };
    cluster.sql(
        "land",
        r#"CREATE TYPE land.mood AS ENUM ('tốt', 'xấu');
        CREATE DOMAIN land.share AS int CHECK (VALUE BETWEEN 0 AND 100);
        CREATE TABLE land.kinds (gid bigserial PRIMARY KEY, "Tên ""lạ""" text, small int2, big int8, share land.share,
            single float4, double float8, exact numeric(12,2), whole numeric(20,0), yes bool, day date, local timestamp, at timestamptz,
            clock time, span interval, doc jsonb, list text[], mood land.mood, id uuid, raw bytea, none text,
            geom geometry(PointZ, 4326), second geometry(Point, 4326));
        INSERT INTO land.kinds VALUES (7, 'Hoà', 1, 9007199254740993, 40, 0.1, 1e-7, 12.00, 25684000000000001, true, '2026-11-23',
            '2026-11-23 07:08:09.5', '2026-11-23 21:00:00+07', '07:08', '1 day 2 hours', '{"a": [1]}', '{a,"b c"}',
            'tốt', '6f9619ff-8b86-d011-b42d-00cf4fc964ff', '\xc0ff', NULL, 'SRID=4326;POINT Z (106 11 5)', NULL)"#,
    );
    let ask = Ask::new(&cluster);
    let got = fetch(ask.table("kinds")).await;
    assert_eq!(got.report.rejected, []);
    assert!(got.report.warnings.iter().any(|sentence| sentence.contains("second")), "{:?}", got.report.warnings);
    let row = &got.features[0];
    assert_eq!(row.id, "7");
    let text = |text: &str| Value::Text(text.into());
    for (name, value) in [
        ("gid", Value::Integer(7)),
        ("Tên \"lạ\"", text("Hoà")),
        ("small", Value::Integer(1)),
        ("big", Value::Integer(9_007_199_254_740_993)),
        ("share", Value::Integer(40)),
        ("single", Value::Real(0.1)),
        ("double", Value::Real(1e-7)),
        ("exact", Value::Real(12.0)),
        ("whole", Value::Integer(25_684_000_000_000_001)),
        ("yes", Value::Bool(true)),
        ("day", text("2026-11-23")),
        ("local", text("2026-11-23T07:08:09.5")),
        ("at", text("2026-11-23T14:00:00Z")),
        ("clock", text("07:08:00")),
        ("span", text("P1DT2H")),
        ("doc", text(r#"{"a": [1]}"#)),
        ("list", text(r#"{a,"b c"}"#)),
        ("mood", text("tốt")),
        ("id", text("6f9619ff-8b86-d011-b42d-00cf4fc964ff")),
        ("raw", text(r"\xc0ff")),
        ("none", Value::Null),
    ] {
        assert_eq!(row.properties[name], value, "{name}");
    }
    assert!(row.properties.get("second").is_none() && row.properties.get("geom").is_none());
}

#[tokio::test]
async fn a_bad_row_costs_that_row() {
    let Some(cluster) = shared() else { return };
    cluster.sql(
        "land",
        "CREATE TABLE land.bad (n serial PRIMARY KEY, code text, v float8, geom geometry(Geometry, 4326));
        INSERT INTO land.bad (code, v, geom) VALUES ('good', 1, 'SRID=4326;POINT(106.1 11.3)'), ('none', 1, NULL),
            ('empty', 1, 'SRID=4326;POLYGON EMPTY'), ('nan', 1, ST_SetSRID(ST_MakeLine(ST_MakePoint(106, 11), ST_MakePoint('NaN', 11)), 4326)),
            ('curve', 1, 'SRID=4326;CIRCULARSTRING(106 11, 106.1 11.1, 106.2 11)'),
            ('far', 1, ST_SetSRID(ST_MakePoint(1060, 11), 4326)), ('infinite', 'Infinity', 'SRID=4326;POINT(106 11)'),
            ('good', 1, 'SRID=4326;POINT(106.2 11.3)'), (NULL, 1, 'SRID=4326;POINT(106.2 11.3)'),
            ('cross', 1, 'SRID=4326;POLYGON((106 11, 106.1 11.1, 106.1 11, 106 11.1, 106 11))');",
    );
    let ask = Ask::new(&cluster);
    let by_key = fetch(Wanted { id_field: Some("code"), ..ask.table("bad") }).await;
    let kept: Vec<&str> = by_key.features.iter().map(|feature| feature.id.as_str()).collect();
    assert_eq!(kept, ["good", "cross"], "shapes are mended elsewhere");
    assert_eq!(
        rejected_of(&by_key.report),
        [
            (2, "geometry_missing"),
            (3, "geometry_missing"),
            (4, "not_finite"),
            (5, "geometry_invalid"),
            (6, "coordinate_range"),
            (7, "not_finite"),
            (8, "duplicate_id"),
            (9, "id_missing"),
        ]
    );
    cluster.sql(
        "land",
        "CREATE TABLE land.pairs (a text, b int, geom geometry, PRIMARY KEY (a, b));
        INSERT INTO land.pairs VALUES ('x', 1, 'SRID=4326;POINT(106 11)'), ('x', 2, 'POINT(106 11)');
        CREATE TABLE land.keyless AS SELECT geom, n AS rank FROM land.bad;",
    );
    let pairs = fetch(ask.table("pairs")).await;
    assert_eq!(pairs.features.iter().map(|feature| feature.id.as_str()).collect::<Vec<_>>(), ["x,1", "x,2"]);
    let error = refused(ask.table("keyless")).await;
    assert!(error.code() == "malformed" && error.to_string().contains("id_field"), "{error}");
    let error = refused(Wanted { id_field: Some("ma"), ..ask.table("bad") }).await;
    assert!(error.code() == "malformed" && error.to_string().contains("code"), "{error}");
    assert_eq!(fetch(Wanted { id_field: Some("RANK"), ..ask.table("keyless") }).await.features.len(), 5);
}

#[tokio::test]
async fn hostile_names_are_names() {
    let Some(cluster) = shared() else { return };
    let table = r#"a"; DROP TABLE land.communes; --"#;
    let name = table.replace('"', "\"\"");
    cluster.sql(
        "land",
        &format!(
            r#"CREATE TABLE land."{name}" ("k""; SELECT 1" int PRIMARY KEY, "chan'ged""" timestamptz, "ge""om" geometry(Point, 4326));
            INSERT INTO land."{name}" VALUES (1, now(), 'SRID=4326;POINT(106 11)')"#
        ),
    );
    let ask = Ask::new(&cluster);
    for asked in [table.to_owned(), format!("land.{table}")] {
        let got = fetch(Wanted { changed_field: Some("chan'ged\""), ..ask.table(&asked) }).await;
        assert_eq!((got.features.len(), got.features[0].id.as_str()), (1, "1"));
    }
    let error = refused(ask.table("communes'; --")).await;
    assert_eq!(error.code(), "no_collection");
    assert_eq!(fetch(ask.table("communes")).await.features.len(), 96);
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing() {
    let Some(cluster) = shared() else { return };
    cluster.sql(
        "land",
        "CREATE TABLE public.secret (id int PRIMARY KEY, v text, geom geometry(Point, 4326));
        CREATE TABLE land.half (id int PRIMARY KEY, v text, hidden text, geom geometry(Point, 4326));
        INSERT INTO land.half VALUES (1, 'a', 'b', 'SRID=4326;POINT(106 11)');
        REVOKE SELECT ON land.half FROM reader; GRANT SELECT (id, v, geom) ON land.half TO reader;
        CREATE TABLE land.flat (id int PRIMARY KEY); CREATE TABLE land.foot (id int PRIMARY KEY, geom geometry(Point, 27700))",
    );
    let ask = Ask::new(&cluster);
    let said = |error: &FetchError, code: &str, words: &[&str]| {
        let text = error.to_string();
        assert!(error.code() == code && words.iter().all(|word| text.contains(word)), "{code}: {text}");
        assert!(!text.contains("Mật khẩu") && !text.contains("sai"), "{text}");
        assert!(!error.retryable() && error.answered(), "{text}");
    };
    let wrong = Ask::by(&cluster, "", "reader", "sai");
    said(&refused(wrong.table("communes")).await, "login", &["\"reader\"", "\"land-db\"", "localhost"]);
    let nobody = Ask::by(&cluster, "", "nobody", "sai");
    said(&refused(nobody.table("communes")).await, "login", &["nobody"]);
    let without = Wanted { login: None, ..wrong.table("communes") };
    let named: Url = root(&cluster, "").as_str().replace("//", "//reader@").parse().unwrap();
    said(&refused(Wanted { root: &named, ..without }).await, "login", &["reader", "no credentials"]);
    assert_eq!(refused(without).await.code(), "bad_address", "somebody must ask");
    said(
        &refused(ask.table("public.secret")).await,
        "no_access",
        &["\"reader\"", "GRANT SELECT ON \"public\".\"secret\""],
    );
    said(&refused(ask.table("rivers")).await, "no_collection", &["land.communes", "land.half"]);
    assert!(!refused(ask.table("rivers")).await.to_string().contains("public.secret"));
    said(&refused(ask.table("flat")).await, "malformed", &["\"land\".\"flat\"", "shape"]);
    said(&refused(ask.table("foot")).await, "malformed", &["EPSG:27700"]);
    let half = fetch(ask.table("half")).await;
    assert!(half.features[0].properties.get("hidden").is_none() && half.validator.is_none());
    let elsewhere = Ask::by(&cluster, "", "reader", "Mật khẩu 1");
    let no_database: Url = elsewhere.root.as_str().replace("/land", "/lnad").parse().unwrap();
    said(&refused(Wanted { root: &no_database, ..elsewhere.table("communes") }).await, "service_refuses", &["3D000"]);
    let no_extension: Url = elsewhere.root.as_str().replace("/land", "/postgres").parse().unwrap();
    said(&refused(Wanted { root: &no_extension, ..elsewhere.table("x") }).await, "service_refuses", &["postgis"]);
}

#[tokio::test]
async fn the_line_is_as_safe_as_the_address_asks() {
    let Some(cluster) = shared() else { return };
    let authority = cluster.certificate().display().to_string();
    let code = async |host: &str, query: &str| {
        let ask = Ask::by(&cluster, query, "sealed", "x");
        let root: Url = ask.root.as_str().replace("localhost", host).parse().unwrap();
        let fetched = try_fetch(Wanted { root: &root, ..ask.table("land.communes") }).await;
        fetched.map_or_else(|error| error.code(), |_| "ok")
    };
    for (host, query, outcome) in [
        ("localhost", String::new(), "ok"),
        ("localhost", "?sslmode=disable".into(), "login"),
        ("localhost", "?sslmode=require".into(), "ok"),
        ("localhost", "?sslmode=verify-full".into(), "tls"),
        ("localhost", format!("?sslmode=verify-full&sslrootcert={authority}"), "ok"),
        ("127.0.0.1", format!("?sslmode=verify-full&sslrootcert={authority}"), "tls"),
        ("127.0.0.1", format!("?sslmode=verify-ca&sslrootcert={authority}"), "ok"),
        ("localhost", "?sslmode=verify-full&sslrootcert=/nowhere.pem".into(), "tls"),
    ] {
        assert_eq!(code(host, &query).await, outcome, "{host}{query}");
    }
}

/// Two hundred thousand points: more than one batch, and more than a socket holds.
const MANY: &str = "CREATE TABLE land.many (id int PRIMARY KEY, name text, geom geometry(Point, 4326));
    INSERT INTO land.many SELECT n, repeat('x', 100), ST_SetSRID(ST_MakePoint(106 + n * 1e-6, 11), 4326)
    FROM generate_series(1, 200000) n;";

#[tokio::test]
async fn limits_end_what_takes_too_long_or_too_much() {
    let Some(cluster) = shared() else { return };
    cluster.sql("land", MANY);
    cluster.sql(
        "land",
        "CREATE VIEW land.slow AS SELECT id, name, geom FROM land.communes WHERE pg_sleep(0.05) IS NOT NULL;
        CREATE TABLE land.locked (id int PRIMARY KEY, geom geometry(Point, 4326));",
    );
    let ask = Ask::new(&cluster);
    let with = async |table: &str, options: ClientOptions| {
        let wanted = ask.table(table);
        let fetched = service(Protocol::PostGis).unwrap().fetch(&Client::with(options), wanted, &mut |_, _| {}).await;
        fetched.unwrap_err()
    };
    let small = ClientOptions { collection_limit_bytes: 1 << 20, ..ClientOptions::default() };
    assert_eq!(with("many", small).await.code(), "too_large");
    let quick = ClientOptions { idle_timeout: Duration::from_millis(700), ..ClientOptions::default() };
    let error = with("slow", quick).await;
    assert!(error.code() == "timeout" && error.retryable() && error.answered(), "{error}");
    let short = ClientOptions { answer_timeout: Duration::from_millis(300), ..ClientOptions::default() };
    assert_eq!(with("slow", short).await.code(), "timeout");
    // Dropped half-way, nothing is left behind but what the server's own limit ends.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'Toan-Canh%' AND query LIKE '%\"slow\"%' AND state <> 'idle'";
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let _ = tokio::time::timeout(Duration::from_millis(300), try_fetch(ask.table("slow"))).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(cluster.sql("land", busy), "0");
}

#[tokio::test]
async fn a_read_that_is_cut_brings_nothing_and_says_so() {
    let Some(programs) = programs() else { return };
    let cluster = filled(Cluster::start(programs));
    cluster.sql("land", MANY);
    let ask = Ask::new(&cluster);
    let during = async |act: &(dyn Fn() + Sync)| {
        let mut cut = false;
        let mut progress = |_: u64, _: Option<u64>| {
            if !std::mem::replace(&mut cut, true) {
                act();
            }
        };
        service(Protocol::PostGis).unwrap().fetch(&Client::default(), ask.table("many"), &mut progress).await
    };
    let mine = "FROM pg_stat_activity WHERE application_name LIKE 'Toan-Canh%'";
    for (what, sql) in [
        ("terminated", format!("SELECT pg_terminate_backend(pid) {mine}")),
        ("cancelled", format!("SELECT pg_cancel_backend(pid) {mine}")),
    ] {
        let outcome = during(&|| drop(cluster.sql("land", &sql))).await;
        // A word to cancel that comes between two statements finds nothing to end.
        if what == "terminated" || outcome.is_err() {
            let error = outcome.unwrap_err();
            assert!(error.code() == "truncated" && error.retryable(), "{what}: {error}");
        }
    }
    // Whoever writes meanwhile is not seen, and is not kept from it.
    let Fetched::Features(whole) = during(&|| drop(cluster.sql("land", "DELETE FROM land.many"))).await.unwrap() else {
        panic!()
    };
    assert_eq!(whole.features.len(), 200_000);
    cluster.sql("land", "DROP TABLE land.many");
    cluster.sql("land", MANY);
    let error = during(&|| cluster.stop("immediate")).await.unwrap_err();
    assert!(error.code() == "truncated" && error.retryable(), "{error}");
    let error = refused(ask.table("communes")).await;
    assert!(error.code() == "refused" && !error.answered(), "{error}");
    cluster.go();
    same("after a restart", &fetch(ask.table("communes")).await);
}

#[tokio::test]
async fn a_database_is_recognised_by_its_address_and_tells_its_tables() {
    let Some(cluster) = shared() else { return };
    cluster.sql(
        "land",
        "CREATE SCHEMA hall; CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA hall TO guest, reader;
        CREATE TABLE hall.lots (id int PRIMARY KEY, geom geometry(Point, 4326), seen geography);
        INSERT INTO hall.lots SELECT n, 'SRID=4326;POINT(106 11)' FROM generate_series(1, 20) n;
        COMMENT ON TABLE hall.lots IS 'Thửa đất'; ANALYZE hall.lots;
        CREATE TABLE hall.new (id int PRIMARY KEY, geom geometry); CREATE TABLE hall.flat (id int);
        CREATE VIEW hall.seen AS SELECT * FROM hall.lots;
        GRANT SELECT ON ALL TABLES IN SCHEMA hall TO guest, reader;
        CREATE TABLE hall.hidden (id int, geom geometry);",
    );
    let client = Client::default();
    let offer = |name: &str, title: &str, features| Offer {
        collection: Some(format!("hall.{name}")),
        title: title.into(),
        features,
    };
    let hall = [offer("lots", "Thửa đất", Some(20)), offer("new", "new", None), offer("seen", "seen", None)];
    let by = |who: &str, query: &str| root(&cluster, query).as_str().replace("//", &format!("//{who}"));
    let found = recognise(&client, &by("guest@", "")).await.unwrap();
    assert_eq!((found.protocol, found.title.as_deref()), (Protocol::PostGis, Some("land")));
    assert_eq!(found.root.as_str(), by("guest@", ""));
    assert_eq!(found.offers, hall);
    // By credentials: the schema land too, unless the address names another.
    let (credentials, secret) = (basic("reader"), Secret::new("Mật khẩu 1"));
    let login = Some(Login { credentials: &credentials, secret: &secret });
    let all = recognise_with(&client, &by("", ""), login).await.unwrap();
    assert!(
        all.offers.len() > hall.len() && all.offers.iter().any(|o| o.collection.as_deref() == Some("land.communes"))
    );
    assert_eq!(recognise_with(&client, &by("", "?schema=hall"), login).await.unwrap().offers, hall);
    for who in ["", "reader@"] {
        let error = recognise(&client, &by(who, "")).await.unwrap_err();
        let text = error.to_string();
        assert!(error.code() == "login" && text.contains("credentials") && text.contains("secret set"), "{text}");
    }
    let no_postgis = by("guest@", "").replace("/land", "/postgres");
    assert_eq!(recognise(&client, &no_postgis).await.unwrap_err().code(), "service_refuses");
    assert_eq!(
        recognise(&client, "postgres://reader@169.254.169.254/land").await.unwrap_err().code(),
        "forbidden_address"
    );
}
