//! What is wrong with this home, and what to do: the findings of `toancanhctl doctor`.

use crate::Desk;
use crate::api::{Failure, LayerInfo, RemoteInfo};
use model::SourceSpec;
use serde::Serialize;
use std::net::IpAddr;
use std::path::Path;

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
        let cache = self.cache().integrity().map_err(|error| self.store_failure(&error))?;
        findings.push(finding_of_file("cache", &self.home().cache(), &cache));
        if let Some(tiles) = self.tile_sets().cache() {
            let faults = tiles.integrity().map_err(|error| self.store_failure(&error))?;
            findings.push(finding_of_file("tiles", tiles.path(), &faults));
        }
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
        findings.extend(self.profile().sources.iter().filter(|source| self.is_overheard(source)).map(|source| {
            Finding {
                subject: format!("source {}", source.id),
                ok: false,
                detail: self.failure("ftp_overheard", [("url", source.url.as_str())]).message,
            }
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

    /// Whether a password goes to a server in the clear, over networks that are not said to be private.
    fn is_overheard(&self, source: &SourceSpec) -> bool {
        let url = self.links().resolve(&source.url).filter(|url| url.scheme() == "ftp");
        let Some(host) = url.as_ref().and_then(|url| url.host_str()) else { return false };
        let at_home = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback(),
            Ok(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_loopback(),
            Err(_) => host == "localhost",
        };
        source.credentials.is_some() && !at_home
    }
}

fn finding_of_file(subject: &str, path: &Path, faults: &[String]) -> Finding {
    let detail = if faults.is_empty() { path.to_string_lossy().into_owned() } else { faults.join("; ") };
    Finding { subject: subject.to_owned(), ok: faults.is_empty(), detail }
}
