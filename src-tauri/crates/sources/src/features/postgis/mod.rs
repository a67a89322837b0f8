//! PostGIS, asked directly: one connection, one transaction that only reads, one state of the data.
//!
//! Nothing but SELECT is sent. Names go into statements between quotation marks, values as parameters. Rows come by a
//! portal, some at a time, and by their own binary form of shapes, so that no function of the database is called.

mod address;
mod door;
mod rows;
mod table;

use super::pages::Pages;
use super::{Collection, FeatureService, Fetched, Fetching, Login, Offer, Progress, Wanted};
use crate::file::FileCrs;
use crate::net::{Client, FetchError, host_of};
use address::Address;
use door::{Door, Talk};
use model::{NamedRows, Timestamp};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use table::Table;
use tokio_postgres::{IsolationLevel, Transaction};
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct PostGis;

impl FeatureService for PostGis {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(client.in_time(wanted.root, fetch(client, wanted, progress)))
    }
}

/// So much is asked for at a time; the number of rows goes by how large they are.
const BATCH_BYTES: usize = 4 << 20;
const FIRST_BATCH: i32 = 64;
const LARGEST_BATCH: usize = 2_000;

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let address = Address::read(wanted.root)?;
    let door = Door::new(client, wanted.root, wanted.login, wanted.name(), &address)?;
    let (mut database, connection) = door.open().await?;
    let reading = read(&door, client, &wanted, address.schema.as_deref(), &mut database, progress);
    while_served(&door, connection, reading).await
}

/// The tables and views with a shape that the role may read: those of the address' schema, where it names one. The number of
/// rows is the server's own estimate, where it has one.
///
/// # Errors
/// `bad_address`; `login` with the way to name a role and its password where none is named; those of [`Door`].
pub(super) async fn offers(client: &Client, root: &Url, login: Option<Login<'_>>) -> Result<Vec<Offer>, FetchError> {
    let address = Address::read(root)?;
    if login.is_none() && address.user.is_none() {
        return Err(unnamed(FetchError::Login {
            host: host_of(root),
            user: String::new(),
            secret: None,
            reason: "no role is named".into(),
        }));
    }
    let door = Door::new(client, root, login, "", &address)?;
    let looking = async {
        let (mut database, connection) = door.open().await?;
        let looking = async {
            let transaction = begin(&door, &mut database).await?;
            table::extension(&door, &transaction).await?;
            table::offers(&door, address.schema.as_deref(), &transaction).await
        };
        while_served(&door, connection, looking).await
    };
    let found = client.in_time(root, looking).await;
    found.map_err(|error| if login.is_none() { unnamed(error) } else { error })
}

/// A refusal of who showed no password, with the way to name one.
fn unnamed(error: FetchError) -> FetchError {
    match error {
        FetchError::Login { host, user, secret, reason } => {
            let way = "give the source credentials = { kind = \"basic\", user = \"ROLE\", secret = \"NAME\" }, and keep the \
                       password by `secret set NAME`";
            FetchError::Login { host, user, secret, reason: format!("{reason}; {way}") }
        }
        other => other,
    }
}

/// Works while the connection carries. Both are in one task, so that dropping one drops both.
async fn while_served<T>(
    door: &Door<'_>,
    connection: Talk,
    reading: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let mut connection = Box::pin(connection);
    let mut reading = pin!(reading);
    tokio::select! {
        biased;
        outcome = &mut reading => outcome,
        ended = &mut connection => {
            // What nobody will answer any more then ends.
            drop(connection);
            // The server's last words are with the statement that they came for; where there are none, the line's own.
            match (reading.await, ended) {
                (Err(FetchError::Truncated { .. }), Err(error)) => {
                    Err(door.explain(&error, std::time::Duration::ZERO, true))
                }
                (outcome, _) => outcome,
            }
        }
    }
}

async fn read(
    door: &Door<'_>,
    client: &Client,
    wanted: &Wanted<'_>,
    schema: Option<&str>,
    database: &mut tokio_postgres::Client,
    progress: Progress<'_>,
) -> Result<Fetched, FetchError> {
    let mut transaction = begin(door, database).await?;
    let table = Table::find(door, wanted, schema, &transaction).await?;
    let key = table.key_column(wanted)?;
    let state = state(door, wanted, &table, &mut transaction).await?;
    let validator = state.as_ref().map(|state| state.validator.clone());
    if validator.is_some() && validator.as_deref() == wanted.validator {
        return Ok(Fetched::NotModified);
    }
    let as_keyed = Wanted { id_field: key.as_deref(), ..*wanted };
    let mut pages = Pages::new(client, wanted);
    pages.announced = state.as_ref().map(|state| state.count);
    if let Some(crs) = &table.crs {
        pages.crs(wanted.root, crs)?;
    }
    rows(door, &as_keyed, &table, &transaction, &mut pages, progress).await?;
    let mut collection = pages.finish(wanted.root, &as_keyed)?;
    collection.report.warnings.extend(table.warning);
    let as_of = state.and_then(|state| state.newest);
    Ok(Fetched::Features(Collection { validator, as_of, ..collection }))
}

/// One transaction that only reads, within the limits.
async fn begin<'a>(door: &Door<'_>, database: &'a mut tokio_postgres::Client) -> Result<Transaction<'a>, FetchError> {
    let begin = database.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = door.step(begin.start()).await?;
    // For this transaction alone: behind a pooler others get the same session after it.
    let settings = format!(
        "SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {statement};
        SET LOCAL idle_in_transaction_session_timeout = {all}; SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL TimeZone = 'UTC'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex'",
        statement = door.statement_limit().as_millis().max(1),
        all = door.answer_limit().as_millis().max(1),
    );
    door.step(transaction.batch_execute(&settings)).await?;
    Ok(transaction)
}

/// What is known of all rows before they are read.
struct State {
    count: u64,
    newest: Option<Timestamp>,
    validator: String,
}

async fn state(
    door: &Door<'_>,
    wanted: &Wanted<'_>,
    table: &Table,
    transaction: &mut Transaction<'_>,
) -> Result<Option<State>, FetchError> {
    let Some(sql) = table.state_sql(wanted.changed_field) else { return Ok(None) };
    let inner = door.step(transaction.transaction()).await?;
    let row = match door.step(inner.query_one(&sql, &[])).await {
        Ok(row) => row,
        // Too large a table to look at every row of it in time can still be read piece by piece; and a partition that
        // lies elsewhere has no versions.
        Err(FetchError::Timeout { .. } | FetchError::Service { .. } | FetchError::NoAccess { .. }) => {
            door.step(inner.rollback()).await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    door.step(inner.commit()).await?;
    let count = u64::try_from(door.value::<i64>(&row, 0)?).unwrap_or_default();
    let (newest, hash): (Option<&str>, Option<&str>) = (door.value(&row, 1)?, door.value(&row, 2)?);
    let print = table.print(wanted);
    let validator = format!("{count}:{}:{}:{print:x}", newest.unwrap_or_default(), hash.unwrap_or_default());
    Ok(Some(State { count, newest: newest.and_then(instant), validator }))
}

/// A moment with its zone; without one nobody knows whose clock it was.
fn instant(text: &str) -> Option<Timestamp> {
    text.strip_suffix("+00").and_then(|moment| format!("{moment}Z").parse().ok())
}

async fn rows(
    door: &Door<'_>,
    wanted: &Wanted<'_>,
    table: &Table,
    transaction: &Transaction<'_>,
    pages: &mut Pages,
    progress: Progress<'_>,
) -> Result<(), FetchError> {
    let statement = door.step(transaction.prepare(&table.rows_sql(wanted.id_field))).await?;
    let portal = door.step(transaction.bind(&statement, &[])).await?;
    let several = if wanted.id_field.is_none() { &table.primary_key[..] } else { &[] };
    let mut names = NamedRows::default();
    let mut systems: HashMap<u32, FileCrs> = HashMap::new();
    let mut size = FIRST_BATCH;
    loop {
        let batch = door.step(transaction.query_portal(&portal, size)).await?;
        let bytes: usize = batch.iter().map(tokio_postgres::Row::raw_size_bytes).sum();
        // Rows that are alike are no page that came twice: the print is the place.
        pages.begin(wanted.root, bytes, batch.len(), pages.received)?;
        for row in &batch {
            let feature = rows::feature(row, &table.columns, several, &table.shape, &mut names, pages.next_row());
            let parsed = match feature {
                Ok((parsed, srid)) => {
                    if let (None, Some(srid)) = (&table.crs, srid) {
                        let crs = match systems.entry(srid) {
                            Entry::Occupied(known) => known.into_mut(),
                            Entry::Vacant(new) => new.insert(table.system(door, srid, transaction).await?),
                        };
                        pages.crs(wanted.root, crs)?;
                    }
                    Ok(parsed)
                }
                Err(rejection) => Err(rejection),
            };
            pages.add(wanted.root, parsed)?;
        }
        progress(pages.received, pages.announced);
        if batch.len() < usize::try_from(size).unwrap_or_default() {
            return Ok(());
        }
        let fitting = BATCH_BYTES / (bytes / batch.len()).max(1);
        size = i32::try_from(fitting.clamp(1, LARGEST_BATCH)).unwrap_or(FIRST_BATCH);
    }
}
