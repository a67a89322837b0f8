use crate::app::App;
use crate::clock::MAX_SPEED;
use crate::error::PracticeError;
use crate::faults::{self, Faults};
use crate::gateway::{self, GatewayHabits};
use crate::http::Trouble;
use crate::options::Options;
use crate::plug::{Connection, PluggedListener, Plugs};
use crate::{cameras, events, ogc, sensorthings};
use axum::Router;
use axum::extract::State;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A running practice data centre. Dropping it stops it too, without waiting for the sockets to close.
pub struct Practice {
    app: Arc<App>,
    address: SocketAddr,
    plugs: Plugs,
    tasks: Vec<JoinHandle<()>>,
    /// Ends when the last socket is closed.
    alive: mpsc::Receiver<()>,
}

/// Longest wait for the sockets to close; a cut connection takes microseconds.
const CLOSING: Duration = Duration::from_secs(2);

impl Practice {
    /// Reads the profile, listens and serves until [`Practice::stop`]. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A profile or layer file that does not read, an address that cannot be listened on, a speed out of range.
    pub async fn start(profile_dir: &Path, options: Options) -> Result<Self, PracticeError> {
        if !(0.0..=MAX_SPEED).contains(&options.speed) {
            return Err(PracticeError::Speed(options.speed));
        }
        let listen = options.listen;
        let unheard = |source| PracticeError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?;
        let folder = profile_dir.to_owned();
        let base_url = base_url(address);
        let app =
            tokio::task::spawn_blocking(move || App::read(&folder, options, base_url)).await.map_err(|error| {
                PracticeError::Read { path: profile_dir.to_owned(), source: std::io::Error::other(error) }
            })??;
        let app = Arc::new(app);

        let plugs = Plugs::default();
        let (alive_sender, alive) = mpsc::channel(1);
        let listener = PluggedListener::new(listener, plugs.clone(), alive_sender);
        let service = router(app.clone()).into_make_service_with_connect_info::<Connection>();
        let serve = tokio::spawn(async move {
            // It only ends when the task is aborted.
            let _ = axum::serve(listener, service).await;
        });
        let events = tokio::spawn(events::run(app.clone()));
        Ok(Self { app, address, plugs, tasks: vec![serve, events], alive })
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end. Stands for `practice:` in a profile's source addresses.
    pub fn base_url(&self) -> String {
        self.app.base_url.clone()
    }

    /// The faults in force; changes take effect with the next request.
    pub fn faults(&self) -> &Faults {
        &self.app.faults
    }

    /// Where the gateway is and what opens it, as JSON.
    pub fn gateway(&self) -> serde_json::Value {
        gateway::addresses(&self.app.base_url)
    }

    /// What the gateway does wrong on purpose.
    pub fn gateway_habits(&self) -> GatewayHabits {
        self.app.gateway.habits()
    }

    /// Changes take effect with the next request.
    pub fn set_gateway_habits(&self, habits: GatewayHabits) {
        self.app.gateway.set_habits(habits);
    }

    /// Ends all tokens that the gateway gave out.
    pub fn revoke_tokens(&self) {
        self.app.gateway.revoke();
    }

    /// How many tokens the gateway gave out.
    pub fn tokens_given(&self) -> u64 {
        self.app.gateway.given()
    }

    /// Pulls the plug: closes the listener and all open connections at once, in the middle of an answer too.
    pub async fn stop(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            // An aborted task answers with its abortion.
            let _ = task.await;
        }
        self.plugs.cut_all();
        let _ = tokio::time::timeout(CLOSING, self.alive.recv()).await;
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.plugs.cut_all();
    }
}

/// An address that listens everywhere is reached here.
fn base_url(address: SocketAddr) -> String {
    let mut reached = address;
    if address.ip().is_unspecified() {
        reached.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{reached}")
}

fn router(app: Arc<App>) -> Router {
    let mut services = ogc::router().merge(sensorthings::router());
    if app.options.locked {
        services = services.layer(middleware::from_fn_with_state(app.clone(), gateway::guard));
    }
    Router::new()
        .route("/", get(about))
        .route("/practice", get(about))
        .route("/practice/faults", get(faults::list).put(faults::put).delete(faults::clear))
        .route("/events", get(events::stream))
        .route("/cameras/{feature}/still.jpg", get(cameras::still))
        .route("/cameras/{feature}/stream.mjpeg", get(cameras::stream))
        .merge(gateway::router(&app))
        .merge(services)
        .fallback(|| async {
            Trouble::missing("nothing here; begin at /practice, /ogc, /sensorthings/v1.1 or /gateway")
        })
        .layer(middleware::from_fn_with_state(app.clone(), faults::layer))
        .with_state(app)
}

async fn about(State(app): State<Arc<App>>) -> Response {
    axum::Json(json!({
        "name": "Trung tâm dữ liệu thực hành",
        "practice": true,
        "clock": app.clock.now().to_string(),
        "seed": app.options.seed,
        "speed": app.options.speed,
        "scenario": app.options.scenario,
        "gateway": gateway::addresses(&app.base_url),
    }))
    .into_response()
}
