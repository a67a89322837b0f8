//! What can be wrong with a request, and how it is said: `application/problem+json` (RFC 9457).

use axum::http::StatusCode;
use desk::api::Failure;

/// Why there is no other answer.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    NoPath {
        path: String,
    },
    NoCollection {
        collection: String,
    },
    NoItem {
        collection: String,
        item: String,
    },
    NoTileMatrixSet {
        id: String,
    },
    NoTile {
        tile: String,
    },
    Method {
        method: String,
    },
    Host {
        host: String,
    },
    Token,
    UriTooLong {
        limit: usize,
    },
    Busy,
    TooSlow {
        seconds: u64,
    },
    Format {
        format: String,
    },
    Parameter {
        parameter: String,
        known: String,
    },
    Twice {
        parameter: String,
    },
    Limit {
        value: String,
    },
    BBox {
        value: String,
    },
    Crs {
        parameter: &'static str,
        value: String,
    },
    Datetime {
        value: String,
    },
    Cursor {
        value: String,
    },
    /// The layer has another version than the one whose pages were being read.
    Replaced {
        collection: String,
    },
    FilterLanguage {
        value: String,
    },
    Property {
        property: String,
        collection: String,
    },
    Live {
        value: String,
    },
    /// The desk's own word: filters, boxes, coordinate systems.
    Desk(Failure),
    /// A fault of this program.
    Broken,
}

impl Problem {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoPath { .. }
            | Self::NoCollection { .. }
            | Self::NoItem { .. }
            | Self::NoTileMatrixSet { .. }
            | Self::NoTile { .. } => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::Busy | Self::TooSlow { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Replaced { .. } => StatusCode::GONE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Format { .. }
            | Self::Parameter { .. }
            | Self::Twice { .. }
            | Self::Limit { .. }
            | Self::BBox { .. }
            | Self::Crs { .. }
            | Self::Datetime { .. }
            | Self::Cursor { .. }
            | Self::FilterLanguage { .. }
            | Self::Property { .. }
            | Self::Live { .. }
            | Self::Desk(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// The code and the inputs at fault; the sentence is the desk's to fill in.
    pub fn failure(&self) -> Failure {
        let (code, at): (&str, Vec<(&str, String)>) = match self {
            Self::NoPath { path } => ("api_path", vec![("path", path.clone())]),
            Self::NoCollection { collection } => ("api_collection", vec![("collection", collection.clone())]),
            Self::NoItem { collection, item } => {
                ("api_item", vec![("collection", collection.clone()), ("item", item.clone())])
            }
            Self::NoTileMatrixSet { id } => ("api_tile_matrix_set", vec![("id", id.clone())]),
            Self::NoTile { tile } => ("api_tile", vec![("tile", tile.clone())]),
            Self::Method { method } => ("api_method", vec![("method", method.clone())]),
            Self::Host { host } => ("api_host", vec![("host", host.clone())]),
            Self::Token => ("api_token", vec![]),
            Self::UriTooLong { limit } => ("api_uri_too_long", vec![("limit", limit.to_string())]),
            Self::Busy => ("api_busy", vec![]),
            Self::TooSlow { seconds } => ("api_too_slow", vec![("seconds", seconds.to_string())]),
            Self::Format { format } => ("api_format", vec![("format", format.clone())]),
            Self::Parameter { parameter, known } => {
                ("api_parameter", vec![("parameter", parameter.clone()), ("known", known.clone())])
            }
            Self::Twice { parameter } => ("api_twice", vec![("parameter", parameter.clone())]),
            Self::Limit { value } => ("api_limit", vec![("value", value.clone())]),
            Self::BBox { value } => ("api_bbox", vec![("value", value.clone())]),
            Self::Crs { parameter, value } => {
                ("api_crs", vec![("parameter", (*parameter).to_owned()), ("value", value.clone())])
            }
            Self::Datetime { value } => ("api_datetime", vec![("value", value.clone())]),
            Self::Cursor { value } => ("api_cursor", vec![("value", value.clone())]),
            Self::Replaced { collection } => ("api_replaced", vec![("collection", collection.clone())]),
            Self::FilterLanguage { value } => ("api_filter_lang", vec![("value", value.clone())]),
            Self::Property { property, collection } => {
                ("api_property", vec![("property", property.clone()), ("collection", collection.clone())])
            }
            Self::Live { value } => ("api_live", vec![("value", value.clone())]),
            Self::Desk(failure) => return failure.clone(),
            Self::Broken => ("api_broken", vec![]),
        };
        let at = at.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Failure { code: code.to_owned(), message: String::new(), at }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Desk(failure)
    }
}
