//! The way out for other systems: a read-only OGC API over what the home holds.
//!
//! Flow: a request passes the guard (host, method, token, origin), is read, and is
//! answered on a worker thread from one version of a layer: OGC API – Features Parts 1 and 2, filters of Part 3 in CQL2
//! text, OGC API – Tiles with MVT, TileJSON. Errors are `application/problem+json` (RFC 9457). Nothing changes the home.
//!
//! Answers are without live values unless `live=true` asks for them: so pages are stable and can be checked by version,
//! and another home that syncs from here takes over features, not the readings of a moment.
//!
//! It does not know files, SQL, geometry or where data comes from: it asks [`desk::Desk`] and puts the answers into
//! documents, links and headers.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use desk::{Desk, Options};
//! let (desk, _) = Desk::open(Options::at("/tmp/home")).map_err(|failure| failure.message)?;
//! let server = serve::Server::start(desk, serve::Options::default()).await?;
//! println!("{}/collections", server.url());
//! server.stop().await;
//! # Ok(()) }
//! ```

mod answer;
mod collections;
mod crs;
mod documents;
mod guard;
mod html;
mod items;
mod links;
mod openapi;
mod options;
mod problem;
mod request;
mod schema;
mod server;
mod tiles;

pub use options::{Options, ServeError, Token};
pub use server::Server;
