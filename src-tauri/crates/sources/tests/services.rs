//! Services that answer as real ones do: with caps, errors under status 200, axes in either order.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Asked, Log, answer, ok, serve};
use common::{features, point, wanted};
use geo_types::{Geometry, Point};
use model::{Protocol, Value};
use sources::{Client, ClientOptions, Collection, FetchError, Fetched, Url, Wanted, service};
use std::path::Path;

async fn fetch(protocol: Protocol, wanted: Wanted<'_>) -> Result<Fetched, FetchError> {
    let client = Client::with(ClientOptions { collection_limit_bytes: 1 << 20, ..ClientOptions::default() });
    service(protocol).unwrap().fetch(&client, wanted, &mut |_, _| {}).await
}

async fn all(protocol: Protocol, root: &Url) -> Collection {
    features(fetch(protocol, wanted(root, "communes", Path::new("/proc/nowhere"))).await)
}

async fn error(protocol: Protocol, root: &Url) -> FetchError {
    fetch(protocol, wanted(root, "communes", Path::new("/proc/nowhere"))).await.unwrap_err()
}

fn place(collection: &Collection, at: usize) -> (f64, f64) {
    match collection.features[at].geometry {
        Geometry::Point(Point(c)) => (c.x, c.y),
        ref other => panic!("{other:?}"),
    }
}

fn asked(log: &Log, word: &str) -> Vec<String> {
    log.lock().unwrap().iter().map(|asked| asked.path.clone()).filter(|path| path.contains(word)).collect()
}

fn number(asked: &Asked, name: &str) -> Option<usize> {
    asked.query(name).and_then(|text| text.parse().ok())
}

mod ogc {
    use super::*;

    fn page(from: usize, to: usize, next: Option<usize>) -> String {
        let rows: Vec<String> = (from..to).map(|i| point(&format!("c{i}"), 106.1, 11.1 + i as f64 / 100.0)).collect();
        let links = next.map_or(String::new(), |n| format!(r#"{{"rel":"next","href":"?offset={n}&limit=3"}}"#));
        format!(r#"{{"type":"FeatureCollection","links":[{links}],"features":[{}]}}"#, rows.join(","))
    }

    #[tokio::test]
    async fn limits_of_the_server_are_followed_or_left_out() {
        // Capped in silence.
        let (root, _) = serve(|asked| {
            let from = number(asked, "offset").unwrap_or(0);
            ok(page(from, (from + 3).min(10), (from + 3 < 10).then_some(from + 3)))
        })
        .await;
        assert_eq!(all(Protocol::OgcApiFeatures, &root).await.features.len(), 10);
        // Refused.
        let (root, log) = serve(|asked| match asked.query("limit") {
            Some(_) => answer("400 Bad Request", "", "limit is at most 100"),
            None => ok(page(0, 2, None)),
        })
        .await;
        assert_eq!(all(Protocol::OgcApiFeatures, &root).await.features.len(), 2);
        assert!(asked(&log, "bbox").is_empty() && asked(&log, "filter").is_empty());
    }

    #[tokio::test]
    async fn axes_go_by_what_the_server_says_and_by_where_the_province_lies() {
        let turned = |headers: &'static str| {
            serve(move |_| {
                let rows = [point("a", 11.25, 106.5), point("b", 11.3, 106.1)].join(",");
                answer("200 OK", headers, format!(r#"{{"type":"FeatureCollection","features":[{rows}]}}"#))
            })
        };
        let epsg = "Content-Crs: <http://www.opengis.net/def/crs/EPSG/0/4326>\r\n";
        for (headers, warned) in [(epsg, false), ("", true)] {
            let (root, _) = turned(headers).await;
            let communes = all(Protocol::OgcApiFeatures, &root).await;
            assert_eq!(place(&communes, 0), (106.5, 11.25), "{headers}");
            assert_eq!(!communes.report.warnings.is_empty(), warned, "{:?}", communes.report.warnings);
        }
        let grid = "Content-Crs: <http://www.opengis.net/def/crs/EPSG/0/9209>\r\n";
        let (root, _) = serve(move |_| {
            let row = point("a", 568_469.126, 1_250_153.911);
            answer("200 OK", grid, format!(r#"{{"type":"FeatureCollection","features":[{row}]}}"#))
        })
        .await;
        let (lon, lat) = place(&all(Protocol::OgcApiFeatures, &root).await, 0);
        assert!((lon - 106.129).abs() < 1e-6 && (lat - 11.304).abs() < 1e-6, "{lon} {lat}");
        let (root, _) = turned("Content-Crs: <http://www.opengis.net/def/crs/EPSG/0/27700>\r\n").await;
        let error = error(Protocol::OgcApiFeatures, &root).await;
        assert!(error.to_string().contains("EPSG:27700"), "{error}");
    }

    #[tokio::test]
    async fn pages_without_end_meet_the_limit() {
        let (root, _) = serve(|asked| {
            let from = number(asked, "offset").unwrap_or(0);
            ok(page(from, from + 500, Some(from + 500)))
        })
        .await;
        let error = error(Protocol::OgcApiFeatures, &root).await;
        assert_eq!(error.code(), "too_large", "{error}");
    }
}

mod wfs {
    use super::*;

    fn capabilities(version: &str, crs: &str, formats: &str, paging: bool) -> String {
        let paging = if paging {
            "<ows:Constraint name='ImplementsResultPaging'><ows:NoValues/><ows:DefaultValue>TRUE</ows:DefaultValue></ows:Constraint>"
        } else {
            ""
        };
        let crs_name = if version == "2.0.0" { "DefaultCRS" } else { "DefaultSRS" };
        format!(
            "<?xml version='1.0'?><WFS_Capabilities version='{version}' xmlns='http://www.opengis.net/wfs/2.0' xmlns:ows='http://www.opengis.net/ows/1.1'>\
             <ows:OperationsMetadata><ows:Operation name='DescribeFeatureType'/><ows:Operation name='GetFeature'>\
             <ows:DCP><ows:HTTP><ows:Get xlink:href='http://192.0.2.1/internal' xmlns:xlink='http://www.w3.org/1999/xlink'/></ows:HTTP></ows:DCP>\
             <ows:Parameter name='outputFormat'><ows:AllowedValues>{formats}</ows:AllowedValues></ows:Parameter></ows:Operation>{paging}</ows:OperationsMetadata>\
             <FeatureTypeList><FeatureType><Name>tn:communes</Name><{crs_name}>{crs}</{crs_name}></FeatureType></FeatureTypeList></WFS_Capabilities>"
        )
    }

    const URN: &str = "urn:ogc:def:crs:EPSG::4326";
    const JSON: &str = "<ows:Value>application/json</ows:Value>";
    const SCHEMA: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:complexType name='communesType'><xs:sequence>\
        <xs:element name='area_km2' type='xs:double'/><xs:element name='pupils' type='xs:int'/><xs:element name='sample' type='xs:boolean'/>\
        </xs:sequence></xs:complexType></xs:schema>";

    fn member(i: usize, srs: &str, pos: &str) -> String {
        format!(
            "<wfs:member><tn:communes gml:id='communes.{i}'><gml:boundedBy><gml:Envelope/></gml:boundedBy>\
             <tn:name>Xã &amp; phường {i}</tn:name><tn:area_km2>1.5</tn:area_km2><tn:pupils>7</tn:pupils><tn:sample>true</tn:sample>\
             <tn:code>0{i}</tn:code><tn:note xsi:nil='true'/>\
             <tn:geom><gml:Point srsName='{srs}'><gml:pos>{pos}</gml:pos></gml:Point></tn:geom></tn:communes></wfs:member>"
        )
    }

    fn collection(head: &str, members: &[String]) -> String {
        format!(
            "<?xml version='1.0' encoding='UTF-8'?><wfs:FeatureCollection xmlns:wfs='http://www.opengis.net/wfs/2.0' xmlns:gml='http://www.opengis.net/gml/3.2' \
             xmlns:tn='http://example.vn/tn' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' {head}>{}</wfs:FeatureCollection>",
            members.concat()
        )
    }

    /// A server of 5 features that gives at most 2 at a time, whatever is asked for.
    fn paged(asked: &Asked, matched: &str) -> Vec<u8> {
        match asked.query("request").as_deref() {
            Some("GetCapabilities") => ok(capabilities("2.0.0", URN, "", true)),
            Some("DescribeFeatureType") => ok(SCHEMA),
            _ if asked.query("resulttype").is_some() => {
                ok(collection(&format!("numberMatched='{matched}' numberReturned='0'"), &[]))
            }
            _ => {
                let from = number(asked, "startindex").unwrap();
                let members: Vec<String> = (from..5.min(from + 2)).map(|i| member(i, URN, "11.3 106.1")).collect();
                ok(collection("numberMatched='unknown' numberReturned='2'", &members))
            }
        }
    }

    #[tokio::test]
    async fn gml_comes_by_pages_with_its_types_and_axes() {
        // MapServer counts 0 where it does not count.
        for matched in ["5", "unknown", "0"] {
            let (root, log) = serve(move |asked| paged(asked, matched)).await;
            let root = root.join("/cgi?map=/data/tn.map&SERVICE=WFS&request=GetCapabilities").unwrap();
            let communes = all(Protocol::Wfs, &root).await;
            assert_eq!((communes.features.len(), communes.report.rejected.len()), (5, 0), "{:?}", communes.report);
            assert_eq!(place(&communes, 4), (106.1, 11.3));
            let first = &communes.features[0];
            assert_eq!(first.id, "0", "without the type's name in front");
            assert_eq!(first.properties["area_km2"], Value::Real(1.5));
            assert_eq!(first.properties["pupils"], Value::Integer(7));
            assert_eq!(first.properties["sample"], Value::Bool(true));
            assert_eq!(first.properties["code"], Value::Text("00".into()));
            assert_eq!(first.properties["note"], Value::Null);
            assert_eq!(first.properties["name"], Value::Text("Xã & phường 0".into()));
            assert!(asked(&log, "map=").len() == log.lock().unwrap().len());
            assert!(asked(&log, "request=GetCapabilities").len() == 1);
        }
    }

    #[tokio::test]
    async fn names_of_systems_decide_the_axes() {
        for (srs, pos) in [
            (URN, "11.3 106.1"),
            ("http://www.opengis.net/gml/srs/epsg.xml#4326", "106.1 11.3"),
            ("urn:ogc:def:crs:OGC:1.3:CRS84", "106.1 11.3"),
            // MapServer's WFS 1.1 writes the short name and latitude first: where the province lies decides.
            ("EPSG:4326", "11.3 106.1"),
            ("EPSG:4326", "106.1 11.3"),
        ] {
            let (root, _) = serve(move |asked| match asked.query("request").as_deref() {
                Some("GetCapabilities") => ok(capabilities("1.1.0", URN, "", false)),
                Some("DescribeFeatureType") => ok(SCHEMA),
                _ if asked.query("resulttype").is_some() => ok(collection("numberOfFeatures='1'", &[])),
                _ => ok(collection("numberOfFeatures='1'", &[member(1, srs, pos)])),
            })
            .await;
            let communes = all(Protocol::Wfs, &root).await;
            assert_eq!(place(&communes, 0), (106.1, 11.3), "{srs} {pos}");
        }
    }

    #[tokio::test]
    async fn geojson_is_taken_where_it_is_offered() {
        let (root, log) = serve(|asked| match asked.query("request").as_deref() {
            Some("GetCapabilities") => ok(capabilities("2.0.0", "urn:ogc:def:crs:EPSG::4326", JSON, true)),
            _ if asked.query("resulttype").is_some() => ok(collection("numberMatched='3'", &[])),
            _ => {
                let from = number(asked, "startindex").unwrap();
                let rows: Vec<String> =
                    (from..3.min(from + 2)).map(|i| point(&format!("communes.{i}"), 106.1, 11.3)).collect();
                ok(format!(r#"{{"type":"FeatureCollection","totalFeatures":3,"features":[{}]}}"#, rows.join(",")))
            }
        })
        .await;
        let communes = all(Protocol::Wfs, &root).await;
        assert_eq!((communes.features.len(), communes.features[2].id.as_str()), (3, "2"));
        assert_eq!(place(&communes, 0), (106.1, 11.3));
        assert!(asked(&log, "DescribeFeatureType").is_empty());
        assert_eq!(asked(&log, "outputFormat=application%2Fjson").len(), 3, "{:?}", log.lock().unwrap());
    }

    #[tokio::test]
    async fn refusals_and_lies_are_told_apart() {
        const EXCEPTION: &str = "<ows:ExceptionReport xmlns:ows='http://www.opengis.net/ows/1.1'><ows:Exception exceptionCode='OperationProcessingFailed'><ows:ExceptionText>the database is away</ows:ExceptionText></ows:Exception></ows:ExceptionReport>";
        type Make = fn(&Asked) -> String;
        let one: Make = |_| collection("", &[member(1, URN, "11.3 106.1")]);
        let cases: [(&str, bool, &str, Make, &str, &str); 9] = [
            (
                "an exception with 200",
                true,
                "5",
                |_| EXCEPTION.into(),
                "service_refuses",
                "the database is away (OperationProcessingFailed)",
            ),
            ("startIndex is ignored", true, "5", one, "malformed", "repeats"),
            ("a cap without pages", false, "5", one, "malformed", "1 of 5"),
            (
                "fewer than announced",
                true,
                "5",
                |a| {
                    collection(
                        "",
                        &if number(a, "startindex") == Some(0) { vec![member(1, URN, "11.3 106.1")] } else { vec![] },
                    )
                },
                "malformed",
                "5 features were announced, 1 came",
            ),
            (
                "cut",
                true,
                "5",
                |_| collection("", &[member(1, URN, "11.3 106.1")])[..500].into(),
                "truncated",
                "cut short",
            ),
            (
                "a bomb",
                true,
                "5",
                |_| format!("<!DOCTYPE x [<!ENTITY a 'aaaa'>]>{}", collection("", &[])),
                "malformed",
                "document type",
            ),
            (
                "an entity",
                true,
                "5",
                |_| collection("", &["<wfs:member><a>&b;</a></wfs:member>".into()]),
                "malformed",
                "entity",
            ),
            ("a page of HTML", true, "5", |_| "<html><body>login</body></html>".into(), "malformed", "\"html\""),
            (
                "another system",
                true,
                "1",
                |_| collection("", &[member(1, "urn:ogc:def:crs:EPSG::27700", "11.3 106.1")]),
                "malformed",
                "EPSG:27700",
            ),
        ];
        for (what, paging, matched, page, code, word) in cases {
            let (root, _) = serve(move |asked| match asked.query("request").as_deref() {
                Some("GetCapabilities") => ok(capabilities("2.0.0", URN, "", paging)),
                Some("DescribeFeatureType") => answer("404 Not Found", "", ""),
                _ if asked.query("resulttype").is_some() => ok(collection(&format!("numberMatched='{matched}'"), &[])),
                _ => ok(page(asked)),
            })
            .await;
            let error = error(Protocol::Wfs, &root).await;
            assert_eq!(error.code(), code, "{what}: {error}");
            assert!(error.to_string().contains(word) && error.to_string().contains("127.0.0.1"), "{what}: {error}");
        }
    }

    #[tokio::test]
    async fn shapes_that_cannot_be_read_cost_their_row() {
        let arc = "<wfs:member><tn:communes gml:id='communes.2'><tn:geom><gml:Curve><gml:segments><gml:Arc><gml:posList>1 2</gml:posList></gml:Arc></gml:segments></gml:Curve></tn:geom></tn:communes></wfs:member>";
        let none = "<wfs:member><tn:communes gml:id='communes.3'><tn:name>x</tn:name></tn:communes></wfs:member>";
        let (root, _) = serve(move |asked| match asked.query("request").as_deref() {
            Some("GetCapabilities") => ok(capabilities("2.0.0", URN, "", false)),
            Some("DescribeFeatureType") => ok("not XML"),
            _ if asked.query("resulttype").is_some() => ok(collection("numberMatched='3'", &[])),
            _ => ok(collection("", &[member(1, URN, "11.3 106.1"), arc.into(), none.into()])),
        })
        .await;
        let communes = all(Protocol::Wfs, &root).await;
        let codes: Vec<(u64, &str)> = communes.report.rejected.iter().map(|r| (r.row, r.code.as_str())).collect();
        assert_eq!(codes, [(2, "geometry_invalid"), (3, "geometry_missing")]);
        assert_eq!(communes.features[0].properties["area_km2"], Value::Text("1.5".into()), "no schema, no types");
    }
}

mod arcgis {
    use super::*;

    const FIELDS: &str = r#""objectIdField":"OBJECTID","fields":[{"name":"OBJECTID","type":"esriFieldTypeOID"},{"name":"surveyed","type":"esriFieldTypeDate"},{"name":"area_km2","type":"esriFieldTypeDouble"},{"name":"name","type":"esriFieldTypeString"}]"#;

    fn about(pages: bool, formats: &str) -> String {
        format!(
            r#"{{"id":0,"name":"communes","maxRecordCount":2,"supportedQueryFormats":"{formats}",{FIELDS},"advancedQueryCapabilities":{{"supportsPagination":{pages},"supportsOrderBy":true}}}}"#
        )
    }

    fn row(i: usize, geojson: bool) -> String {
        let attributes = format!(r#"{{"OBJECTID":{i},"surveyed":1795442400000,"area_km2":92,"name":"c{i}"}}"#);
        if geojson {
            format!(
                r#"{{"type":"Feature","id":{i},"properties":{attributes},"geometry":{{"type":"Point","coordinates":[106.1,11.3]}}}}"#
            )
        } else {
            format!(r#"{{"attributes":{attributes},"geometry":{{"x":106.1,"y":11.3}}}}"#)
        }
    }

    /// 5 features, 2 at a time.
    fn layer(asked: &Asked, pages: bool, formats: &str) -> Vec<u8> {
        let geojson = asked.query("f").as_deref() == Some("geojson");
        if asked.path.starts_with("/FeatureServer?") {
            return ok(r#"{"layers":[{"id":0,"name":"communes"},{"id":1,"name":"roads"}]}"#);
        }
        if asked.path.starts_with("/FeatureServer/0?") {
            return ok(about(pages, formats));
        }
        if asked.query("returncountonly").is_some() {
            return ok(r#"{"count":5}"#);
        }
        if asked.query("returnidsonly").is_some() {
            return ok(r#"{"objectIdFieldName":"OBJECTID","objectIds":[5,1,2,4,3]}"#);
        }
        let ids: Vec<usize> = match (asked.query("objectids"), number(asked, "resultoffset")) {
            (Some(list), _) => list.split(',').map(|id| id.parse().unwrap()).collect(),
            (None, Some(offset)) => (1..=5).skip(offset).take(2).collect(),
            (None, None) => vec![1, 2],
        };
        let rows: Vec<String> = ids.iter().map(|i| row(*i, geojson)).collect();
        let exceeded = asked.query("objectids").is_none() && ids.last() != Some(&5);
        let more = match geojson {
            true => format!(r#""properties":{{"exceededTransferLimit":{exceeded}}}"#),
            false => format!(r#""exceededTransferLimit":{exceeded},"spatialReference":{{"wkid":4326}}"#),
        };
        ok(format!(r#"{{"type":"FeatureCollection",{more},"features":[{}]}}"#, rows.join(",")))
    }

    #[tokio::test]
    async fn layers_come_by_pages_or_by_ids_in_either_format() {
        for pages in [true, false] {
            for formats in ["JSON, geoJSON, PBF", "JSON"] {
                let (root, log) = serve(move |asked| layer(asked, pages, formats)).await;
                let root = root.join("/FeatureServer").unwrap();
                let communes = all(Protocol::ArcGis, &root).await;
                assert_eq!((communes.features.len(), communes.report.rejected.len()), (5, 0), "{pages} {formats}");
                let first = &communes.features[0];
                assert_eq!((first.id.as_str(), first.properties.contains_key("OBJECTID")), ("1", false));
                assert_eq!(first.properties["area_km2"], Value::Real(92.0));
                assert_eq!(first.properties["surveyed"], Value::Text("2026-11-23T14:00:00Z".into()));
                assert_eq!(place(&communes, 4), (106.1, 11.3));
                assert_eq!(asked(&log, "objectIds=").is_empty(), pages);
                assert_eq!(asked(&log, "f=geojson").is_empty(), formats == "JSON");
                let numbered = Wanted { collection: Some("0"), ..wanted(&root, "x", Path::new("/proc/nowhere")) };
                assert_eq!(features(fetch(Protocol::ArcGis, numbered).await).features.len(), 5);
                let itself = root.join("/FeatureServer/0").unwrap();
                let by_name = Wanted { id_field: Some("name"), ..wanted(&itself, "x", Path::new("/proc/nowhere")) };
                assert_eq!(features(fetch(Protocol::ArcGis, by_name).await).features[0].id, "c1");
            }
        }
    }

    #[tokio::test]
    async fn refusals_and_lies_are_told_apart() {
        let refusal = r#"{"error":{"code":499,"message":"Token Required","details":["sign in"]}}"#;
        let busy = r#"{"error":{"code":504,"message":"Wait time exceeded","details":[]}}"#;
        type Page = fn(&Asked) -> String;
        let repeat: Page = |_| format!(r#"{{"exceededTransferLimit":true,"features":[{}]}}"#, row(1, false));
        let cases: [(&str, bool, Page, &str, &str); 4] = [
            ("repeats", true, repeat, "malformed", "repeats"),
            (
                "an empty page with more",
                true,
                |_| r#"{"exceededTransferLimit":true,"features":[]}"#.into(),
                "malformed",
                "empty page",
            ),
            ("ids that do not come", false, |_| r#"{"features":[]}"#.into(), "malformed", "by their ids"),
            ("cut", true, |_| r#"{"features":[{"#.into(), "truncated", "cut short"),
        ];
        for (what, pages, page, code, word) in cases {
            let (root, _) = serve(move |asked| match asked.query("resultoffset").or(asked.query("objectids")) {
                Some(_) => ok(page(asked)),
                None => layer(asked, pages, "JSON"),
            })
            .await;
            let error = error(Protocol::ArcGis, &root.join("/FeatureServer").unwrap()).await;
            assert_eq!(error.code(), code, "{what}: {error}");
            assert!(error.to_string().contains(word), "{what}: {error}");
        }
        for (body, retryable, word) in [(refusal, false, "Token Required [\"sign in\"] (499)"), (busy, true, "504")] {
            let (root, _) = serve(move |_| ok(body)).await;
            let error = error(Protocol::ArcGis, &root.join("/FeatureServer").unwrap()).await;
            assert_eq!((error.code(), error.retryable()), ("service_refuses", retryable), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
        let (root, _) = serve(|asked| layer(asked, true, "JSON")).await;
        let root = root.join("/FeatureServer").unwrap();
        let error = fetch(Protocol::ArcGis, wanted(&root, "rivers", Path::new("/proc/nowhere"))).await.unwrap_err();
        assert!(error.code() == "no_collection" && error.to_string().contains("roads (1)"), "{error}");
    }
}
