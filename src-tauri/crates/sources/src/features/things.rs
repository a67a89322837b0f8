//! The Things of a SensorThings service with their places (OGC 18-088, section 8.2), as features.

use super::pages::{Pages, print_of};
use super::{Collection, FeatureService, Fetched, Fetching, Progress, Wanted};
use crate::net::{Client, FetchError};
use crate::sensorthings::things;

/// Of the protocol, the half that brings stations.
#[derive(Debug)]
pub(super) struct Things;

impl FeatureService for Things {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move { fetch(&wanted.client(client)?, wanted, progress).await })
    }
}

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let mut things = things(wanted.root, wanted.collection)?;
    let first = things.url.clone();
    let mut pages = Pages::new(client, &wanted);
    while !pages.enough()
        && let Some(page) = things.next(client).await?
    {
        let texts: Vec<String> = page.iter().map(|thing| thing.feature_text()).collect();
        pages.begin(&things.url, texts.iter().map(String::len).sum(), texts.len(), print_of(&texts))?;
        for text in &texts {
            let parsed = crate::geojson::parse(text.as_bytes(), pages.next_row());
            pages.add_text(&things.url, parsed, text)?;
        }
        progress(pages.received, None);
    }
    let collection: Collection = pages.finish(&first, &wanted)?;
    Ok(Fetched::Features(collection))
}
