//! Journeys through several crates; all of it lives in the test targets beside this file.
