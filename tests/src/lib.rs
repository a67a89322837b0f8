//! Journeys through several crates; all of it lives in the test targets beside this file, but for what they share.

/// A profile of nothing but the communes, and the source that they come from. `source` and `layer`: more lines of theirs.
pub fn communes_profile(source: &str, layer: &str) -> String {
    format!(
        r#"
id = "x"
code = "80"
title = {{ vi = "X", en = "X" }}
timezone = "Asia/Ho_Chi_Minh"
bbox = [105.45, 10.35, 106.90, 11.80]
center = [106.2, 11.05]
area_km2 = 1.0
population = 1
in_force = "2025-07-01"
[[groups]]
id = "g"
title = {{ vi = "G", en = "G" }}
[[sources]]
id = "communes"
title = {{ vi = "a", en = "b" }}
every = "10m"
{source}
[[layers]]
id = "communes"
kind = "communes"
group = "g"
title = {{ vi = "Xã", en = "Communes" }}
geometry = "polygon"
feature_source = "communes"
freshness = "365d"
as_of = "2026-11-01"
provider = {{ vi = "a", en = "b" }}
licence = "x"
name_field = "name"
{layer}
"#
    )
}
