//! The practice data centre as a command.

use crate::output::Output;
use clap::Args;
use desk::api::Failure;
use desk::{Desk, Home, Options};
use practice::{Practice, Scenario};
use serde_json::json;
use std::net::SocketAddr;

#[derive(Args)]
pub struct PracticeArgs {
    #[arg(long, default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// calm, smog, flood or outage
    #[arg(long, default_value = "calm")]
    scenario: Scenario,
    #[arg(long, default_value_t = 20_260_701)]
    seed: u64,
    /// Simulated seconds a second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// OGC API and SensorThings want to see the gateway's credentials too.
    #[arg(long)]
    locked: bool,
    /// SensorThings without the properties that name layer, feature and parameter.
    #[arg(long)]
    unlabelled: bool,
}

pub async fn run(options: &Options, args: &PracticeArgs, out: &Output) -> Result<(), Failure> {
    Desk::make_home(options)?;
    let practice = Practice::start(
        &Home::new(&options.home).profile_dir(),
        practice::Options {
            listen: args.listen,
            seed: args.seed,
            speed: args.speed,
            scenario: args.scenario,
            start: None,
            locked: args.locked,
            unlabelled: args.unlabelled,
        },
    )
    .await
    .map_err(|error| Failure {
        code: "practice".into(),
        message: format!("practice: {error}"),
        at: [("listen".to_owned(), args.listen.to_string())].into(),
    })?;
    let url = practice.base_url();
    let gateway = practice.gateway();
    out.result(&json!({"url": url, "practice": true, "gateway": gateway}), || {
        let word = |name: &str| gateway[name].as_str().unwrap_or_default().to_owned();
        vec![
            format!("Trung tâm dữ liệu thực hành / practice data centre: {url} (Ctrl-C ends it)"),
            format!("Cổng thực hành / practice gateway (LGSP, NDXP: {})", word("note")),
            format!("  danh mục / list  {}", word("list")),
            format!("  NGSI-LD          {}", word("ngsi_ld")),
            format!("  FHIR R4          {}", word("fhir")),
            format!("  token            {} ({} / {})", word("token_url"), word("client_id"), word("client_secret")),
            format!("  {}        {}", word("api_key_header"), word("api_key")),
        ]
    });
    let _ = tokio::signal::ctrl_c().await;
    practice.stop().await;
    Ok(())
}
