//! Journeys through several crates.
