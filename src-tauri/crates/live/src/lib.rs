//! Live overlay state: what the sensors last said, how fresh it is, and what it means.
//!
//! Flow: observations from `sources` go into a [`LiveLayer`] beside the layer's immutable picture; every tick the layer
//! says which features' marks changed, and [`encode_batch`] packs them for the windows. The hourly VN_AQI of an air
//! station is computed here from its raw values.
//!
//! It does not know where observations come from, where they are kept, or what time it is: `now` is an argument, so that
//! every scenario replays.
//!
//! ```
//! use live::aqi::{Pollutant, sub_index};
//! // Decision 1459/QĐ-TCMT, worked example: PM2.5 of 55.7 µg/m³ gives 110 (109.5, rounded half up).
//! assert_eq!(sub_index(Pollutant::Pm25, 55.7), Some(110));
//! ```

pub mod aqi;
mod batch;
mod layer;
mod severity;
mod state;

pub use batch::{BATCH_FORMAT, encode_batch};
pub use layer::{Counts, LiveLayer, ParameterReading};
pub use severity::severity;
pub use state::{FeatureState, Scale};
