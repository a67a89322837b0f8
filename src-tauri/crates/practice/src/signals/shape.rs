//! The shapes in time that signals are put together from.

use std::f64::consts::TAU;

/// A day's course in local time, from about −1 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rhythm {
    None,
    /// Fine dust: peaks at 7 and 19:30, washed out in the early afternoon.
    Dust,
    /// Rush hours at 7 and 17:30, quiet at night.
    Traffic,
    /// Sun: highest at 14:00, lowest before dawn.
    Afternoon,
    /// Production: full from 8 to 17.
    Shift,
}

/// A bump of height 1 around an hour of the day, over midnight too.
fn bump(hour: f64, center: f64, width_hours: f64) -> f64 {
    let distance = (hour - center + 12.0).rem_euclid(24.0) - 12.0;
    (-(distance / width_hours).powi(2)).exp()
}

impl Rhythm {
    pub fn at(self, local_hour: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Dust => bump(local_hour, 7.0, 2.4) + bump(local_hour, 19.5, 2.6) - bump(local_hour, 14.0, 3.0),
            Self::Traffic => bump(local_hour, 7.0, 1.6) + bump(local_hour, 17.5, 2.0) - bump(local_hour, 2.0, 4.0),
            Self::Afternoon => ((local_hour - 14.0) / 24.0 * TAU).cos(),
            Self::Shift => bump(local_hour, 12.5, 6.0) * 2.0 - 1.0,
        }
    }
}

/// Tide in the rivers: half-daily and daily, smaller and later further inland.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tide {
    amplitude_m: f64,
    delay_hours: f64,
}

impl Tide {
    pub fn new(latitude: f64) -> Self {
        let inland = ((latitude - 10.4) / 1.0).clamp(0.0, 1.0);
        Self { amplitude_m: 0.7 - 0.45 * inland, delay_hours: 2.0 + 4.0 * inland }
    }

    pub fn at(self, unix_hours: f64) -> f64 {
        let hours = unix_hours - self.delay_hours;
        // Periods of the moon (M2) and of the diurnal tide (K1), hours.
        self.amplitude_m * (0.75 * (hours / 12.420_6 * TAU).cos() + 0.25 * (hours / 23.934_5 * TAU).cos())
    }
}

/// What a scenario adds, told in hours since the clock's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Story {
    None,
    Smog { rise: f64 },
    Flood { rise_m: f64 },
}

/// 0 before `from`, 1 after `to`, smooth between.
fn ramp(x: f64, from: f64, to: f64) -> f64 {
    let part = ((x - from) / (to - from)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

impl Story {
    pub fn smog(rise: f64) -> Self {
        if rise > 0.0 { Self::Smog { rise } } else { Self::None }
    }

    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::None => Self::None,
            Self::Smog { rise } => Self::Smog { rise: rise * factor },
            Self::Flood { rise_m } => Self::Flood { rise_m: rise_m * factor },
        }
    }

    pub fn at(self, hours: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Smog { rise } => rise * (ramp(hours, -1.0, 1.0) - ramp(hours, 7.0, 10.0)),
            Self::Flood { rise_m } => rise_m * (ramp(hours, -2.0, 10.0) - ramp(hours, 36.0, 96.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_begin_before_the_start_and_grow_after_it() {
        let smog = Story::smog(100.0);
        assert_eq!(smog.at(-2.0), 0.0);
        assert!((smog.at(0.0) - 50.0).abs() < 1e-9);
        assert_eq!(smog.at(3.0), 100.0);
        assert_eq!(smog.at(11.0), 0.0);
        assert!(Story::Flood { rise_m: 2.0 }.at(6.0) > Story::Flood { rise_m: 2.0 }.at(0.0));
    }

    #[test]
    fn dust_peaks_morning_and_evening() {
        assert!(Rhythm::Dust.at(7.0) > 0.8 && Rhythm::Dust.at(19.5) > 0.8 && Rhythm::Dust.at(14.0) < -0.8);
        assert!((Rhythm::Dust.at(0.0) - Rhythm::Dust.at(24.0)).abs() < 1e-9);
    }
}
