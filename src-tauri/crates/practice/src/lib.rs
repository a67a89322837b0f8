//! The practice data centre: a web server that plays the province's data centre, so that everybody can learn, test and
//! show the product without touching a real system. Nothing it says was measured; every answer says so in the header
//! `X-Practice-Data: true`.
//!
//! Flow: a profile folder (`profile.toml` and its GeoJSON files) → stations and datastreams → values that are a pure
//! function of (seed, datastream, time index) → OGC API – Features at `/ogc`, SensorThings 1.1 at `/sensorthings/v1.1`,
//! server-sent events at `/events`, pictures at `/cameras`, a gateway that wants credentials at `/gateway`. A clock of its own runs at any speed; faults can be
//! injected at run time, in code ([`Faults`]) or over HTTP (`PUT /practice/faults`).
//!
//! It does not know the client, the cache, or anything that is drawn from its answers. It stores nothing: history
//! reaches back as far as the first time index, and the same seed tells the same story.
//!
//! ```no_run
//! # async fn demo() -> Result<(), practice::PracticeError> {
//! use practice::{Fault, Options, Practice};
//! let centre = Practice::start("maps/tay-ninh".as_ref(), Options::default()).await?;
//! let features = format!("{}/ogc/collections/air_stations/items", centre.base_url());
//! centre.faults().set("/ogc", Fault::Status { code: 503, retry_after: None }, Some(2));
//! # let _ = features;
//! centre.stop().await; // the plug is pulled: open connections end at once
//! # Ok(()) }
//! ```

mod app;
mod cameras;
mod clock;
mod content;
mod error;
mod events;
mod faults;
mod gateway;
mod geometry;
mod http;
mod network;
mod noise;
mod ogc;
mod options;
mod plug;
mod sensorthings;
mod server;
mod signals;
mod stations;

pub use error::{PracticeError, ScenarioError};
pub use faults::{Fault, FaultRule, Faults};
pub use gateway::GatewayHabits;
pub use options::{Options, Scenario};
pub use server::Practice;
