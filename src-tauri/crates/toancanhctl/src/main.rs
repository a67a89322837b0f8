//! `toancanhctl`: the desk without a window. Results on stdout, progress and messages on stderr; exit status 0 done,
//! 1 the work failed and nothing half-done is left behind, 2 wrong usage.

mod basemap;
mod data;
mod doctor;
mod output;
mod practice;
mod schema;
mod secret;
mod serve;
mod source;
mod watching;

use clap::{Parser, Subcommand, ValueEnum};
use desk::api::{Failure, Language};
use desk::{Desk, Home, LayerId, Options, SyncOptions};
use output::Output;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Rows are made on one thread and let go on another: the system's allocator spends a quarter of an import on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "toancanhctl", version, about = "Toàn Cảnh without a window: layers in, answers out.")]
struct Cli {
    /// Where the cache, the history and the settings live [default: the platform's data directory].
    #[arg(long, global = true, env = "TOANCANH_HOME")]
    home: Option<PathBuf>,
    /// One JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// Language of messages.
    #[arg(long, global = true, value_enum)]
    lang: Option<Lang>,
    /// Address of the practice data centre, for example http://127.0.0.1:8700.
    #[arg(long = "practice", id = "practice_url", value_name = "URL", global = true, env = "TOANCANH_PRACTICE")]
    practice_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lang {
    Vi,
    En,
}

#[derive(Subcommand)]
enum Command {
    /// Make the home from a province profile; a home that exists is left as it is.
    Init {
        /// Folder with profile.toml [default: the built-in Tây Ninh].
        #[arg(long)]
        profile: Option<PathBuf>,
    },
    /// List layers: id, kind, title, features, freshness, source, as-of.
    Layers,
    /// Take a file into a layer, whole or not at all.
    Import(data::ImportArgs),
    /// Take an import back: the profile's content returns, or the layer goes if no profile names it.
    Restore {
        #[arg(value_parser = LayerId::new)]
        layer: LayerId,
    },
    /// Write a layer to a file: geojson, geojsonl, gpkg or csv, by the file's ending.
    Export(data::ExportArgs),
    /// Ask a layer; answers with a GeoJSON FeatureCollection.
    Query(data::QueryArgs),
    /// Search everything with a name.
    Search {
        text: String,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Write one vector tile.
    Tile {
        #[arg(value_parser = LayerId::new)]
        layer: LayerId,
        /// Z/X/Y
        #[arg(value_parser = data::tile_place)]
        tile: data::Tile,
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Write a layer's tile pyramid as PMTiles.
    Tiles {
        #[arg(value_parser = LayerId::new)]
        layer: LayerId,
        #[arg(short, long)]
        output: PathBuf,
        /// Lowest and highest zoom.
        #[arg(long, default_value = "6-14", value_parser = data::zooms)]
        zoom: data::Zooms,
    },
    /// Health of each source, its log, and what it had to leave out; pause and resume.
    Sources(watching::SourcesArgs),
    /// Add a source by its address, try it before, test it, remove it.
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Fetch now, or keep fetching.
    Sync {
        sources: Vec<String>,
        /// Keep fetching all sources until interrupted.
        #[arg(long, conflicts_with = "sources")]
        watch: bool,
        /// Take also a delivery that lacks more than half of a layer.
        #[arg(long, conflicts_with = "watch")]
        accept_shrunk: bool,
    },
    /// The present overlay with freshness.
    Live {
        #[arg(value_parser = LayerId::new)]
        layer: Option<LayerId>,
    },
    /// Print the data standard of a kind as JSON Schema, or list the kinds.
    Schema { kind: Option<String> },
    /// Keep the secrets of sources: set, list, remove.
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Base maps of others: list, add, remove, fetch beforehand, clear.
    #[command(subcommand)]
    Basemap(basemap::BasemapCommand),
    /// Serve the home read-only to QGIS and other systems: OGC API – Features and vector tiles.
    Serve(serve::ServeArgs),
    /// Run the practice data centre.
    Practice(practice::PracticeArgs),
    /// Check the machine, the home and the sources, and say what to do.
    Doctor,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Output::new(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.fail(&Failure { code: "runtime".into(), message: error.to_string(), at: [].into() }),
    };
    match runtime.block_on(run(&cli, &out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out.fail(&failure),
    }
}

async fn run(cli: &Cli, out: &Output) -> Result<(), Failure> {
    let root = cli.home.clone().or_else(Home::default_root).unwrap_or_else(|| PathBuf::from("toancanh-home"));
    let language = cli.lang.map(|lang| match lang {
        Lang::Vi => Language::Vi,
        Lang::En => Language::En,
    });
    let options = |profile: Option<PathBuf>| Options {
        profile,
        practice_url: cli.practice_url.clone().filter(|url| url.starts_with("http")),
        language,
        // The command line acts with the rights of whoever runs it on this machine.
        role: Some(desk::Role::Administrator),
        ..Options::at(&root)
    };
    // Only what the command asks about is opened: the home may hold millions of features.
    let open_only = |pictures: Option<Vec<LayerId>>| -> Result<Arc<Desk>, Failure> {
        let (desk, notices) = Desk::open(Options { pictures, ..options(None) })?;
        for notice in &notices {
            out.note(&notice.message);
        }
        Ok(desk)
    };
    let open = || open_only(None);
    let open_one = |layer: &LayerId| open_only(Some(vec![layer.clone()]));
    match &cli.command {
        Command::Init { profile } => {
            let options = options(profile.clone());
            let made = Desk::make_home(&options)?;
            let (desk, notices) = Desk::open(options)?;
            for notice in &notices {
                out.note(&notice.message);
            }
            // A new home in which a layer is missing (a full disk) is not made; opened again, it takes up what it lacks.
            match notices.into_iter().next() {
                Some(failure) if made => Err(failure),
                _ => data::init(&desk, made, out),
            }
        }
        Command::Layers => data::layers(&*open()?, out),
        Command::Import(args) if args.is_trial() => data::try_import(&open_only(Some(Vec::new()))?, args, out).await,
        Command::Import(args) => data::import(&*open_only(args.needed())?, args, out),
        Command::Restore { layer } => data::restore(&*open_only(Some(Vec::new()))?, layer, out),
        Command::Export(args) => data::export(&*open_one(&args.layer)?, args, out),
        Command::Query(args) => data::query(&*open_one(&args.layer)?, args, out).await,
        Command::Search { text, limit } => data::search(&open()?, text, *limit, out).await,
        Command::Tile { layer, tile, output } => data::tile(&open_one(layer)?, layer, *tile, output, out).await,
        Command::Tiles { layer, output, zoom } => data::tiles(&*open_one(layer)?, layer, output, *zoom, out),
        Command::Sources(args) if args.needs_no_network() => {
            watching::about(&open_only(Some(Vec::new()))?, args, out).await
        }
        Command::Sources(_) => watching::sources(&open()?, out).await,
        Command::Source(command) => {
            let pictures = command.needs_no_content().then(Vec::new);
            source::run(&open_only(pictures)?, command, out).await
        }
        Command::Sync { sources, watch: false, accept_shrunk } => {
            let options = SyncOptions { accept_shrunk: *accept_shrunk };
            watching::sync(&open()?, sources, &options, out).await
        }
        Command::Sync { .. } => watching::watch(&open()?, out).await,
        Command::Live { layer } => watching::live(&*open()?, layer.as_ref(), out),
        Command::Schema { kind } => schema::run(kind.as_deref(), language, out),
        Command::Secret(command) => secret::run(&options(None), command, out),
        Command::Basemap(command) => basemap::run(&open_only(Some(Vec::new()))?, command, out).await,
        Command::Serve(args) => serve::run(&open()?, args, out).await,
        Command::Practice(args) => practice::run(&options(None), args, out).await,
        Command::Doctor => doctor::run(options(None), out).await,
    }
}
