//! From the crates' errors to codes and sentences. Only here; the crates below say what happened, not how to say it.

use crate::api::{Failure, Language};
use crate::home::HomeError;
use crate::words::failure;
use sources::{FetchError, ReadError, WriteError};
use store::StoreError;

pub(crate) fn store(language: Language, error: &StoreError) -> Failure {
    // The store's own words name file, layer and feature.
    let detail = error.to_string();
    failure(language, error.code(), [("detail", detail.as_str())])
}

pub(crate) fn home(language: Language, error: &HomeError) -> Failure {
    match error {
        HomeError::Store(error) => store(language, error),
        HomeError::NotWritable { path, reason } => {
            let detail = format!("{}: {reason}", path.display());
            failure(language, "not_writable", [("detail", detail.as_str())])
        }
        HomeError::NotReadable { path, reason } => {
            failure(language, "not_readable", [("path", path.to_string_lossy().as_ref()), ("detail", reason.as_str())])
        }
        HomeError::Profile { path, error } => {
            let detail = error.to_string();
            failure(language, "bad_profile", [("path", path.to_string_lossy().as_ref()), ("detail", detail.as_str())])
        }
        HomeError::Missing { path } => failure(language, "no_home", [("path", path.to_string_lossy().as_ref())]),
    }
}

pub(crate) fn read(language: Language, error: &ReadError) -> Failure {
    let detail = error.to_string();
    let path = error.path().to_string_lossy().into_owned();
    let row = error.row().map(|row| row.to_string()).unwrap_or_default();
    // What a person may choose from instead.
    let (propose, tables) = match error {
        ReadError::CrsUnknown { propose, .. } => (propose.iter().map(u32::to_string).collect(), Vec::new()),
        ReadError::SeveralTables { tables, .. } => (Vec::new(), tables.clone()),
        _ => (Vec::<String>::new(), Vec::new()),
    };
    let (propose, tables) = (propose.join(","), tables.join("\t"));
    let at = [("file", path.as_str()), ("row", row.as_str()), ("detail", detail.as_str())];
    let choices = [("propose", propose.as_str()), ("tables", tables.as_str())];
    failure(language, error.code(), at.into_iter().chain(choices.into_iter().filter(|(_, choice)| !choice.is_empty())))
}

pub(crate) fn write(language: Language, error: &WriteError) -> Failure {
    let detail = error.to_string();
    let path = error.path().to_string_lossy().into_owned();
    failure(language, error.code(), [("path", path.as_str()), ("file", path.as_str()), ("detail", detail.as_str())])
}

pub(crate) fn fetch(language: Language, url: &str, error: &FetchError) -> Failure {
    let detail = error.to_string();
    match error {
        FetchError::ForbiddenAddress { host, address, .. } => {
            let address = address.to_string();
            let at =
                [("url", url), ("host", host.as_str()), ("address", address.as_str()), ("detail", detail.as_str())];
            failure(language, error.code(), at)
        }
        // The number is what a window goes by: 401 and 403 want a login.
        FetchError::Status { status, .. } => {
            let status = status.to_string();
            failure(language, error.code(), [("url", url), ("status", status.as_str()), ("detail", detail.as_str())])
        }
        FetchError::NoSecret { secret, detail } => {
            failure(language, error.code(), [("url", url), ("secret", secret.as_str()), ("detail", detail.as_str())])
        }
        _ => failure(language, error.code(), [("url", url), ("detail", detail.as_str())]),
    }
}
