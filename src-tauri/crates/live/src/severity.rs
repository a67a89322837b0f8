use model::Parameter;

/// How far a value is beyond its limit: 0 within, 2 warn (over), 3 serious (over 1.5 ×), 4 critical (over 2 ×).
///
/// The steps are this product's reading aid, not law; the limit and its source stand in the profile. Below a lower limit
/// the same steps hold for limit ÷ value.
pub fn severity(parameter: &Parameter, value: f64) -> u8 {
    let over = parameter.limit_max.filter(|limit| *limit > 0.0).map_or(0.0, |limit| value / limit);
    let under = parameter
        .limit_min
        .filter(|limit| *limit > 0.0)
        .map_or(0.0, |limit| if value > 0.0 { limit / value } else { f64::INFINITY });
    match over.max(under) {
        ratio if ratio > 2.0 => 4,
        ratio if ratio > 1.5 => 3,
        ratio if ratio > 1.0 => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_grows_with_distance_to_the_limit() {
        let cod = Parameter {
            code: "cod".into(),
            title: model::Title::same("COD"),
            unit: "mg/L".into(),
            decimals: 0,
            limit_max: Some(75.0),
            limit_min: None,
            limit_source: None,
            chart: true,
        };
        assert_eq!([75.0, 76.0, 120.0, 151.0].map(|value| severity(&cod, value)), [0, 2, 3, 4]);
        let ph = Parameter { limit_max: Some(9.0), limit_min: Some(6.0), ..cod };
        assert_eq!([7.0, 5.9, 9.1].map(|value| severity(&ph, value)), [0, 2, 2]);
    }
}
