//! What is wrong here, and what to do.

use crate::output::{Output, table};
use desk::api::Failure;
use desk::{Desk, Options};
use serde_json::json;

pub async fn run(options: Options, out: &Output) -> Result<(), Failure> {
    let practice_given = options.practice_url.is_some();
    let (desk, notices) = Desk::open(options)?;
    let mut findings = desk.check()?;
    findings.extend(notices.into_iter().map(|notice| desk::Finding {
        subject: "home".into(),
        ok: false,
        detail: notice.message,
    }));
    if practice_given {
        let _ = desk.sync_once(None).await;
    }
    for source in desk.sources_info().sources {
        let detail = match (&source.last_error, source.answered_at) {
            (Some(error), _) => error.clone(),
            (None, Some(at)) => format!("answered {}", at.strftime("%H:%M:%SZ")),
            (None, None) => "not asked: no practice data centre given (--practice URL)".to_owned(),
        };
        findings.push(desk::Finding {
            subject: format!("source {}", source.id),
            ok: source.last_error.is_none(),
            detail,
        });
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
