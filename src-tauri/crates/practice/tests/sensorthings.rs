mod support;

use practice::{Options, Scenario};
use serde_json::Value;
use std::collections::HashSet;
use support::{Centre, encoded, follow, get, options, start};

const V: &str = "/sensorthings/v1.1";

async fn all_pages(centre: &Centre, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut link = format!("{}{path}", centre.base_url());
    loop {
        let page = follow(centre.address(), &link).await.json();
        found.extend(page["value"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned());
        match page["@iot.nextLink"].as_str() {
            Some(next) => link = next.to_owned(),
            None => return found,
        }
    }
}

async fn latest(centre: &Centre, layer: &str) -> Vec<Value> {
    let query = format!(
        "{V}/Datastreams?$filter={}&$top=1000&$expand={}",
        encoded(&format!("properties/layer eq '{layer}'")),
        encoded("Observations($top=1;$orderby=phenomenonTime desc)")
    );
    all_pages(centre, &query).await
}

#[tokio::test]
async fn things_with_everything_come_in_one_request() {
    let centre = start(options()).await;
    let query = format!(
        "{V}/Things?$count=true&$filter=properties/layer+eq+%27air_stations%27&$expand=Locations,Datastreams($expand=Observations($top=1;$orderby=phenomenonTime%20desc),ObservedProperty)"
    );
    let page = get(centre.address(), &query).await.json();
    assert_eq!(page["@iot.count"], 5);
    let thing = &page["value"][0];
    assert_eq!(thing["name"], "Trạm khí Trảng Bàng");
    assert_eq!(thing["properties"]["feature"], "air-trang-bang");
    assert_eq!(thing["properties"]["practice"], true);
    assert_eq!(thing["Locations"][0]["location"]["coordinates"][1], 11.0);
    let stream = &thing["Datastreams"][0];
    assert_eq!(stream["properties"]["parameter"], "pm25");
    assert_eq!(stream["unitOfMeasurement"]["symbol"], "µg/m³");
    assert_eq!(stream["ObservedProperty"]["properties"]["parameter"], "pm25");
    let observation = &stream["Observations"][0];
    assert!(observation["result"].is_f64());
    assert_eq!(observation["parameters"]["status"], "00");
    let time = observation["phenomenonTime"].as_str().unwrap();
    assert!(time <= support::START && time > "2026-11-23T07:19:00Z", "{time}");
    // The nested next link leads on to the second newest.
    let next = follow(centre.address(), stream["Observations@iot.nextLink"].as_str().unwrap()).await.json();
    assert!(next["value"][0]["phenomenonTime"].as_str().unwrap() < time);
    // Relations and self links lead where they say.
    let one = follow(centre.address(), observation["@iot.selfLink"].as_str().unwrap()).await.json();
    assert_eq!(one["result"], observation["result"]);
    let back = follow(centre.address(), one["Datastream@iot.navigationLink"].as_str().unwrap()).await.json();
    assert_eq!(back["@iot.id"], stream["@iot.id"]);
    centre.practice.stop().await;
}

#[tokio::test]
async fn next_links_neither_repeat_nor_skip_while_data_arrive() {
    // Two hours of practice a real second: new observations come between the pages.
    let centre = start(Options { speed: 7_200.0, ..options() }).await;
    let filter = encoded("phenomenonTime ge 2026-11-23T00:00:00Z and phenomenonTime lt 2026-11-30T00:00:00Z");
    let found = all_pages(
        &centre,
        &format!("{V}/Datastreams(1)/Observations?$filter={filter}&$orderby=phenomenonTime+desc&$top=7"),
    )
    .await;
    let times: Vec<&str> = found.iter().map(|o| o["phenomenonTime"].as_str().unwrap()).collect();
    assert!(times.len() >= 90, "{}", times.len());
    for pair in times.windows(2) {
        let at = |text: &str| text.parse::<model::Timestamp>().unwrap().as_second();
        assert_eq!(at(pair[0]) - at(pair[1]), 300, "{pair:?}");
    }
    assert_eq!(*times.last().unwrap(), "2026-11-23T00:00:00Z");
    let ids: HashSet<u64> = found.iter().map(|o| o["@iot.id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), times.len());

    let things = all_pages(&centre, &format!("{V}/Things?$top=9")).await;
    let ids: Vec<u64> = things.iter().map(|o| o["@iot.id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=97).collect::<Vec<_>>());
    centre.practice.stop().await;
}

#[tokio::test]
async fn observations_over_all_datastreams_come_in_the_order_of_time() {
    let centre = start(options()).await;
    let filter = encoded("phenomenonTime gt 2026-11-23T07:00:00Z and Datastream/properties/layer eq 'air_stations'");
    let path = format!("{V}/Observations?$filter={filter}&$orderby=phenomenonTime+asc,id+asc&$top=11&$count=true");
    let count = get(centre.address(), &path).await.json()["@iot.count"].as_u64().unwrap();
    let found = all_pages(&centre, &path).await;
    assert_eq!(found.len() as u64, count);
    assert!((4 * 3 * 5..=5 * 3 * 6).contains(&count), "{count}");
    assert!(found.windows(2).all(|pair| pair[0]["phenomenonTime"].as_str() <= pair[1]["phenomenonTime"].as_str()));
    centre.practice.stop().await;
}

#[tokio::test]
async fn same_seed_tells_the_same_story() {
    let paths = [format!(
        "{V}/Datastreams(2)/Observations?$top=50&$orderby=phenomenonTime+desc&$select=phenomenonTime,result,parameters"
    )];
    let mut bodies = Vec::new();
    for seed in [1, 1, 2] {
        let centre = start(Options { seed, ..options() }).await;
        let values = get(centre.address(), &paths[0]).await.json();
        let values: Vec<Value> = values["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| serde_json::json!([o["phenomenonTime"], o["result"], o["parameters"]]))
            .collect();
        assert_eq!(values.len(), 50);
        bodies.push(values);
        centre.practice.stop().await;
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_ne!(bodies[0], bodies[2]);
}

#[tokio::test]
async fn calm_day_shows_every_state_and_plausible_values() {
    for seed in [80, 1, 7] {
        let centre = start(Options { seed, ..options() }).await;
        let mut fine_dust = Vec::new();
        let mut stale = HashSet::new();
        for stream in latest(&centre, "air_stations").await {
            let observation = &stream["Observations"][0];
            let feature = stream["properties"]["feature"].as_str().unwrap().to_owned();
            assert_eq!(observation["parameters"]["status"], "00");
            let value = observation["result"].as_f64().unwrap();
            match stream["properties"]["parameter"].as_str().unwrap() {
                "pm25" => {
                    assert!((15.0..=95.0).contains(&value), "{value}");
                    fine_dust.push(value);
                }
                "co" => assert!((300.0..=1_500.0).contains(&value), "{value}"),
                _ => {}
            }
            if observation["phenomenonTime"].as_str().unwrap() <= "2026-11-23T04:30:00Z" {
                stale.insert(feature);
            }
        }
        assert_eq!(stale.len(), 1, "exactly one air station is stale");
        assert!(!stale.contains("air-trang-bang"));
        fine_dust.sort_by(f64::total_cmp);
        assert!(fine_dust[0] < 30.0 && fine_dust[4] > 55.0, "good to bad: {fine_dust:?}");

        let (mut never, mut faulty, mut calibrating, mut over, mut old) = (0, 0, 0, 0, 0);
        for stream in latest(&centre, "wastewater_stations").await {
            let observation = &stream["Observations"][0];
            if stream["properties"]["parameter"] != "cod" {
                continue;
            }
            match observation["parameters"]["status"].as_str() {
                None => never += 1,
                Some("01") => calibrating += 1,
                Some("02") => faulty += 1,
                Some(_) => {
                    over += u32::from(observation["result"].as_f64().unwrap() > 75.0);
                    old += u32::from(observation["phenomenonTime"].as_str().unwrap() <= "2026-11-23T04:30:00Z");
                }
            }
        }
        assert_eq!((never, faulty, calibrating, old), (1, 1, 1, 1), "seed {seed}");
        assert!(over <= 2, "{over} outlets of 40 over the limit");

        let (mut never, mut faulty) = (0, 0);
        for stream in latest(&centre, "cameras").await {
            let observation = &stream["Observations"][0];
            never += u32::from(observation.is_null());
            faulty += u32::from(observation["parameters"]["status"] == "02");
            if observation["parameters"]["status"] == "00" {
                let age = observation["phenomenonTime"].as_str().unwrap();
                assert!(age > "2026-11-23T07:29:30Z", "cameras are fresh: {age}");
                assert!((24.0..=25.0).contains(&observation["result"].as_f64().unwrap()));
            }
        }
        assert_eq!((never, faulty), (1, 1));
        for stream in latest(&centre, "water_level_stations").await {
            let value = stream["Observations"][0]["result"].as_f64().unwrap();
            let usual = if stream["properties"]["feature"] == "level-dau-tieng" { 22.0..=24.0 } else { -0.6..=2.2 };
            assert!(usual.contains(&value), "{value}");
        }
        centre.practice.stop().await;
    }
}

#[tokio::test]
async fn scenarios_tell_their_stories() {
    let value = async |scenario, feature: &str, layer: &str| {
        let centre = start(Options { scenario, ..options() }).await;
        let streams = latest(&centre, layer).await;
        let stream = streams.iter().find(|stream| stream["properties"]["feature"] == feature).unwrap();
        let value = stream["Observations"][0]["result"].as_f64().unwrap();
        let silent =
            streams.iter().filter(|s| s["Observations"][0]["phenomenonTime"].as_str() <= Some("2026-11-23T04:30:00Z"));
        let silent = silent.count();
        centre.practice.stop().await;
        (value, silent)
    };
    for place in ["air-trang-bang", "air-duc-hoa", "air-an-tinh"] {
        let calm = value(Scenario::Calm, place, "air_stations").await.0;
        let smog = value(Scenario::Smog, place, "air_stations").await.0;
        assert!(smog > calm + 35.0, "{place}: {calm} → {smog}");
    }
    let calm = value(Scenario::Calm, "level-go-dau", "water_level_stations").await.0;
    let flood = value(Scenario::Flood, "level-go-dau", "water_level_stations").await.0;
    assert!(flood > calm + 0.05, "{calm} → {flood}");
    let calm = value(Scenario::Calm, "ww-000", "wastewater_stations").await.1;
    let outage = value(Scenario::Outage, "ww-000", "wastewater_stations").await.1;
    assert!(outage > calm + 4, "{calm} → {outage} silent");
}

#[tokio::test]
async fn wrong_questions_say_what_is_wrong() {
    let centre = start(options()).await;
    for (path, status, word) in [
        ("/Things?$foo=1".to_owned(), 400, "$foo"),
        ("/Things(99999)".to_owned(), 404, "no such entity"),
        ("/Thing(1)".to_owned(), 404, "Thing"),
        ("/Things(1)/Sensors".to_owned(), 404, "Datastreams"),
        ("/Things?$expand=Sensor".to_owned(), 400, "Locations"),
        (format!("/Observations?$filter={}", encoded("result gt 5")), 400, "phenomenonTime"),
        (format!("/Datastreams(1)/Observations?$filter={}", encoded("phenomenonTime ge 5")), 400, "time"),
        ("/Datastreams(1)/Observations?$orderby=result".to_owned(), 400, "phenomenonTime"),
        ("/Datastreams?$top=1000&$expand=Observations($top=1000)".to_owned(), 400, "$top"),
    ] {
        let reply = get(centre.address(), &format!("{V}{path}")).await;
        let body = reply.json();
        assert_eq!(reply.status, status, "{path}: {body}");
        assert!(body["description"].as_str().unwrap().contains(word), "{path}: {body}");
    }
    let root = get(centre.address(), V).await.json();
    assert_eq!(root["value"].as_array().unwrap().len(), 7);
    for set in root["value"].as_array().unwrap() {
        let page = follow(centre.address(), &format!("{}?$top=2", set["url"].as_str().unwrap())).await.json();
        let entities = page["value"].as_array().unwrap();
        assert_eq!(entities.len(), 2, "{set}");
        let itself = follow(centre.address(), entities[1]["@iot.selfLink"].as_str().unwrap()).await.json();
        assert_eq!(itself["@iot.id"], entities[1]["@iot.id"]);
    }
    centre.practice.stop().await;
}
