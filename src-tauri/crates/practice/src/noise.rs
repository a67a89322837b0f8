//! Repeatable chance: hashes instead of a generator, so that any value can be asked for in any order.

/// Mixes one number well (SplitMix64's finisher).
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A key made of several.
pub(crate) fn join(a: u64, b: u64) -> u64 {
    mix(a ^ mix(b).rotate_left(17))
}

/// A key made of bytes (FNV-1a, then mixed). Also the content hash behind the ETags.
pub(crate) fn key_of(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    mix(hash)
}

/// Evenly in [0, 1).
#[allow(clippy::cast_precision_loss)] // 53 bits are kept
pub(crate) fn unit(key: u64) -> f64 {
    (mix(key) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Evenly in [low, high).
pub(crate) fn between(key: u64, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(key)
}

/// A smooth wandering line in [-1, 1] with about one turn per unit of `x`.
pub(crate) fn smooth(key: u64, x: f64) -> f64 {
    let floor = x.floor();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let cell = floor as i64 as u64;
    let at = |step: u64| unit(join(key, cell.wrapping_add(step))) * 2.0 - 1.0;
    let part = x - floor;
    let eased = part * part * (3.0 - 2.0 * part);
    let (left, right) = (at(0), at(1));
    left + (right - left) * eased
}

/// 0 … n−1 in a shuffled order that the key decides.
pub(crate) fn shuffled(key: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|i| join(key, *i as u64));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_line_stays_in_range_and_has_no_jumps() {
        let mut last = smooth(7, -20.0);
        for step in -2_000..2_000 {
            let value = smooth(7, f64::from(step) / 100.0);
            assert!((-1.0..=1.0).contains(&value));
            assert!((value - last).abs() < 0.05, "jump at {step}");
            last = value;
        }
    }

    #[test]
    fn shuffling_keeps_every_number_once() {
        let mut order = shuffled(3, 50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
