use crate::{FeatureState, Scale};
use model::{Freshness, LayerId, SensorStatus};

/// The first byte of a batch's body.
pub const BATCH_FORMAT: u8 = 1;

/// Packs states for the windows, little-endian, no padding: `u8` format, `u8` layer length, layer in UTF-8, `u32` layer
/// version, `u32` count, then per state 20 bytes: `u32` ordinal, `u8` freshness (0 fresh, 1 stale, 2 offline, 3 error,
/// 4 never), `u8` scale (0 none, 1 aqi, 2 severity), `u8` level, `u8` flags (bit 0 has a value, bit 1 calibrating,
/// bit 2 faulty), `f32` value, `f64` time of measurement in milliseconds since 1970 (NaN: never).
pub fn encode_batch(layer: &LayerId, version: u32, states: &[FeatureState]) -> Vec<u8> {
    let name = layer.as_str().as_bytes();
    let mut out = Vec::with_capacity(10 + name.len() + states.len() * 20);
    out.push(BATCH_FORMAT);
    // A layer id has at most 63 bytes.
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&u32::try_from(states.len()).unwrap_or(u32::MAX).to_le_bytes());
    for state in states {
        out.extend_from_slice(&state.ordinal.to_le_bytes());
        out.push(match state.freshness {
            Freshness::Fresh => 0,
            Freshness::Stale => 1,
            Freshness::Offline => 2,
            Freshness::Error => 3,
            Freshness::Never => 4,
        });
        out.push(match state.scale {
            Scale::None => 0,
            Scale::Aqi => 1,
            Scale::Severity => 2,
        });
        out.push(state.level);
        let has_value = u8::from(state.value.is_some());
        let calibrating = u8::from(state.status == SensorStatus::Calibrating);
        let faulty = u8::from(state.status == SensorStatus::Faulty);
        out.push(has_value | calibrating << 1 | faulty << 2);
        #[allow(clippy::cast_possible_truncation)]
        out.extend_from_slice(&(state.value.unwrap_or(0.0) as f32).to_le_bytes());
        #[allow(clippy::cast_precision_loss)]
        let measured_ms = state.measured_at.map_or(f64::NAN, |at| at.as_millisecond() as f64);
        out.extend_from_slice(&measured_ms.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_is_laid_out_as_the_bridge_reads_it() {
        let layer = LayerId::new("air_stations").unwrap();
        let state = FeatureState {
            ordinal: 7,
            freshness: Freshness::Stale,
            scale: Scale::Aqi,
            level: 3,
            value: Some(132.0),
            measured_at: "2026-11-23T07:00:00Z".parse().ok(),
            ..FeatureState::default()
        };
        let bytes = encode_batch(&layer, 2, &[state]);
        assert_eq!(bytes.len(), 10 + 12 + 20);
        assert_eq!(&bytes[..14], b"\x01\x0cair_stations");
        assert_eq!(&bytes[14..26], &[2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(&bytes[26..30], &[1, 1, 3, 1]);
        assert_eq!(&bytes[30..34], &132.0_f32.to_le_bytes());
        assert_eq!(&bytes[34..42], &1_795_417_200_000.0_f64.to_le_bytes());
    }
}
