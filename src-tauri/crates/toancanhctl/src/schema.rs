//! The shared data standard, for whoever delivers data.

use crate::output::{Output, table};
use desk::Schema;
use desk::api::{Failure, Language};
use serde_json::json;

/// Prints a kind's JSON Schema, or lists the kinds. Needs no home.
pub fn run(kind: Option<&str>, language: Option<Language>, out: &Output) -> Result<(), Failure> {
    let Some(kind) = kind else {
        let all = Schema::all();
        let list: Vec<_> =
            all.iter().map(|s| json!({"kind": s.kind, "title": s.title, "fields": s.fields.len()})).collect();
        out.result(&json!(list), || {
            let title = |schema: &Schema| match language {
                Some(Language::En) => schema.title.en.clone(),
                _ => schema.title.vi.clone(),
            };
            let mut rows = vec![["kind", "title", "fields"].map(str::to_owned).to_vec()];
            rows.extend(all.iter().map(|s| vec![s.kind.clone(), title(s), s.fields.len().to_string()]));
            table(&rows)
        });
        return Ok(());
    };
    let Some(schema) = Schema::named(kind) else {
        return Err(desk::failure(language.unwrap_or_default(), "no_schema", [("kind", kind)]));
    };
    let document = schema.document();
    out.result(&document, || vec![format!("{document:#}")]);
    Ok(())
}
