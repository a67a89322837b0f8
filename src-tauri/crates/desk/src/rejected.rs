//! Rows that were not taken in, kept beside the home so that a person can see, mend and try them again.

use crate::Desk;
use crate::api::Failure;
use crate::args::RejectedArgs;
use model::{Rejection, Timestamp};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Files kept of one layer.
const KEPT: usize = 20;
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A row that was not taken in, with its feature as GeoJSON text where that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RejectedRow {
    pub(crate) rejection: Rejection,
    pub(crate) feature: Option<String>,
}

impl From<Rejection> for RejectedRow {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, feature: None }
    }
}

/// A file of rejected rows in the home.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RejectedFile {
    /// The layer; for station files the source, or `observations`.
    pub layer: String,
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub at: Timestamp,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub rows: u64,
    /// Row, field, value, code, reason, and the feature as GeoJSON text.
    pub file: String,
    /// The same features as GeoJSON: mended, `toancanhctl import FILE --layer LAYER --upsert id` takes them in.
    pub features_file: Option<String>,
}

/// What became of a list of rejected rows.
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    /// The same rows were not kept already.
    pub(crate) new: bool,
}

impl Desk {
    /// Writes the rejected rows beside the home, never beside the input.
    pub(crate) fn write_rejected(&self, what: &str, rejected: &[Rejection]) -> Result<Option<PathBuf>, Failure> {
        let rows: Vec<RejectedRow> = rejected.iter().cloned().map(RejectedRow::from).collect();
        Ok(self.keep_rejected(what, &rows)?.map(|kept| kept.path))
    }

    /// As [`Desk::write_rejected`], with the features. The same rows as in the newest file of `what` are not written
    /// again; beyond the last twenty files of `what` the older ones go.
    pub(crate) fn keep_rejected(&self, what: &str, rejected: &[RejectedRow]) -> Result<Option<Kept>, Failure> {
        if rejected.is_empty() {
            return Ok(None);
        }
        let dir = self.home().rejected_dir();
        let path = dir.join(format!("{what}-{}.csv", self.now().strftime(TIME)));
        let failed = |error: std::io::Error| {
            let detail = format!("{}: {error}", path.display());
            self.failure("not_writable", [("detail", detail.as_str())])
        };
        std::fs::create_dir_all(&dir).map_err(failed)?;
        let text = as_csv(rejected);
        let before = files_in(&dir, what);
        if let Some((newest, _)) = before.last()
            && std::fs::read(newest).is_ok_and(|held| held == text.as_bytes())
        {
            return Ok(Some(Kept { path: newest.clone(), new: false }));
        }
        let features: Vec<&str> = rejected.iter().filter_map(|row| row.feature.as_deref()).collect();
        if !features.is_empty() {
            let all = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{}\n]}}\n", features.join(",\n"));
            store::write_atomic(&path.with_extension("geojson"), all.as_bytes())
                .map_err(|error| self.store_failure(&error))?;
        }
        store::write_atomic(&path, text.as_bytes()).map_err(|error| self.store_failure(&error))?;
        let beyond = (before.len() + 1).saturating_sub(KEPT);
        for (old, _) in before.iter().take(beyond).filter(|(old, _)| *old != path) {
            // What cannot be taken away now goes with the next file.
            let _ = std::fs::remove_file(old.with_extension("geojson"));
            let _ = std::fs::remove_file(old);
        }
        Ok(Some(Kept { path, new: true }))
    }

    /// The files of rejected rows, newest first: of one source's layers, or all. Layers that the person at the desk may
    /// not see are left out.
    ///
    /// # Errors
    /// `no_source`.
    pub fn rejected(&self, source: Option<&str>) -> Result<Vec<RejectedFile>, Failure> {
        if let Some(id) = source
            && self.profile().source(id).is_none()
        {
            return Err(self.failure("no_source", [("source", id)]));
        }
        let (role, all) = (self.session().role, self.layers().all());
        let wanted = |what: &str| {
            let layer = all.iter().find(|layer| layer.spec.id.as_str() == what);
            let of_source = |source: &str| {
                let fed = |layer: &crate::layers::Layer| {
                    [&layer.spec.feature_source, &layer.spec.live_source].contains(&&Some(source.to_owned()))
                };
                what == source || layer.is_some_and(|layer| fed(layer))
            };
            layer.is_none_or(|layer| layer.allowed(role)) && source.is_none_or(of_source)
        };
        let mut found: Vec<RejectedFile> = files_in(&self.home().rejected_dir(), "")
            .into_iter()
            .filter_map(|(path, at)| {
                let layer = path.file_stem()?.to_str()?.rsplit_once('-')?.0.to_owned();
                let features = Some(path.with_extension("geojson")).filter(|path| path.is_file());
                wanted(&layer).then(|| RejectedFile {
                    layer,
                    at,
                    rows: rows_in(&std::fs::read(&path).unwrap_or_default()),
                    file: path.to_string_lossy().into_owned(),
                    features_file: features.map(|path| path.to_string_lossy().into_owned()),
                })
            })
            .collect();
        found.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.layer.cmp(&b.layer)));
        Ok(found)
    }

    pub(crate) async fn list_rejected(&self, args: RejectedArgs) -> Result<Vec<RejectedFile>, Failure> {
        self.rejected(args.source.as_deref())
    }
}

fn as_csv(rejected: &[RejectedRow]) -> String {
    let mut text = String::from("row,field,value,code,reason,feature\n");
    for RejectedRow { rejection: r, feature } in rejected {
        let cells = [&r.field, &r.value, &r.code, &r.reason, feature.as_ref().unwrap_or(&String::new())]
            .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
        text.push_str(&format!("{},{}\n", r.row, cells.join(",")));
    }
    text
}

/// The lists of rejected rows of `what`, or all for an empty word, oldest first.
fn files_in(dir: &Path, what: &str) -> Vec<(PathBuf, Timestamp)> {
    // A folder that is not there holds none.
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<(PathBuf, Timestamp)> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "csv"))
        .filter_map(|path| {
            let (of, time) = path.file_stem()?.to_str()?.rsplit_once('-')?;
            let civil = jiff::civil::DateTime::strptime(TIME, time).ok()?;
            let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
            (what.is_empty() || of == what).then(|| (path.clone(), at))
        })
        .collect();
    found.sort_by_key(|(_, at)| *at);
    found
}

/// Rows of a table below its head; an end of line within quotes is none.
fn rows_in(csv: &[u8]) -> u64 {
    let mut quoted = false;
    let ends = csv.iter().filter(|byte| {
        quoted ^= **byte == b'"';
        !quoted && **byte == b'\n'
    });
    (ends.count() as u64).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_whatever_their_cells_hold() {
        let row = |value: &str| RejectedRow {
            rejection: Rejection {
                row: 7,
                field: "name".into(),
                value: value.into(),
                code: "field_type".into(),
                reason: "it says \"x\"".into(),
            },
            feature: Some("{\"a\":\n1}".into()),
        };
        assert_eq!(rows_in(as_csv(&[row("one\ntwo"), row("\"")]).as_bytes()), 2);
        assert_eq!(rows_in(as_csv(&[]).as_bytes()), 0);
    }
}
