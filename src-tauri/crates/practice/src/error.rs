use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the practice data centre does not start.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}", path = path.display())]
    Profile { path: PathBuf, source: model::ProfileError },
    #[error("{path}: not a GeoJSON FeatureCollection that can be served: {problem}", path = path.display())]
    GeoJson { path: PathBuf, problem: String },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("speed {0} is no clock speed: write a number from 0 (clock stands still) to 86400 (a day a second)")]
    Speed(f64),
    #[error("the overlay font of the camera pictures does not read: {0}")]
    Font(String),
}

/// A text that names no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scenario: write calm, smog, flood or outage")]
pub struct ScenarioError(pub String);
