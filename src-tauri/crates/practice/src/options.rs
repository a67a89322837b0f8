use crate::error::ScenarioError;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// How the practice data centre is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The same seed gives the same stations, states and values.
    pub seed: u64,
    /// Practice seconds per real second; 1.0 is real time, 0 stands still.
    pub speed: f64,
    pub scenario: Scenario,
    /// What the practice clock shows at the start; now when not given. Scenarios are told from this moment on.
    pub start: Option<Timestamp>,
    /// The OGC API and SensorThings let in only who shows what the gateway wants to see.
    pub locked: bool,
    /// Things, datastreams and observed properties of SensorThings say nothing of layer, feature and parameter: a service
    /// that knows nothing of the conventions.
    pub unlabelled: bool,
}

impl Default for Options {
    /// A free port on this machine, seed 80, real time, calm, now, open to all.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 80,
            speed: 1.0,
            scenario: Scenario::Calm,
            start: None,
            locked: false,
            unlabelled: false,
        }
    }
}

/// The story that the values tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// An ordinary day: some stations are stale, one was never heard, one is faulty, one calibrating.
    #[default]
    Calm,
    /// Fine dust at Trảng Bàng, An Tịnh and Đức Hòa rises from one hour before the start, peaks an hour after it and
    /// stays for six hours.
    Smog,
    /// Water levels rise from two hours before the start for twelve hours: rivers by 1.7 m, reservoirs by 1.4 m.
    Flood,
    /// A quarter of the stations falls silent, half of those three hours before the start and half within the hour
    /// after it; a tenth of the rest reports a device fault; 15 % of the cameras fall silent within ten minutes.
    Outage,
}

impl Scenario {
    pub const ALL: [Self; 4] = [Self::Calm, Self::Smog, Self::Flood, Self::Outage];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Smog => "smog",
            Self::Flood => "flood",
            Self::Outage => "outage",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scenario {
    type Err = ScenarioError;
    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        Self::ALL.into_iter().find(|scenario| scenario.as_str() == text).ok_or_else(|| ScenarioError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_read_as_they_are_written() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        assert!("storm".parse::<Scenario>().unwrap_err().to_string().contains("smog"));
    }
}
