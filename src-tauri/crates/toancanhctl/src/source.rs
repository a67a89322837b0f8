//! Adding sources without a window: recognise, try, add, test, remove, by the same functions as the window's.

use crate::data::pair;
use crate::output::{Output, table};
use clap::{Args, Subcommand};
use desk::api::{Failure, NewLayer, NewSource, Offer, Recognised, Target, Trial};
use desk::{Credentials, Desk, LayerId, LayerKind, RecogniseArgs, Span, TrySourceArgs};
use serde_json::{Value, json};
use std::sync::Arc;

/// Rejected rows of a trial that are listed for people; `--json` has the first 200.
const LISTED: usize = 20;

#[derive(Subcommand)]
pub enum SourceCommand {
    /// Say what speaks at an address and which collections it offers.
    Recognise {
        /// An address, a folder of station files, postgres://ROLE@HOST/DATABASE.
        url: String,
        #[command(flatten)]
        login: LoginArgs,
    },
    /// Say what a collection would bring into a layer; nothing is written.
    Try {
        url: String,
        #[command(flatten)]
        login: LoginArgs,
        #[command(flatten)]
        layer: LayerArgs,
    },
    /// Add a source and the layers it fills, and fetch it once.
    Add(AddArgs),
    /// Take out a source that was added; its layers keep what they hold.
    Remove {
        id: String,
        /// Forget also the secret that it alone names.
        #[arg(long)]
        forget_secret: bool,
    },
    /// Ask a source whether it is there and speaks what it should.
    Test { id: String },
}

impl SourceCommand {
    /// True where only the list of layers is needed, not what they hold.
    pub fn needs_no_content(&self) -> bool {
        !matches!(self, Self::Add(_))
    }
}

#[derive(Args)]
pub struct AddArgs {
    url: String,
    /// What the source is called here [default: what the service calls itself, else its host].
    #[arg(long)]
    title: Option<String>,
    /// The agreed poll period, for example 30s, 10m, 1d.
    #[arg(long, default_value = "10m", value_parser = span)]
    every: Span,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    layer: LayerArgs,
    /// Several collections at once, each into a layer that is there.
    #[arg(long = "take", value_name = "COLLECTION=LAYER", value_parser = pair,
          conflicts_with_all = ["collection", "layer", "new", "map", "things", "id_field"])]
    take: Vec<(String, String)>,
    /// Do not fetch it now.
    #[arg(long)]
    no_sync: bool,
}

/// Which collection goes where.
#[derive(Args)]
pub struct LayerArgs {
    /// As the service calls it [default: the one that the address names, or the only one].
    #[arg(long)]
    collection: Option<String>,
    /// The layer that takes it in [default: the one of that name or kind].
    #[arg(long, value_parser = LayerId::new, conflicts_with = "new")]
    layer: Option<LayerId>,
    /// A new layer of this title.
    #[arg(long, value_name = "TITLE", requires = "group")]
    new: Option<String>,
    /// What the new layer shows, for example school or air_station.
    #[arg(long, default_value = "other", value_parser = kind)]
    kind: LayerKind,
    /// The group that the new layer is listed under.
    #[arg(long, requires = "new")]
    group: Option<String>,
    /// Field of the layer = property of the source, over what is suggested; an empty property leaves the field empty.
    #[arg(long = "map", value_name = "FIELD=PROPERTY", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Of SensorThings whose stations do not name their layer: an OData $filter over the Things [default: all].
    #[arg(long, value_name = "FILTER")]
    things: Option<String>,
    /// The property that holds the key [default: the feature's own id].
    #[arg(long, value_name = "PROPERTY")]
    id_field: Option<String>,
}

/// How the source is shown who asks. The secret is kept before, by `secret set NAME`.
#[derive(Args)]
pub struct LoginArgs {
    #[command(flatten)]
    manner: Manner,
    /// The client's name, with --token-url.
    #[arg(long, requires = "token_url")]
    client_id: Option<String>,
    /// With --token-url.
    #[arg(long, requires = "token_url")]
    scope: Option<String>,
    /// The name of the secret.
    #[arg(long, value_name = "NAME", requires = "manner")]
    secret: Option<String>,
}

#[derive(Args)]
#[group(id = "manner", multiple = false, requires = "secret")]
struct Manner {
    /// A user with a password, or the role of a database.
    #[arg(long)]
    user: Option<String>,
    /// A key in this header, for example X-Api-Key.
    #[arg(long, value_name = "HEADER")]
    key_header: Option<String>,
    /// A fixed bearer token.
    #[arg(long)]
    bearer: bool,
    /// Tokens by client credentials (OAuth 2.0), from this address.
    #[arg(long, value_name = "URL", requires = "client_id")]
    token_url: Option<String>,
}

impl LoginArgs {
    fn credentials(&self) -> Option<Credentials> {
        let secret = self.secret.clone()?;
        let manner = &self.manner;
        Some(if let Some(user) = manner.user.clone() {
            Credentials::Basic { user, secret }
        } else if let Some(header) = manner.key_header.clone() {
            Credentials::ApiKey { header, secret }
        } else if let Some(token_url) = manner.token_url.clone() {
            let client_id = self.client_id.clone().unwrap_or_default();
            Credentials::ClientCredentials { token_url, client_id, scope: self.scope.clone(), secret }
        } else {
            Credentials::Bearer { secret }
        })
    }
}

fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn kind(text: &str) -> Result<LayerKind, String> {
    serde_json::from_value(Value::from(text)).map_err(|_| format!("{text:?} is no kind of layer; `schema` lists some"))
}

pub async fn run(desk: &Arc<Desk>, command: &SourceCommand, out: &Output) -> Result<(), Failure> {
    match command {
        SourceCommand::Recognise { url, login } => {
            let found = recognise(desk, url, login).await?;
            out.result(&json!(found), || found_lines(&found));
        }
        SourceCommand::Try { url, login, layer } => {
            let found = recognise(desk, url, login).await?;
            let source = source_of(&found, None, Span::minutes(10), login);
            let layer = layer.order(desk, &found)?;
            let trial = desk.try_source(TrySourceArgs { source, layer }).await?;
            out.result(&json!(trial), || trial_lines(&trial));
        }
        SourceCommand::Add(args) => add(desk, args, out).await?,
        SourceCommand::Remove { id, forget_secret } => {
            desk.remove(id, *forget_secret)?;
            out.result(&json!({"removed": id}), || vec![format!("{id}: removed")]);
        }
        SourceCommand::Test { id } => {
            let test = desk.test(id).await?;
            out.result(&json!(test), || {
                let offers = test.offers.map(|offers| format!(", {offers} collections")).unwrap_or_default();
                vec![format!("{id}: answers after {} ms{offers}", test.took_ms)]
            });
        }
    }
    Ok(())
}

async fn recognise(desk: &Arc<Desk>, url: &str, login: &LoginArgs) -> Result<Recognised, Failure> {
    desk.recognise(RecogniseArgs { url: url.to_owned(), credentials: login.credentials() }).await
}

/// The source as the window would add it.
fn source_of(found: &Recognised, title: Option<&str>, every: Span, login: &LoginArgs) -> NewSource {
    let host = || {
        let rest = found.url.split_once("://").map_or(found.url.as_str(), |(_, rest)| rest);
        rest.split('/').find(|part| !part.is_empty()).unwrap_or(rest).to_owned()
    };
    NewSource {
        protocol: found.protocol,
        url: found.url.clone(),
        title: title.map(str::to_owned).or_else(|| found.title.clone()).unwrap_or_else(host),
        every,
        practice: found.practice,
        credentials: login.credentials(),
    }
}

impl LayerArgs {
    fn order(&self, desk: &Desk, found: &Recognised) -> Result<NewLayer, Failure> {
        let offer = self.offer(desk, found)?;
        let target = match (&self.layer, &self.new, &self.group, &offer.layer) {
            (Some(layer), ..) => Target::Layer { layer: layer.clone() },
            (None, Some(title), Some(group), _) => {
                Target::New { title: title.clone(), kind: self.kind, group: group.clone() }
            }
            (_, _, _, Some(layer)) => Target::Layer { layer: layer.clone() },
            _ => return Err(desk.fail("no_target", [("collection", offer.title.as_str())])),
        };
        Ok(NewLayer {
            collection: offer.collection.clone(),
            target,
            id_field: self.id_field.clone(),
            map: self.map.iter().cloned().collect(),
            things: self.things.clone(),
        })
    }

    fn offer<'a>(&self, desk: &Desk, found: &'a Recognised) -> Result<&'a Offer, Failure> {
        let wanted = self.collection.as_ref().or(found.chosen.as_ref());
        let offer = match (wanted, found.offers.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), offers) => offers.iter().find(|offer| offer.collection.as_ref() == Some(name)),
        };
        offer.ok_or_else(|| {
            let offered: Vec<&str> = found.offers.iter().filter_map(|offer| offer.collection.as_deref()).collect();
            let wanted = wanted.map(String::as_str).unwrap_or_default();
            desk.fail(
                "which_collection",
                [("url", found.url.as_str()), ("collection", wanted), ("detail", offered.join(", ").as_str())],
            )
        })
    }
}

async fn add(desk: &Arc<Desk>, args: &AddArgs, out: &Output) -> Result<(), Failure> {
    let found = recognise(desk, &args.url, &args.login).await?;
    let source = source_of(&found, args.title.as_deref(), args.every, &args.login);
    let layers = if args.take.is_empty() {
        vec![args.layer.order(desk, &found)?]
    } else {
        let order = |(collection, layer): &(String, String)| {
            let layer = LayerId::new(layer).map_err(|detail| desk.fail("bad_layer_id", [("detail", &*detail)]))?;
            let take = LayerArgs {
                collection: Some(collection.clone()),
                layer: Some(layer),
                new: None,
                kind: LayerKind::Other,
                group: None,
                map: Vec::new(),
                things: None,
                id_field: None,
            };
            take.order(desk, &found)
        };
        args.take.iter().map(order).collect::<Result<Vec<_>, Failure>>()?
    };
    let added = desk.add(&source, &layers)?;
    // It is added whatever its first answer is, as in the window.
    let fetched = if args.no_sync { None } else { Some(desk.sync_once(Some(&added.id)).await) };
    let fetched = match fetched {
        None => Value::Null,
        Some(Ok((layers, observations))) => json!({"layers_changed": layers, "observations": observations}),
        Some(Err(failure)) => {
            out.note(&failure.message);
            json!({"error": failure})
        }
    };
    out.result(&json!({"id": added.id, "layers": added.layers, "fetched": fetched}), || {
        let layers: Vec<&str> = added.layers.iter().map(LayerId::as_str).collect();
        vec![format!("{}: added; fills {}", added.id, layers.join(", "))]
    });
    Ok(())
}

fn found_lines(found: &Recognised) -> Vec<String> {
    let mut head = format!("{} {}", found.protocol.as_str(), found.url);
    if let Some(title) = &found.title {
        head = format!("{head} ({title})");
    }
    let mut rows = vec![["collection", "title", "features", "layer"].map(str::to_owned).to_vec()];
    rows.extend(found.offers.iter().map(|offer| {
        let chosen = offer.collection.is_some() && offer.collection == found.chosen;
        let name = offer.collection.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            if chosen { format!("{name} *") } else { name },
            offer.title.clone(),
            offer.features.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            offer.layer.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        ]
    }));
    std::iter::once(head).chain(table(&rows)).collect()
}

pub fn trial_lines(trial: &Trial) -> Vec<String> {
    let more = if trial.partial { ", more to come" } else { "" };
    let mut lines = vec![format!(
        "{}: {} rows{more}, {} accepted, {} repaired, {} rejected, {} outside the province",
        trial.format, trial.rows, trial.accepted, trial.repaired, trial.rejected, trial.outside
    )];
    lines.extend(trial.warnings.iter().map(|warning| format!("! {warning}")));
    let mut rows = vec![["property", "field", "filled", "sample"].map(str::to_owned).to_vec()];
    rows.extend(trial.columns.iter().map(|column| {
        let field = match (&column.field, column.suggested) {
            (Some(field), true) => format!("{field} (suggested)"),
            (Some(field), false) => field.clone(),
            (None, _) => "-".to_owned(),
        };
        vec![column.name.clone(), field, column.filled.to_string(), column.sample.clone().unwrap_or_default()]
    }));
    lines.extend(table(&rows));
    let findings =
        trial.fields.iter().flat_map(|field| field.findings.iter().map(move |f| format!("! {}: {f}", field.name)));
    lines.extend(findings);
    for rejected in trial.rejections.iter().take(LISTED) {
        lines.push(format!("row {}: {}", rejected.rejection.row, rejected.sentence));
        // The row as a whole, so that it can be mended.
        lines.extend(rejected.cells.iter().map(|(column, cell)| format!("    {column} = {cell}")));
    }
    lines
}
