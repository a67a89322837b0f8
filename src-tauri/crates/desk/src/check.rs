//! What is wrong with this home, and what to do: the findings of `toancanhctl doctor`.

use crate::Desk;
use crate::api::{Failure, LayerInfo, RemoteInfo};
use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub subject: String,
    pub ok: bool,
    pub detail: String,
}

impl Desk {
    /// Looks at the cache, its layers and the free space.
    ///
    /// # Errors
    /// When the cache cannot be asked at all.
    pub fn check(&self) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let faults = self.cache().integrity().map_err(|error| self.store_failure(&error))?;
        findings.push(Finding {
            subject: "cache".into(),
            ok: faults.is_empty(),
            detail: if faults.is_empty() {
                self.home().cache().to_string_lossy().into_owned()
            } else {
                faults.join("; ")
            },
        });
        for layer in self.layer_infos() {
            if let Some(remote) = &layer.remote {
                findings.push(self.finding_of_remote(&layer, remote));
                continue;
            }
            let problem = if layer.features == 0 {
                Some(format!("no features: import a file with toancanhctl import FILE --layer {}", layer.id))
            } else if layer.live.is_none() && layer.freshness == model::Freshness::Stale {
                Some("older than its agreed period: import or sync newer data".to_owned())
            } else {
                None
            };
            findings.push(Finding {
                subject: format!("layer {}", layer.id),
                ok: problem.is_none(),
                detail: problem.unwrap_or_else(|| format!("{} features from {}", layer.features, layer.source)),
            });
        }
        findings.extend(self.waiting_stations().into_iter().map(|(station, file)| Finding {
            subject: format!("station {station}"),
            ok: false,
            detail: self.failure("station_unknown", [("station", station.as_str()), ("file", file.as_str())]).message,
        }));
        Ok(findings)
    }

    /// Whether its service answers is a finding about the source.
    fn finding_of_remote(&self, layer: &LayerInfo, remote: &RemoteInfo) -> Finding {
        let detail = match remote.answered_at {
            None => "stays in the data centre; its service has not been asked yet".to_owned(),
            Some(at) => {
                let filters = if remote.filters { "takes filters" } else { "takes no filters" };
                let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
                format!("stays in the data centre: {} features, its service {filters} (asked {at})", layer.features)
            }
        };
        Finding { subject: format!("layer {}", layer.id), ok: true, detail }
    }
}
