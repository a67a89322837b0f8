//! Under which topics a layer lies.

use super::line::filter;
use crate::net::FetchError;
use rumqttc::SubscribeFilter;
use url::Url;

/// The topics of one layer's features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topics {
    /// One level for each feature below this one; on it, what holds of all.
    Below(String),
    /// Every topic that fits is a feature.
    Fitting(String),
}

/// What stands on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Feature,
    Manifest,
    Elsewhere,
}

impl Topics {
    /// `collection`, else `collections/LAYER/items`, below the address' path.
    ///
    /// # Errors
    /// `bad_address` for what is no topic filter (MQTT 3.1.1, section 4.7).
    pub(crate) fn of(url: &Url, layer: &str, collection: Option<&str>) -> Result<Self, FetchError> {
        let name = collection.map_or_else(|| format!("collections/{layer}/items"), str::to_owned);
        let whole = below(url, name.trim_end_matches('/'));
        let levels: Vec<&str> = whole.split('/').collect();
        let is_wild = |level: &&str| level.contains(['+', '#']);
        let stands_right = |(nth, level): (usize, &&str)| match *level {
            "+" => true,
            "#" => nth + 1 == levels.len(),
            level => !level.contains(['+', '#', '\0']),
        };
        if name.is_empty() || whole.len() > usize::from(u16::MAX) || !levels.iter().enumerate().all(stands_right) {
            let reason = "in a topic filter + is a whole level and # the last one; without them it is the level above the \
                          features";
            return Err(FetchError::BadAddress { url: whole.clone(), reason: reason.into() });
        }
        Ok(if levels.iter().any(is_wild) { Self::Fitting(whole) } else { Self::Below(whole) })
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Below(name) | Self::Fitting(name) => name,
        }
    }

    pub(crate) fn filters(&self) -> Vec<SubscribeFilter> {
        match self {
            Self::Below(base) => vec![filter(base.as_str()), filter(format!("{base}/+"))],
            Self::Fitting(pattern) => vec![filter(pattern.as_str())],
        }
    }

    pub(crate) fn place(&self, topic: &str) -> Place {
        match self {
            Self::Below(base) if topic == base => Place::Manifest,
            Self::Below(base) => match topic.strip_prefix(base.as_str()).and_then(|rest| rest.strip_prefix('/')) {
                Some(level) if !level.contains('/') => Place::Feature,
                _ => Place::Elsewhere,
            },
            Self::Fitting(pattern) if rumqttc::matches(topic, pattern) => Place::Feature,
            Self::Fitting(_) => Place::Elsewhere,
        }
    }

    /// A topic of which only the answer to subscribing to it counts.
    pub(crate) fn beside(&self) -> String {
        let fixed: Vec<&str> = self.name().split('/').take_while(|level| !matches!(*level, "+" | "#")).collect();
        format!("{}/-", fixed.join("/"))
    }
}

/// A topic below the path of an address, which stands in front of all.
pub(crate) fn below(url: &Url, topic: &str) -> String {
    let path = url.path().trim_matches('/');
    if path.is_empty() {
        return topic.to_owned();
    }
    format!("{}/{topic}", crate::net::decoded(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_a_level_or_a_pattern() {
        let of = |url: &str, collection: Option<&str>| Topics::of(&url.parse().unwrap(), "communes", collection);
        let plain = of("mqtt://b", None).unwrap();
        assert_eq!(plain, Topics::Below("collections/communes/items".into()));
        assert_eq!(of("mqtts://b/t%C3%A2y/", Some("xa/")).unwrap(), Topics::Below("tây/xa".into()));
        assert_eq!(of("mqtt://b", Some("xa/+/data")).unwrap(), Topics::Fitting("xa/+/data".into()));
        for (topic, place) in [
            ("collections/communes/items", Place::Manifest),
            ("collections/communes/items/25459", Place::Feature),
            ("collections/communes/items/", Place::Feature),
            ("collections/communes/items/a/b", Place::Elsewhere),
            ("collections/communes/items2", Place::Elsewhere),
        ] {
            assert_eq!(plain.place(topic), place, "{topic}");
        }
        let pattern = of("mqtt://b", Some("xa/+/data")).unwrap();
        assert_eq!(pattern.place("xa/1/data"), Place::Feature);
        assert_eq!(pattern.place("xa/1"), Place::Elsewhere);
        assert_eq!((pattern.beside(), plain.beside()), ("xa/-".into(), "collections/communes/items/-".into()));
        for wrong in ["", "a/#/b", "a+", "a/b#", "#x"] {
            assert_eq!(of("mqtt://b", Some(wrong)).unwrap_err().code(), "bad_address", "{wrong}");
        }
    }
}
