//! What is wrong here, and what to do.

use crate::output::{Output, table};
use desk::api::Failure;
use desk::{Desk, Options};
use serde_json::json;

pub async fn run(options: Options, out: &Output) -> Result<(), Failure> {
    let (desk, notices) = Desk::open(options)?;
    let mut findings = desk.check()?;
    findings.extend(notices.into_iter().map(|notice| desk::Finding {
        subject: "home".into(),
        ok: false,
        detail: notice.message,
    }));
    // What fails stands in the sources' health.
    let _ = desk.sync_once(None).await;
    desk.give_up_links();
    let asked = desk.sources_info().sources;
    for spec in &desk.profile().sources {
        let health = asked.iter().find(|source| source.id == spec.id);
        let (ok, detail) = match health.map(|source| (&source.last_error, source.answered_at)) {
            None => (true, "not asked: it is part of the practice data centre (--practice URL)".to_owned()),
            Some((Some(error), _)) => (false, error.clone()),
            Some((None, Some(at))) => (true, format!("answered {}", at.strftime("%H:%M:%SZ"))),
            Some((None, None)) => (false, "no answer".to_owned()),
        };
        findings.push(desk::Finding { subject: format!("source {}", spec.id), ok, detail });
    }
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    out.result(&json!({"ok": bad == 0, "findings": findings}), || {
        let mut rows: Vec<Vec<String>> = findings
            .iter()
            .map(|finding| {
                let mark = if finding.ok { "ok" } else { "!!" };
                vec![mark.to_owned(), finding.subject.clone(), finding.detail.clone()]
            })
            .collect();
        rows.push(vec![if bad == 0 { "ok" } else { "!!" }.to_owned(), format!("{bad} to mend")]);
        table(&rows)
    });
    if bad == 0 { Ok(()) } else { Err(desk.fail("doctor", [("count", bad.to_string().as_str())])) }
}
