//! Station files of Circular 10/2021/TT-BTNMT: the irregular rows of real ones, and bytes that are none.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use jiff::tz::TimeZone;
use model::{LayerSpec, Observation, SensorStatus, Timestamp};
use proptest::prelude::*;
use sources::station_file::{StationFile, StationName, parse, read};
use sources::{Format, sniff};
use std::path::Path;

fn zone() -> TimeZone {
    TimeZone::get("Asia/Ho_Chi_Minh").unwrap()
}

fn now() -> Timestamp {
    "2026-03-24T17:06:00Z".parse().unwrap()
}

/// A layer of stations with parameters and their units.
fn layer(kind: &str, parameters: &[(&str, &str)]) -> LayerSpec {
    let parameters: String = parameters
        .iter()
        .map(|(code, unit)| {
            format!("[[parameters]]\ncode = {code:?}\ntitle = {{ vi = {code:?}, en = {code:?} }}\nunit = {unit:?}\n")
        })
        .collect();
    toml::from_str(&format!(
        r#"
        id = "stations"
        kind = "{kind}"
        group = "g"
        title = {{ vi = "x", en = "x" }}
        geometry = "point"
        file = "x"
        freshness = "365d"
        as_of = "2026-11-01"
        provider = {{ vi = "x", en = "x" }}
        licence = "x"
        name_field = "name"
        {parameters}"#
    ))
    .unwrap()
}

fn air() -> LayerSpec {
    layer("air_station", &[("pm25", "µg/m³"), ("pm10", "µg/m³"), ("no2", "µg/m³"), ("co", "µg/m³"), ("o3", "µg/m³")])
}

fn water() -> LayerSpec {
    let mg = "mg/L";
    let parameters = [("ph", "pH"), ("tss", mg), ("cod", mg), ("nh4", mg), ("temp", "°C"), ("flow", "m³/h")];
    layer("wastewater_station", &parameters)
}

fn values(observations: &[Observation]) -> Vec<(&str, f64, SensorStatus)> {
    observations.iter().map(|o| (o.parameter.as_str(), o.value, o.status)).collect()
}

fn reasons(file: &StationFile) -> Vec<(u64, &str, &str, &str)> {
    let rejected = file.report.rejected.iter();
    rejected.map(|r| (r.row, r.field.as_str(), r.value.as_str(), r.code.as_str())).collect()
}

fn sample(name: &str) -> Option<std::path::PathBuf> {
    let path = Path::new("/work/shared/domain/tt10_samples").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}

use SensorStatus::{Calibrating, Faulty, Measuring};

#[test]
fn sample_of_an_air_station_gives_exactly_its_values() {
    let Some(path) = sample("LA_EFGH_KHI002_20260325000500.txt") else { return };
    assert_eq!(sniff(&path).unwrap(), Format::StationFile);
    let file = read(&path, &zone(), now()).unwrap();
    assert_eq!(reasons(&file), [(8, "status", "03", "status_unknown"), (9, "", "PM10\t48.24\tug/m3", "column_count")]);
    let readings = file.observations(&air(), &"a".into());
    assert_eq!(
        values(&readings.observations),
        [
            ("no2", 14.91, Measuring),
            ("pm25", 27.81, Measuring),
            ("co", 3087.03, Faulty),
            ("radiation", -1.6, Measuring),
            ("temp", 44.9342, Measuring),
        ]
    );
    assert!(readings.observations.iter().all(|o| o.measured_at == "2026-03-24T17:05:00Z".parse().unwrap()));
    assert_eq!((readings.report.accepted, readings.report.rejected.len()), (7, 2));
    assert_eq!(readings.report.warnings.len(), 2, "an empty value and a repeated one: {:?}", readings.report.warnings);
}

#[test]
fn sample_of_a_water_station_gives_exactly_its_values() {
    let Some(path) = sample("TN_ABCD_NUO001_20260325000500.txt") else { return };
    let readings = read(&path, &zone(), now()).unwrap().observations(&water(), &"w".into());
    assert_eq!(
        values(&readings.observations),
        [
            ("ph", 7.42, Measuring),
            ("tss", 24.1999, Measuring),
            ("cod", 46.2, Measuring),
            ("nh4", 2.33, Calibrating),
            ("temp", 28.9, Measuring),
            ("flow", 61617.0875, Faulty),
        ]
    );
    assert_eq!(readings.report.rejected, []);
}

#[test]
fn rows_are_put_into_the_layers_units_or_refused_with_the_reason() {
    let text = "CO\t3.08703\tmg/m3\t20260325000500\t00\n\
                NO2\t20\tppb\t20260325000500\t00\n\
                SO2\t7\tmg/Nm3\t20260325000500\t00\n\
                O3\t-4\tug/m3\t20260325000500\t00\n\
                PM10\t-999\tug/m3\t20260325000500\t02\n\
                PM2.5\t1.234,5\tug/m3\t20260325000500\t00\n\
                Quark\t1\tug/m3\t20260325000500\t00\n\
                Áp suất\t1005,4\thPa\t20260325000500\t00\t\t\n\
                \t1\tug/m3\t20260325000500\t00\n\
                NO\t1\tug/m3\t20260332000500\t00\n\
                NO\t1\tug/m3\t20260325011000\t00\n";
    let readings = parse(text.as_bytes(), &zone(), now()).observations(&air(), &"a".into());
    assert_eq!(
        values(&readings.observations),
        [("co", 3087.03, Measuring), ("pm10", -999.0, Faulty), ("pressure", 1005.4, Measuring)]
    );
    let rejected: Vec<_> =
        readings.report.rejected.iter().map(|r| (r.row, r.field.as_str(), r.code.as_str())).collect();
    assert_eq!(
        rejected,
        [
            (2, "unit", "unit_mismatch"),
            (3, "unit", "unit_mismatch"),
            (4, "value", "value_range"),
            (6, "value", "field_type"),
            (7, "parameter", "parameter_unknown"),
            (9, "parameter", "parameter_unknown"),
            (10, "time", "time_invalid"),
            (11, "time", "time_future"),
        ]
    );
    assert!(readings.report.rejected[0].reason.contains("molar volume"), "{:?}", readings.report.rejected[0]);
    assert_eq!(readings.report.accepted, 3);
}

#[test]
fn line_ends_marks_and_wide_letters_do_not_matter() {
    let text = "Nhiệtđộ\t28,9\toC\t20260325000500\t00\nNH4\t2.33\tmg/l\t20260325000500\t01\n";
    let expected = parse(text.as_bytes(), &zone(), now()).rows;
    assert_eq!(expected.len(), 2);
    let wide: Vec<u8> =
        [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()].concat();
    let decomposed = text.replace("ệ", "e\u{323}\u{302}").replace("ộ", "o\u{302}\u{323}");
    for bytes in [
        text.replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{text}\r\n\r\n").into_bytes(),
        text.trim_end().as_bytes().to_vec(),
        decomposed.into_bytes(),
        wide,
    ] {
        assert_eq!(parse(&bytes, &zone(), now()).rows, expected, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn bad_bytes_cost_their_row_and_an_empty_file_is_said_to_be_so() {
    let bytes = b"Nhi\xffet\t1\toC\t20260325000500\t00\nTemp\t1\toC\t20260325000500\t00\n";
    let file = parse(bytes, &zone(), now());
    assert_eq!((file.rows.len(), reasons(&file)[0].3), (1, "encoding"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("TN_A_B_20260325000500.txt");
    std::fs::write(&path, "\u{feff}\r\n \r\n").unwrap();
    assert_eq!(read(&path, &zone(), now()).unwrap_err().code(), "empty_file");
    std::fs::write(&path, "x\n".repeat(20_000)).unwrap();
    assert_eq!(read(&path, &zone(), now()).unwrap_err().code(), "too_many_rejected");
}

#[test]
fn names_are_read_from_their_ends() {
    let code = |name: &str| StationName::parse(name).map(|name| name.code());
    assert_eq!(code("HN_BKHN_KHIKXQ_20260325000500.txt").as_deref(), Some("BKHN_KHIKXQ"));
    assert_eq!(code("LA_KCN_LH_NUO001_20260325000500.TXT").as_deref(), Some("KCN_LH_NUO001"));
    for bad in
        ["KHI002_20260325000500.txt", "LA__KHI002_20260325000500.txt", "LA_EFGH_KHI002_20261325000500.txt", "a.csv", ""]
    {
        assert_eq!(code(bad), None, "{bad}");
    }
}

/// A row as a logger writes it.
fn written(o: &Observation, unit: &str) -> String {
    let time = zone().to_datetime(o.measured_at).strftime("%Y%m%d%H%M%S").to_string();
    format!("{}\t{}\t{unit}\t{time}\t{}\r\n", o.parameter, o.value, o.status.code())
}

proptest! {
    #[test]
    fn what_a_logger_writes_is_read_back(
        rows in proptest::collection::vec((0_usize..5, 0.0_f64..1e7, 0_i64..100_000, 0_usize..3), 1..40)
    ) {
        let layer = air();
        let mut expected: Vec<Observation> = Vec::new();
        let mut text = String::new();
        for (parameter, value, age_secs, status) in rows {
            let observation = Observation {
                layer: layer.id.clone(),
                feature: "a".into(),
                parameter: layer.parameters[parameter].code.clone(),
                measured_at: now() - jiff::SignedDuration::from_secs(age_secs),
                value,
                status: [Measuring, Calibrating, Faulty][status],
            };
            text += &written(&observation, "ug/m3");
            let same = |o: &Observation| {
                o.parameter == observation.parameter && o.measured_at == observation.measured_at
            };
            match expected.iter_mut().find(|o| same(o)) {
                Some(earlier) => *earlier = observation,
                None => expected.push(observation),
            }
        }
        let readings = parse(text.as_bytes(), &zone(), now()).observations(&layer, &"a".into());
        prop_assert_eq!(readings.report.rejected, vec![]);
        prop_assert_eq!(readings.observations, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes, &zone(), now()).observations(&air(), &"a".into());
    }

    #[test]
    fn rows_that_are_nearly_right_are_kept_or_refused_one_by_one(
        columns in proptest::collection::vec("(PM2[.,]5|CO|[^\t\n\r]{0,6})\t[-0-9.,eE]{0,6}\t(ug/m3|ppb|[^\t\n\r]{0,4})\t[0-9]{13,15}\t0[0-4]?", 1..20)
    ) {
        let text = columns.join("\n");
        let rows = text.lines().filter(|line| !line.trim().is_empty()).count() as u64;
        let file = parse(text.as_bytes(), &zone(), now());
        prop_assert_eq!(file.report.accepted + file.report.rejected.len() as u64, rows);
        let readings = file.observations(&air(), &"a".into());
        prop_assert_eq!(readings.report.accepted + readings.report.rejected.len() as u64, rows);
        prop_assert!(readings.observations.iter().all(|o| o.value.is_finite()));
    }
}
