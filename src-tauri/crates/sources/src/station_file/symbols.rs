//! The parameter symbols of the circular (annex 15, table 34) and those that stations write beside them.

/// One measured quantity by all its names.
#[derive(Debug)]
pub(crate) struct Symbol {
    /// The word the profile and the history use.
    pub code: &'static str,
    /// As [`key`] gives them.
    names: &'static [&'static str],
    /// The unit of a value whose row names none, and of the history where the layer declares no such parameter.
    pub unit: &'static str,
    /// What a sensor that works can say.
    pub low: f64,
    pub high: f64,
}

const fn symbol(code: &'static str, names: &'static [&'static str], unit: &'static str, low: f64, high: f64) -> Symbol {
    Symbol { code, names, unit, low, high }
}

const NO_END: f64 = f64::INFINITY;
const ANY: f64 = f64::NEG_INFINITY;

const SYMBOLS: &[Symbol] = &[
    symbol("pm25", &["pm25", "pm2p5", "buipm25"], "µg/m³", 0.0, NO_END),
    symbol("pm10", &["pm10", "buipm10"], "µg/m³", 0.0, NO_END),
    symbol("pm1", &["pm1"], "µg/m³", 0.0, NO_END),
    symbol("tsp", &["tsp"], "µg/m³", 0.0, NO_END),
    symbol("dust", &["pm", "dust", "bui", "buitong"], "mg/Nm³", 0.0, NO_END),
    symbol("no", &["no"], "µg/m³", 0.0, NO_END),
    symbol("no2", &["no2"], "µg/m³", 0.0, NO_END),
    symbol("nox", &["nox"], "µg/m³", 0.0, NO_END),
    symbol("so2", &["so2"], "µg/m³", 0.0, NO_END),
    symbol("co", &["co"], "µg/m³", 0.0, NO_END),
    symbol("o3", &["o3", "ozon", "ozone"], "µg/m³", 0.0, NO_END),
    symbol("h2s", &["h2s"], "µg/m³", 0.0, NO_END),
    symbol("nh3", &["nh3"], "µg/m³", 0.0, NO_END),
    symbol("vhg", &["vhg", "hg"], "ng/m³", 0.0, NO_END),
    symbol("benzene", &["benzen", "benzene"], "µg/m³", 0.0, NO_END),
    symbol("toluene", &["toluen", "toluene"], "µg/m³", 0.0, NO_END),
    symbol("mp_xylene", &["mpxylen", "mpxylene"], "µg/m³", 0.0, NO_END),
    symbol("o_xylene", &["oxylen", "oxylene"], "µg/m³", 0.0, NO_END),
    symbol("o2", &["o2"], "%", 0.0, 100.0),
    symbol("ph", &["ph"], "pH", 0.0, 14.0),
    symbol("tss", &["tss"], "mg/L", 0.0, NO_END),
    symbol("cod", &["cod"], "mg/L", 0.0, NO_END),
    symbol("bod5", &["bod5", "bod"], "mg/L", 0.0, NO_END),
    symbol("toc", &["toc"], "mg/L", 0.0, NO_END),
    symbol("nh4", &["nh4", "amoni", "ammonium"], "mg/L", 0.0, NO_END),
    // As nitrogen: another figure than that of the ion.
    symbol("nh4_n", &["nh4n"], "mg/L", 0.0, NO_END),
    symbol("no3_n", &["no3n"], "mg/L", 0.0, NO_END),
    symbol("no3", &["no3", "nitrat", "nitrate"], "mg/L", 0.0, NO_END),
    symbol("tn", &["tn", "tongn", "tongnito"], "mg/L", 0.0, NO_END),
    symbol("tp", &["tp", "tongp", "tongphotpho"], "mg/L", 0.0, NO_END),
    symbol("cl", &["cl", "clorua", "chloride"], "mg/L", 0.0, NO_END),
    symbol("do", &["do", "oxyhoatan"], "mg/L", 0.0, NO_END),
    symbol("color", &["color", "colour", "domau"], "Pt-Co", 0.0, NO_END),
    symbol("turbidity", &["turb", "turbidity", "doduc"], "FNU", 0.0, NO_END),
    symbol("conductivity", &["cond", "conductivity", "dodandien"], "µS/cm", 0.0, NO_END),
    symbol("orp", &["orp"], "mV", ANY, NO_END),
    symbol("flow", &["flow", "luuluong"], "m³/h", 0.0, NO_END),
    symbol("flow_in", &["flowin", "luuluongvao"], "m³/h", 0.0, NO_END),
    symbol("flow_out", &["flowout", "luuluongra"], "m³/h", 0.0, NO_END),
    symbol("level", &["level", "mucnuoc", "waterlevel"], "m", ANY, NO_END),
    symbol("temp", &["temp", "temperature", "nhietdo"], "°C", -273.15, NO_END),
    symbol("temp_in", &["tempin"], "°C", -273.15, NO_END),
    symbol("humidity", &["rh", "humidity", "doam"], "%", 0.0, 100.0),
    symbol("pressure", &["p", "pressure", "apsuat"], "hPa", 0.0, NO_END),
    // Below zero at night: the instrument radiates itself.
    symbol("radiation", &["radiation", "bucxa"], "W/m²", ANY, NO_END),
    symbol("wind_speed", &["windspeed", "tocdogio"], "m/s", 0.0, NO_END),
    symbol("wind_dir", &["winddir", "winddirection", "huonggio"], "°", 0.0, 360.0),
    symbol("rain", &["rain", "luongmua"], "mm", 0.0, NO_END),
];

/// The key that names are compared by: letters and digits only, no marks, no case: `PM2,5` = `PM2.5` = `pm25`.
pub(crate) fn key(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '₀'..='₉' => char::from_digit(u32::from(c) - u32::from('₀'), 10).unwrap_or(c),
            c => c,
        })
        .collect();
    model::fold(&plain).replace(' ', "")
}

pub(crate) fn find(key: &str) -> Option<&'static Symbol> {
    SYMBOLS.iter().find(|symbol| symbol.names.contains(&key) || self::key(symbol.code) == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_circular_and_of_the_field_is_known() {
        let circular = "Flow Temp Color pH TSS COD NH4 TP TN TOC Cl RH P NO NO2 CO SO2 O2 H2S NH3 VHg PM O3 PM10 PM2,5";
        let field = "PM2.5 NOx Humidity Pressure Radiation WindSpeed WindDir TempIn Benzen m,p-Xylene Amoni Flowin \
                     Flow_Out COND TURB NO3-N DO Nhiệtđộ Ápsuất NO₂";
        for name in circular.split(' ').chain(field.split_whitespace()) {
            assert!(find(&key(name)).is_some(), "{name}");
        }
        let code = |name: &str| find(&key(name)).map(|symbol| symbol.code);
        assert_eq!([code("PM2,5"), code("pm25"), code("PM2.5")], [Some("pm25"); 3]);
        assert_eq!([code("Amoni"), code("NH4"), code("NH4+")], [Some("nh4"); 3]);
        assert_eq!([code("Nhiệtđộ"), code("Nhie\u{323}\u{302}tđo\u{323}\u{302}"), code("Nhiệt độ")], [Some("temp"); 3]);
        assert_ne!(code("NH4-N"), code("NH4"));
    }

    #[test]
    fn no_name_stands_for_two_quantities() {
        let names: Vec<&str> = SYMBOLS.iter().flat_map(|symbol| symbol.names.iter().copied()).collect();
        let once: std::collections::HashSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), once.len());
        assert!(names.iter().all(|name| key(name) == *name));
    }
}
