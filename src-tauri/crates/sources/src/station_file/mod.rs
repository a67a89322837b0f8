//! Station files of Circular 10/2021/TT-BTNMT, annex 15: what an automatic station measured, one file every five
//! minutes.
//!
//! Five columns set apart by tabs, no header: parameter, value, unit, time `yyyyMMddHHmmss` in local time, status
//! (00 measuring, 01 calibrating, 02 faulty). The name is `TenTinh_TenCoSo_TenTram_yyyyMMddHHmmss.txt`. The annex itself
//! was not read; what is taken in is what known receivers and stations do.

pub(crate) mod symbols;
pub(crate) mod units;

use crate::ReadError;
use crate::file::rejection;
use crate::sensorthings::Readings;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::{FeatureId, LayerSpec, Observation, ReadReport, Rejection, SensorStatus, Timestamp};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use units::NoWay;

/// A month of five-minute values, sent again after an outage, has 10 MB.
pub const MAX_BYTES: u64 = 64 << 20;
/// More bad rows than this are no station file.
const MAX_REJECTED: usize = 10_000;
/// A station's clock may go wrong by this much; what is later cannot have been measured.
const AHEAD_SECS: i64 = 3_600;

/// Whose file it is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationName {
    /// The province's letters. They say little: `TN` is Tây Ninh and Thái Nguyên, and most are older than the mergers.
    pub province: String,
    pub facility: String,
    pub station: String,
    /// Local time.
    pub time: DateTime,
}

impl StationName {
    /// Reads a file's name; a facility may hold `_` itself. `None` when it is not of the circular's form.
    ///
    /// ```
    /// use sources::station_file::StationName;
    /// let name = StationName::parse("TN_ABCD_NUO001_20260325000500.txt").unwrap();
    /// assert_eq!((name.province.as_str(), name.code().as_str()), ("TN", "ABCD_NUO001"));
    /// assert_eq!(StationName::parse("report.txt"), None);
    /// ```
    pub fn parse(file_name: &str) -> Option<Self> {
        let (stem, ending) = file_name.rsplit_once('.')?;
        if !ending.eq_ignore_ascii_case("txt") {
            return None;
        }
        let parts: Vec<&str> = stem.split('_').collect();
        let [province, facility @ .., station, time] = parts.as_slice() else { return None };
        if facility.is_empty() || parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(Self {
            province: model::nfc(province),
            facility: model::nfc(&facility.join("_")),
            station: model::nfc(station),
            time: local_time(time)?,
        })
    }

    /// What the station is found by: facility and station, without the province.
    pub fn code(&self) -> String {
        format!("{}_{}", self.facility, self.station)
    }
}

/// A row as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct StationRow {
    /// 1-based line.
    pub row: u64,
    pub parameter: String,
    /// `None`: the station had nothing to say.
    pub value: Option<f64>,
    pub unit: String,
    pub measured_at: Timestamp,
    pub status: SensorStatus,
}

/// A file's rows, and what was not one.
#[derive(Clone, Debug, Default)]
pub struct StationFile {
    pub rows: Vec<StationRow>,
    pub report: ReadReport,
}

/// Whether a line has the five columns, the time and the status where they belong.
pub(crate) fn looks_like_row(line: &str) -> bool {
    let columns: Vec<&str> = line.trim_end_matches(['\t', '\r', ' ']).split('\t').map(str::trim).collect();
    matches!(columns.as_slice(), [parameter, _, _, time, status]
        if !parameter.is_empty() && local_time(time).is_some() && is_code(status))
}

fn is_code(status: &str) -> bool {
    status.len() == 2 && status.bytes().all(|b| b.is_ascii_digit())
}

fn local_time(text: &str) -> Option<DateTime> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse().ok()?;
    DateTime::new(year, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?, 0).ok()
}

/// Reads a station file from the disk. Times are taken in `zone`, and judged by `now`.
///
/// # Errors
/// [`ReadError`] when the file as a whole cannot be read: absent, empty, larger than 64 MB, or with more bad rows than
/// a station file has. Single bad rows are in the report.
pub fn read(path: &Path, zone: &TimeZone, now: Timestamp) -> Result<StationFile, ReadError> {
    let wrong = |error| ReadError::from_io(path, &error);
    let file = std::fs::File::open(path).map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > MAX_BYTES {
        let is = format!("more than {} MB, which no station sends at once", MAX_BYTES >> 20);
        return Err(ReadError::WrongFormat { path: path.to_path_buf(), says: String::new(), is });
    }
    let file = parse(&bytes, zone, now);
    if file.report.rejected.len() >= MAX_REJECTED {
        return Err(ReadError::TooManyRejected { path: path.to_path_buf(), count: MAX_REJECTED as u64 });
    }
    if file.rows.is_empty() && file.report.rejected.is_empty() {
        return Err(ReadError::EmptyFile { path: path.to_path_buf() });
    }
    Ok(file)
}

/// The rows of a station file. Never fails: a bad row costs that row. Stops after 10,000 bad ones.
///
/// ```
/// use sources::station_file::parse;
/// let zone = jiff::tz::TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
/// let now = "2026-03-25T00:00:00Z".parse().unwrap();
/// let file = parse("PM2,5\t27,81\tug/m3\t20260325000500\t00\r\nPM10\t48\r\n".as_bytes(), &zone, now);
/// assert_eq!(file.rows[0].value, Some(27.81));
/// assert_eq!(file.rows[0].measured_at.to_string(), "2026-03-24T17:05:00Z");
/// assert_eq!((file.report.rejected[0].row, file.report.rejected[0].code.as_str()), (2, "column_count"));
/// ```
pub fn parse(bytes: &[u8], zone: &TimeZone, now: Timestamp) -> StationFile {
    let mut file = StationFile::default();
    // Some loggers write as Windows does.
    let wide = crate::csv::wide_encoding(bytes);
    let decoded = wide.map(|encoding| encoding.decode(bytes).0.into_owned().into_bytes());
    let bytes = decoded.as_deref().unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut empty = 0_u64;
    for (number, line) in (1_u64..).zip(bytes.split(|b| *b == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let row = match std::str::from_utf8(line) {
            Ok(line) => row(number, line, zone, now),
            Err(_) => {
                let text = String::from_utf8_lossy(line);
                Err(rejection(number, "", &text, "encoding", "the row is not UTF-8"))
            }
        };
        match row {
            Ok(row) => {
                file.report.accepted += 1;
                empty += u64::from(row.value.is_none());
                file.rows.push(row);
            }
            Err(rejection) => file.report.rejected.push(rejection),
        }
        if file.report.rejected.len() >= MAX_REJECTED {
            break;
        }
    }
    if empty > 0 {
        file.report.warnings.push(format!("rows without a value: {empty}; nothing was measured there"));
    }
    file
}

fn row(number: u64, line: &str, zone: &TimeZone, now: Timestamp) -> Result<StationRow, Rejection> {
    let mut columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    while columns.len() > 5 && columns.last().is_some_and(|column| column.is_empty()) {
        columns.pop();
    }
    let &[parameter, value, unit, time, status] = columns.as_slice() else {
        let reason = format!(
            "{} columns set apart by tabs, five are needed: parameter, value, unit, time, status",
            columns.len()
        );
        return Err(rejection(number, "", line.trim(), "column_count", reason));
    };
    let wrong = |field: &str, value: &str, code: &str, reason: &str| Err(rejection(number, field, value, code, reason));
    if parameter.is_empty() {
        return wrong("parameter", parameter, "parameter_unknown", "the row names no parameter");
    }
    let Some(measured_at) = local_time(time).and_then(|time| zone.to_timestamp(time).ok()) else {
        return wrong("time", time, "time_invalid", "this is no local time yyyyMMddHHmmss");
    };
    if measured_at.as_second().saturating_sub(now.as_second()) > AHEAD_SECS {
        return wrong("time", time, "time_future", "more than an hour ahead: the station's clock is wrong");
    }
    let Some(status) = SensorStatus::from_code(status) else {
        return wrong("status", status, "status_unknown", "the status is none of 00, 01, 02");
    };
    let value = match value {
        "" => None,
        text => match number_of(text) {
            Some(number) => Some(number),
            None => {
                return wrong("value", text, "field_type", "this is no number; a point or a comma sets off decimals");
            }
        },
    };
    Ok(StationRow { row: number, parameter: model::nfc(parameter), value, unit: model::nfc(unit), measured_at, status })
}

/// A number with a point or a comma before its decimals. Both at once may mean thousands: that is not guessed.
fn number_of(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.,eE".contains(&b));
    if !plain || (text.contains(',') && text.contains('.')) {
        return None;
    }
    text.replacen(',', ".", 1).parse().ok().filter(|number: &f64| number.is_finite())
}

impl StationFile {
    /// The rows as values of a feature, in the units that its layer declares, and those that cannot be given so. Of two
    /// rows for one parameter and time the later stands. What the layer does not declare gets the circular's word and
    /// unit: the history keeps it, too.
    pub fn observations(self, layer: &LayerSpec, feature: &FeatureId) -> Readings {
        let mut readings = Readings { observations: Vec::new(), report: self.report };
        let mut places: HashMap<(String, Timestamp), usize> = HashMap::new();
        let mut repeated = 0_u64;
        for row in self.rows {
            let Some(value) = row.value else { continue };
            match placed(&row, value, layer) {
                Ok((parameter, value)) => {
                    let observation = Observation {
                        layer: layer.id.clone(),
                        feature: feature.clone(),
                        parameter: parameter.clone(),
                        measured_at: row.measured_at,
                        value,
                        status: row.status,
                    };
                    let at = *places.entry((parameter, row.measured_at)).or_insert(readings.observations.len());
                    match readings.observations.get_mut(at) {
                        Some(earlier) => {
                            *earlier = observation;
                            repeated += 1;
                        }
                        None => readings.observations.push(observation),
                    }
                }
                Err(rejection) => {
                    readings.report.accepted -= 1;
                    readings.report.rejected.push(*rejection);
                }
            }
        }
        readings.report.rejected.sort_by_key(|rejection| rejection.row);
        if repeated > 0 {
            let warning = format!("rows for a parameter and time that stood before: {repeated}; the later one is kept");
            readings.report.warnings.push(warning);
        }
        readings
    }
}

/// The parameter's word and the value in its unit.
fn placed(row: &StationRow, value: f64, layer: &LayerSpec) -> Result<(String, f64), Box<Rejection>> {
    let no =
        |field: &str, text: &str, code: &str, reason: String| Box::new(rejection(row.row, field, text, code, reason));
    let key = symbols::key(&row.parameter);
    let symbol = symbols::find(&key);
    let declared = layer.parameters.iter().find(|parameter| {
        let code = symbols::key(&parameter.code);
        code == key
            || symbol.is_some_and(|symbol| symbols::find(&code).is_some_and(|other| std::ptr::eq(symbol, other)))
            || [&parameter.title.vi, &parameter.title.en].iter().any(|title| symbols::key(title) == key)
    });
    let (code, unit) = match (declared, symbol) {
        (Some(parameter), _) => (parameter.code.as_str(), parameter.unit.as_str()),
        (None, Some(symbol)) => (symbol.code, symbol.unit),
        (None, None) => {
            let reason = format!(
                "neither the circular nor layer {} knows this parameter; declare it in the profile ([[layers.parameters]])",
                layer.id
            );
            return Err(no("parameter", &row.parameter, "parameter_unknown", reason));
        }
    };
    // What a faulty or calibrating sensor says is kept as it is, and enters nothing.
    if let Some(symbol) = symbol
        && row.status == SensorStatus::Measuring
        && !(symbol.low..=symbol.high).contains(&value)
    {
        let reason = format!("a sensor of {} that measures cannot say this", symbol.code);
        return Err(no("value", &value.to_string(), "value_range", reason));
    }
    if row.unit.is_empty() || row.unit == "-" {
        return Ok((code.to_owned(), value));
    }
    match units::convert(value, &row.unit, unit) {
        Ok(value) => Ok((code.to_owned(), value)),
        Err(reason) => {
            let reason = match reason {
                NoWay::Unknown => format!("this unit is not known; {code} is kept in {unit}"),
                NoWay::Different => format!("{code} is kept in {unit}, which measures something else"),
                NoWay::MolarVolume => {
                    format!(
                        "{code} is kept in {unit}; no rule here fixes the molar volume between them: have the station send {unit}"
                    )
                }
                NoWay::NormalConditions => {
                    format!(
                        "{code} is kept in {unit}; temperature and pressure of the gas are not known: have the station send {unit}"
                    )
                }
            };
            Err(no("unit", &row.unit, "unit_mismatch", reason))
        }
    }
}
