//! Listening, limits, and the end.

use crate::items::Selections;
use crate::options::{Options, ServeError};
use crate::problem::Problem;
use crate::request::Asked;
use crate::{collections, documents, guard, items, schema, tiles};
use axum::Router;
use axum::http::HeaderMap;
use axum::middleware;
use axum::routing::get;
use desk::{Desk, Syncing};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// What every handler sees.
pub(crate) struct App {
    pub desk: Arc<Desk>,
    pub options: Options,
    pub address: SocketAddr,
    /// One permit an answer that is being made.
    pub workers: Arc<Semaphore>,
    pub selections: Selections,
}

impl App {
    /// Where the client reaches this server: the address given for it, else the one it used.
    pub fn base(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.options.url {
            return url.trim_end_matches('/').to_owned();
        }
        let plain =
            |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b));
        guard::host_of(headers).filter(plain).map_or_else(|| reached(self.address), |host| format!("http://{host}"))
    }
}

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// For the head of a request, and between two requests of a connection.
const HEAD: Duration = Duration::from_secs(15);
const HEAD_BYTES: usize = 64 << 10;
const HEAD_FIELDS: usize = 64;
/// Whoever reads slower than this is cut off.
const CONNECTION: Duration = Duration::from_secs(600);
/// Open answers get so long to end when the server stops.
const ENDING: Duration = Duration::from_secs(5);

/// A running server. Dropping it ends it at once.
pub struct Server {
    url: String,
    address: SocketAddr,
    ending: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    following: Option<Syncing>,
}

impl Server {
    /// Listens and answers until [`Server::stop`], and follows what other processes change in the home. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ServeError`] for an address that cannot be listened on, or options of the wrong form.
    pub async fn start(desk: Arc<Desk>, options: Options) -> Result<Self, ServeError> {
        options.check()?;
        let unheard = |error: std::io::Error| ServeError::Listen { address: options.listen, reason: error.to_string() };
        let listener = TcpListener::bind(options.listen).await.map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?;
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let following = Some(desk.start_following());
        let url = options.url.as_deref().map_or_else(|| reached(address), |url| url.trim_end_matches('/').to_owned());
        let app = Arc::new(App {
            desk,
            options,
            address,
            workers: Arc::new(Semaphore::new(threads.max(2))),
            selections: Selections::default(),
        });
        let (ending, ended) = oneshot::channel();
        let task = tokio::spawn(listen(listener, router(app), ended));
        Ok(Self { url, address, ending: Some(ending), task, following })
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the landing page is, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes no more requests, lets those under way end for five seconds, and closes.
    pub async fn stop(mut self) {
        if let Some(following) = self.following.take() {
            following.stop();
        }
        if let Some(ending) = self.ending.take() {
            // A task that is gone needs no word.
            let _ = ending.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, router: Router, mut ended: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accept = async {
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => accepted,
            _ = &mut ended => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file handles: the next one may find some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = graceful.watch(connection(stream, router.clone()));
        tokio::spawn(async move {
            let _permit = permit;
            // A client that goes away is no failure of the server.
            let _ = tokio::time::timeout(CONNECTION, connection).await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(ENDING, graceful.shutdown()).await;
}

fn connection(stream: TcpStream, router: Router) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Small answers go out at once; a socket that cannot be told so still works.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// An address that listens everywhere is reached here.
fn reached(address: SocketAddr) -> String {
    let mut reached = address;
    if address.ip().is_unspecified() {
        reached.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{reached}")
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(documents::landing))
        .route("/conformance", get(documents::conformance))
        .route("/api", get(documents::api))
        .route("/collections", get(collections::all))
        .route("/collections/{collection}", get(collections::one))
        .route("/collections/{collection}/queryables", get(schema::queryables))
        .route("/collections/{collection}/schema", get(schema::schema))
        .route("/collections/{collection}/items", get(items::items))
        .route("/collections/{collection}/items/{item}", get(items::item))
        .route("/collections/{collection}/tiles", get(tiles::tilesets))
        .route("/collections/{collection}/tiles/tilejson", get(tiles::tilejson))
        .route("/collections/{collection}/tiles/{set}", get(tiles::tileset))
        .route("/collections/{collection}/tiles/{set}/{z}/{row}/{column}", get(tiles::tile))
        .route("/tileMatrixSets", get(tiles::matrix_sets))
        .route("/tileMatrixSets/{set}", get(tiles::matrix_set))
        .fallback(|asked: Asked| async move {
            let path = asked.path.chars().take(200).collect();
            asked.answer(|_| Err(Problem::NoPath { path })).await
        })
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}
