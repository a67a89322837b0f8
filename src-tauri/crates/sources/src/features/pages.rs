//! What all paged protocols share: rows come together page by page, within limits, and are judged as a whole.

use super::kept::{KeptPages, SoFar};
use super::{Collection, Wanted, malformed};
use crate::file::{FileCrs, ReadOptions, Row, RowCheck};
use crate::geojson::Parsed;
use crate::net::{Answer, Client, FetchError, host_of};
use model::{ReadReport, Rejection};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use url::Url;

/// More pages than this are a loop that looks different each time.
const MAX_PAGES: usize = 100_000;
/// Rejected features kept to be mended.
const MAX_KEPT: usize = 10_000;
/// More bad features than this are no longer worth listing.
const MAX_REJECTED: usize = 200_000;

/// The rows of the pages so far.
pub(super) struct Pages {
    host: String,
    limit_bytes: u64,
    bytes: u64,
    pages: usize,
    /// Of the page before: a server that ignores where a page is to begin sends the same again.
    last_print: u64,
    pub(super) received: u64,
    /// How many features there are in all, where the server tells.
    pub(super) announced: Option<u64>,
    /// As [`Wanted::at_most`].
    at_most: Option<u64>,
    /// EPSG code of the coordinates, east before north.
    epsg: Option<u32>,
    rows: Vec<Row>,
    report: ReadReport,
    refused: BTreeMap<u64, String>,
    /// For another try, should this one be cut.
    kept: KeptPages,
}

impl Pages {
    pub(super) fn new(client: &Client, wanted: &Wanted<'_>) -> Self {
        Self {
            host: host_of(wanted.root),
            limit_bytes: client.options.collection_limit_bytes,
            bytes: 0,
            pages: 0,
            last_print: 0,
            received: 0,
            announced: None,
            at_most: wanted.at_most,
            epsg: None,
            rows: Vec::new(),
            report: ReadReport::default(),
            refused: BTreeMap::new(),
            kept: KeptPages::of(wanted),
        }
    }

    /// The answer at `url`, which is the next page: from a walk that was cut, or by `ask`, with a validator where there is
    /// one.
    pub(super) async fn answer(
        &mut self,
        url: &Url,
        ask: impl AsyncFnOnce(Option<&str>) -> Result<Answer, FetchError>,
    ) -> Result<Answer, FetchError> {
        let so_far = SoFar { pages: self.pages, print: self.last_print, announced: self.announced };
        self.kept.page(url, so_far, ask).await
    }

    /// A look was asked for, and there is enough for it.
    pub(super) fn enough(&self) -> bool {
        self.at_most.is_some_and(|most| self.received >= most)
    }

    pub(super) fn count(&self) -> usize {
        self.pages
    }

    /// Begins a page of so many bytes. `print` stands for its features; `features` is how many they are.
    pub(super) fn begin(&mut self, url: &Url, bytes: usize, features: usize, print: u64) -> Result<(), FetchError> {
        if self.pages > 0 && features > 0 && print == self.last_print {
            return Err(malformed(url, "the next page repeats the page before"));
        }
        if self.pages >= MAX_PAGES {
            return Err(malformed(url, format!("there are more than {MAX_PAGES} pages")));
        }
        self.bytes += bytes as u64;
        if self.bytes > self.limit_bytes {
            return Err(FetchError::TooLarge { host: self.host.clone(), limit_bytes: self.limit_bytes });
        }
        self.last_print = print;
        self.pages += 1;
        Ok(())
    }

    /// The next feature's place in the collection.
    pub(super) fn next_row(&self) -> u64 {
        self.received + 1
    }

    /// Takes in the feature at [`Pages::next_row`].
    pub(super) fn add(&mut self, url: &Url, parsed: Result<Parsed, Rejection>) -> Result<(), FetchError> {
        self.received += 1;
        match parsed {
            Ok(Parsed { id, geometry, properties }) => {
                self.rows.push(Row { number: self.received, id, key: None, geometry, properties, bytes: 0 });
            }
            Err(rejection) => self.report.rejected.push(rejection),
        }
        if self.report.rejected.len() > MAX_REJECTED {
            return Err(malformed(url, format!("more than {MAX_REJECTED} features are wrong")));
        }
        match self.announced {
            Some(announced) if self.received > announced => {
                Err(malformed(url, format!("more features came than the {announced} announced")))
            }
            _ => Ok(()),
        }
    }

    /// As [`Pages::add`]; the text of a feature that is rejected is kept.
    pub(super) fn add_text(
        &mut self,
        url: &Url,
        parsed: Result<Parsed, Rejection>,
        text: &str,
    ) -> Result<(), FetchError> {
        if parsed.is_err() {
            self.keep(self.next_row(), || text.to_owned());
        }
        self.add(url, parsed)
    }

    fn keep(&mut self, row: u64, text: impl FnOnce() -> String) {
        if self.refused.len() < MAX_KEPT {
            self.refused.insert(row, text());
        }
    }

    /// Takes note of the system that a page is in.
    pub(super) fn crs(&mut self, url: &Url, crs: &FileCrs) -> Result<(), FetchError> {
        let epsg = match crs {
            FileCrs::Epsg(epsg) if geodesy::is_known(*epsg) => *epsg,
            FileCrs::Epsg(epsg) => {
                return Err(malformed(url, format!("its coordinate system EPSG:{epsg} is not known here")));
            }
            FileCrs::Named(name) => {
                return Err(malformed(url, format!("its coordinate system {name:?} is not known here")));
            }
        };
        match self.epsg.replace(epsg) {
            Some(before) if before != epsg => {
                Err(malformed(url, format!("the coordinate system changes from EPSG:{before} to EPSG:{epsg}")))
            }
            _ => Ok(()),
        }
    }

    /// All rows through the checks.
    pub(super) fn finish(self, url: &Url, wanted: &Wanted<'_>) -> Result<Collection, FetchError> {
        let enough = self.enough();
        let Self { received, announced, epsg, rows, mut report, mut refused, kept, .. } = self;
        kept.end();
        if let Some(announced) = announced.filter(|announced| *announced != received && !enough) {
            let what = format!("{}: {announced} features were announced, {received} came", wanted.name());
            return Err(malformed(url, what));
        }
        let mut options = ReadOptions::new(wanted.province);
        options.crs = epsg;
        options.id_field = wanted.id_field.map(str::to_owned);
        let mut check = RowCheck::new(&rows, &options).map_err(|error| malformed(url, error.to_string()))?;
        let mut features = Vec::with_capacity(rows.len());
        // A shape in another system would be read wrongly where nobody says so.
        let degrees = epsg.is_none_or(|epsg| epsg == 4326);
        for row in rows {
            let copy = (degrees && refused.len() < MAX_KEPT).then(|| row.clone());
            match check.pass(row) {
                Ok(feature) => features.push(feature),
                Err(rejection) => {
                    refused.extend(copy.map(|row| (row.number, row.into_text())));
                    report.rejected.push(rejection);
                }
            }
        }
        report.rejected.sort_by_key(|rejection| rejection.row);
        report.accepted = features.len() as u64;
        report.warnings.extend(check.warnings(report.accepted));
        Ok(Collection {
            features,
            validator: None,
            as_of: None,
            practice: false,
            report,
            announced: announced.is_some(),
            refused,
        })
    }
}

/// Stands for the features of a page.
pub(super) fn print_of<T: Hash>(features: impl IntoIterator<Item = T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    features.into_iter().for_each(|feature| feature.hash(&mut hasher));
    hasher.finish()
}
