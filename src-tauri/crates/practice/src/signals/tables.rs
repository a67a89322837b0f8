//! Usual ranges by parameter code, in the units that the sample profile names. Made up to look right, not measured.

use super::shape::Rhythm;
use crate::noise::key_of;

/// Low, high, rhythm.
type Usual = (f64, f64, Rhythm);

/// A code as it is compared: lower case, letters and digits only (`PM2.5` → `pm25`, `nh4_n` → `nh4n`).
pub(crate) fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Codes of one family wander together.
pub(super) fn family(code: &str) -> u64 {
    match code {
        "pm25" | "pm10" | "tsp" => key_of(b"dust"),
        "no2" | "no" | "nox" | "co" => key_of(b"traffic"),
        "cod" | "bod" | "bod5" | "toc" => key_of(b"organic"),
        _ => key_of(code.as_bytes()),
    }
}

pub(crate) fn is_temperature(code: &str) -> bool {
    matches!(plain(code).as_str(), "temp" | "temperature" | "nhietdo" | "t" | "gastemp" | "watertemp")
}

/// Rivers and lakes.
pub(super) fn water(code: &str) -> Usual {
    match code {
        "ph" => (6.3, 7.6, Rhythm::Afternoon),
        "do" => (4.9, 6.8, Rhythm::Afternoon),
        "cod" => (7.0, 15.6, Rhythm::None),
        "bod" | "bod5" => (2.5, 6.2, Rhythm::None),
        "toc" => (3.0, 9.0, Rhythm::None),
        "tss" | "ss" => (15.0, 60.0, Rhythm::None),
        "nh4" | "nh4n" | "amoni" | "ammonium" => (0.05, 0.31, Rhythm::None),
        "no3" | "no3n" | "nitrate" => (0.3, 3.0, Rhythm::None),
        "no2" | "no2n" => (0.005, 0.05, Rhythm::None),
        "po4" | "po4p" | "tp" => (0.03, 0.2, Rhythm::None),
        "tn" => (0.4, 2.5, Rhythm::None),
        "turbidity" | "doduc" | "ntu" => (15.0, 80.0, Rhythm::None),
        "ec" | "conductivity" => (80.0, 420.0, Rhythm::None),
        "tds" => (50.0, 260.0, Rhythm::None),
        "salinity" | "doman" => (0.05, 1.2, Rhythm::None),
        "coliform" => (900.0, 4_500.0, Rhythm::None),
        "chla" | "chlorophyll" => (2.0, 14.0, Rhythm::Afternoon),
        _ if is_temperature(code) => (26.5, 31.5, Rhythm::Afternoon),
        _ => other(code),
    }
}

/// Meteorology at air stations.
pub(super) fn weather(code: &str) -> Usual {
    match code {
        "humidity" | "rh" | "doam" => (55.0, 92.0, Rhythm::None),
        "windspeed" | "wind" | "ws" => (0.3, 4.5, Rhythm::Afternoon),
        "winddirection" | "winddir" | "wd" => (40.0, 260.0, Rhythm::None),
        "pressure" | "apsuat" => (1_004.0, 1_013.0, Rhythm::None),
        "radiation" => (0.0, 900.0, Rhythm::Afternoon),
        "noise" => (52.0, 72.0, Rhythm::Traffic),
        _ if is_temperature(code) => (23.0, 35.0, Rhythm::Afternoon),
        _ => other(code),
    }
}

/// Wastewater parameters without a limit.
pub(super) fn wastewater(code: &str) -> Usual {
    match code {
        "flow" | "flowout" | "flowin" | "luuluong" | "q" => (20.0, 180.0, Rhythm::Shift),
        "ph" => (6.6, 8.2, Rhythm::None),
        "color" | "colour" | "domau" => (15.0, 45.0, Rhythm::Shift),
        "cod" => (25.0, 60.0, Rhythm::Shift),
        "tss" => (15.0, 45.0, Rhythm::Shift),
        "nh4" | "nh4n" | "amoni" => (1.0, 4.0, Rhythm::Shift),
        _ => other(code),
    }
}

/// Stack parameters without a limit.
pub(super) fn stack(code: &str) -> Usual {
    match code {
        "o2" => (7.0, 12.0, Rhythm::None),
        "flow" | "luuluong" => (8_000.0, 42_000.0, Rhythm::Shift),
        "pressure" | "apsuat" => (995.0, 1_012.0, Rhythm::None),
        "dust" | "pm" | "bui" | "tsp" => (40.0, 110.0, Rhythm::Shift),
        "so2" => (60.0, 280.0, Rhythm::Shift),
        "nox" | "no2" | "no" => (90.0, 420.0, Rhythm::Shift),
        "co" => (120.0, 600.0, Rhythm::Shift),
        _ => other(code),
    }
}

/// Anything else.
pub(super) fn other(code: &str) -> Usual {
    match code {
        "rain" | "rainfall" | "luongmua" => (0.0, 2.0, Rhythm::None),
        "flow" | "discharge" | "luuluong" => (40.0, 220.0, Rhythm::None),
        "bitrate" => (1_800.0, 4_200.0, Rhythm::Traffic),
        _ => (10.0, 50.0, Rhythm::None),
    }
}
