//! Units as loggers write them, with exact factors between those of one quantity.

/// What a unit measures. Only units of one quantity are converted into each other: a cubic metre and a normal cubic
/// metre differ by the gas's temperature and pressure, and a share of the volume by the molar volume as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    /// Mass in a volume; base µg/m³.
    Concentration,
    /// Mass in a volume at normal conditions; base µg/Nm³.
    NormalConcentration,
    /// Parts of the volume; base ppb.
    MixingRatio,
    Temperature,
    Percent,
    /// Base m³/day.
    Flow,
    NormalFlow,
    /// Base Pa.
    Pressure,
    Irradiance,
    /// Base m/h.
    Speed,
    Angle,
    /// Base µS/cm.
    Conductivity,
    FormazinTurbidity,
    NephelometricTurbidity,
    Colour,
    Acidity,
    /// Base mm.
    Length,
    Voltage,
}

/// So many of the quantity's base are one of the unit: `over / under`.
type Unit = (Quantity, u64, u64);

const UNITS: &[(&[&str], Unit)] = {
    use Quantity as Q;
    &[
        (&["ng/m3", "ng/m^3"], (Q::Concentration, 1, 1_000)),
        (&["ug/m3", "ug/m^3", "ng/l"], (Q::Concentration, 1, 1)),
        (&["mg/m3", "mg/m^3", "ug/l"], (Q::Concentration, 1_000, 1)),
        (&["mg/l", "g/m3"], (Q::Concentration, 1_000_000, 1)),
        (&["g/l"], (Q::Concentration, 1_000_000_000, 1)),
        (&["ng/nm3"], (Q::NormalConcentration, 1, 1_000)),
        (&["ug/nm3"], (Q::NormalConcentration, 1, 1)),
        (&["mg/nm3"], (Q::NormalConcentration, 1_000, 1)),
        (&["g/nm3"], (Q::NormalConcentration, 1_000_000, 1)),
        (&["ppb", "ppbv"], (Q::MixingRatio, 1, 1)),
        (&["ppm", "ppmv"], (Q::MixingRatio, 1_000, 1)),
        (&["oc", "°c", "c", "degc", "celsius"], (Q::Temperature, 1, 1)),
        (&["%", "%rh", "%v", "%vol", "%v/v"], (Q::Percent, 1, 1)),
        (&["m3/h", "m3/hr", "m3/gio"], (Q::Flow, 24, 1)),
        (&["m3/d", "m3/day", "m3/ngay"], (Q::Flow, 1, 1)),
        (&["m3/s"], (Q::Flow, 86_400, 1)),
        (&["l/s"], (Q::Flow, 864, 10)),
        (&["nm3/h"], (Q::NormalFlow, 1, 1)),
        (&["hpa", "mbar"], (Q::Pressure, 100, 1)),
        (&["kpa"], (Q::Pressure, 1_000, 1)),
        (&["pa"], (Q::Pressure, 1, 1)),
        (&["w/m2", "w/m^2"], (Q::Irradiance, 1, 1)),
        (&["m/s"], (Q::Speed, 3_600, 1)),
        (&["km/h"], (Q::Speed, 1_000, 1)),
        (&["degree", "degrees", "deg", "°", "do"], (Q::Angle, 1, 1)),
        (&["us/cm"], (Q::Conductivity, 1, 1)),
        (&["ms/cm"], (Q::Conductivity, 1_000, 1)),
        (&["fnu"], (Q::FormazinTurbidity, 1, 1)),
        (&["ntu"], (Q::NephelometricTurbidity, 1, 1)),
        (&["pt-co", "ptco", "pt/co"], (Q::Colour, 1, 1)),
        (&["ph", "-"], (Q::Acidity, 1, 1)),
        (&["m"], (Q::Length, 1_000, 1)),
        (&["cm"], (Q::Length, 10, 1)),
        (&["mm"], (Q::Length, 1, 1)),
        (&["mv"], (Q::Voltage, 1, 1)),
    ]
};

/// Why a value cannot be given in another unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// The unit is not known here.
    Unknown,
    /// The units measure different things.
    Different,
    /// One is a share of the volume: the way to a mass needs a molar volume.
    MolarVolume,
    /// One is at normal conditions, the other is not.
    NormalConditions,
}

fn find(text: &str) -> Option<Unit> {
    let plain: String = model::nfc(text)
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            'µ' | 'μ' => 'u',
            '³' => '3',
            '²' => '2',
            'º' | '˚' => '°',
            'ờ' => 'o',
            'à' => 'a',
            'ộ' => 'o',
            'đ' | 'Đ' => 'd',
            c => c,
        })
        .flat_map(char::to_lowercase)
        // MICRO SIGN lowers to itself, GREEK CAPITAL MU to the Greek letter.
        .map(|c| if c == 'μ' { 'u' } else { c })
        .collect();
    UNITS.iter().find(|(names, _)| names.contains(&plain.as_str())).map(|(_, unit)| *unit)
}

/// A value given in `from`, in `to`: rounded once, where it has to be.
pub(crate) fn convert(value: f64, from: &str, to: &str) -> Result<f64, NoWay> {
    if from == to {
        return Ok(value);
    }
    let ((from, over, under), (to, to_over, to_under)) =
        (find(from).ok_or(NoWay::Unknown)?, find(to).ok_or(NoWay::Unknown)?);
    if from != to {
        use Quantity as Q;
        let either = |quantity| from == quantity || to == quantity;
        return Err(if either(Q::MixingRatio) && (either(Q::Concentration) || either(Q::NormalConcentration)) {
            NoWay::MolarVolume
        } else if (either(Q::NormalConcentration) && either(Q::Concentration))
            || (either(Q::NormalFlow) && either(Q::Flow))
        {
            NoWay::NormalConditions
        } else {
            NoWay::Different
        });
    }
    let (over, under) = (over * to_under, under * to_over);
    let common = common_divisor(over, under);
    let (over, under) = (over / common, under / common);
    // By ten and its powers only the point moves in the figure that the station wrote: 3087.03 µg/m³ are 3.08703 mg/m³.
    let moved = match (power_of_ten(over), power_of_ten(under)) {
        (Some(up), Some(down)) => format!("{value}e{}", up - down).parse().ok(),
        _ => None,
    };
    // Both are whole and far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    Ok(moved.unwrap_or(value * over as f64 / under as f64))
}

fn power_of_ten(number: u64) -> Option<i32> {
    (0..=18_i32).find(|exponent| 10_u64.pow(exponent.unsigned_abs()) == number)
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_exact() {
        for (value, from, to, expected) in [
            (3.087, "mg/m3", "µg/m³", 3087.0),
            (3087.03, "ug/m3", "mg/m3", 3.08703),
            (24.1999, "mg/L", "mg/L", 24.1999),
            (24.1999, "Mg/l", "mg/L", 24.1999),
            (0.3, "g/Nm3", "mg/Nm³", 300.0),
            (28.9, "oC", "°C", 28.9),
            (240.0, "m3/ngày", "m³/h", 10.0),
            (10.0, "l/s", "m3/h", 36.0),
            (1.0132, "kPa", "hPa", 10.132),
            (36.0, "km/h", "m/s", 10.0),
            (7.4, "-", "pH", 7.4),
            (125.0, "cm", "m", 1.25),
        ] {
            assert_eq!(convert(value, from, to), Ok(expected), "{value} {from} in {to}");
        }
    }

    #[test]
    fn what_needs_more_than_a_factor_is_no_way() {
        assert_eq!(convert(1.0, "ppb", "µg/m³"), Err(NoWay::MolarVolume));
        assert_eq!(convert(1.0, "ppm", "mg/Nm³"), Err(NoWay::MolarVolume));
        assert_eq!(convert(1.0, "ppm", "ppb"), Ok(1_000.0));
        assert_eq!(convert(1.0, "mg/m3", "mg/Nm³"), Err(NoWay::NormalConditions));
        assert_eq!(convert(1.0, "oC", "mg/L"), Err(NoWay::Different));
        assert_eq!(convert(1.0, "furlong", "m"), Err(NoWay::Unknown));
    }

    #[test]
    fn no_name_stands_for_two_units() {
        let names: Vec<&str> = UNITS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        let once: std::collections::HashSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), once.len());
    }
}
