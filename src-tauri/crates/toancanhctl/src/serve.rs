//! The way out for other systems as a command.

use crate::output::Output;
use clap::Args;
use desk::Desk;
use desk::api::Failure;
use serde_json::json;
use serve::{Server, Token};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args)]
pub struct ServeArgs {
    /// Address and port; beyond loopback others on the network can read.
    #[arg(long, default_value = "127.0.0.1:8710")]
    listen: SocketAddr,
    /// Where others reach it when a proxy stands before it, for example https://data.example.vn/ogc
    #[arg(long)]
    url: Option<String>,
    /// File with one line, mode 0600: who sends it as `Authorization: Bearer` sees internal layers too.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Web pages of this origin may read answers; can be repeated.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    cors: Vec<String>,
}

pub async fn run(desk: &Arc<Desk>, args: &ServeArgs, out: &Output) -> Result<(), Failure> {
    let failed = |error: &serve::ServeError| {
        let at = error.at();
        desk.fail(error.code(), at.iter().map(|(name, value)| (*name, value.as_str())))
    };
    let token = args.token_file.as_deref().map(Token::read).transpose().map_err(|error| failed(&error))?;
    let options = serve::Options { listen: args.listen, url: args.url.clone(), token, cors: args.cors.clone() };
    // Signals are heard before anybody is told that the server is there.
    let mut ended = Ended::listen();
    let server = Server::start(desk.clone(), options).await.map_err(|error| failed(&error))?;
    let url = server.url().to_owned();
    if !server.address().ip().is_loopback() {
        let listen = server.address().to_string();
        out.note(&desk.sentence("serve.note.network", [("listen", listen.as_str())]));
    }
    out.result(&json!({"url": url, "listen": server.address().to_string()}), || {
        vec![format!("OGC API: {url}/ (Ctrl-C: dừng / stops)")]
    });
    ended.wait().await;
    server.stop().await;
    Ok(())
}

/// Ctrl-C, or SIGTERM where there is one.
struct Ended {
    #[cfg(unix)]
    term: Option<tokio::signal::unix::Signal>,
}

impl Ended {
    fn listen() -> Self {
        Self {
            #[cfg(unix)]
            term: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok(),
        }
    }

    async fn wait(&mut self) {
        #[cfg(unix)]
        if let Some(term) = &mut self.term {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
