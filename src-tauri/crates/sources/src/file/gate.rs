//! The part of the gate that needs no other row, so that many may pass it at a time: position, key, preparation.

use super::claims::{Key, KeyMaker};
use super::fields::Shapes;
use super::ids::Ids;
use super::place::{Placer, Trace};
use super::{Format, ReadOptions, Row, RowEdit, rejection, stored};
use model::{Feature, GeometryKind, Rejection, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Usable from any thread.
pub(crate) struct Gate<'a> {
    options: &'a ReadOptions<'a>,
    /// A table's cells are mended before they are read.
    table: bool,
    /// Open once the head of the file is judged.
    settled: OnceLock<Settled>,
    pub(super) keys: KeyMaker,
}

/// What the head of the file decided.
pub(super) struct Settled {
    pub(super) placer: Placer,
    pub(super) ids: Ids,
}

/// What became of a row at the gate.
pub(crate) enum Judged {
    /// The head is still being judged.
    Held(Row),
    Passed(Passed),
}

/// A row that only waits for its turn.
pub(crate) struct Passed {
    pub(super) number: u64,
    pub(super) trace: Trace,
    pub(super) result: Result<Kept, Rejection>,
}

/// A row with a place and a key.
pub(super) struct Kept {
    pub(super) key: Key,
    /// As the file has it, before preparation.
    pub(super) kind: GeometryKind,
    pub(super) shape: usize,
    /// Axes changed over, or shape repaired.
    pub(super) repaired: bool,
    pub(super) feature: Prepared,
}

pub(super) enum Prepared {
    Ready(Feature),
    /// Its id counts as taken all the same.
    Refused {
        id: String,
        rejection: Rejection,
    },
}

impl<'a> Gate<'a> {
    pub(super) fn new(options: &'a ReadOptions<'a>, format: Format) -> Self {
        let table = matches!(format, Format::Csv | Format::Xlsx);
        Self { options, table, settled: OnceLock::new(), keys: KeyMaker::default() }
    }

    pub(super) fn settled(&self) -> Option<&Settled> {
        self.settled.get()
    }

    /// Opens the gate; only the first word counts.
    pub(super) fn settle(&self, settled: Settled) {
        self.settled.get_or_init(|| settled);
    }

    /// Takes the row as far as it can go without knowing the rows before it.
    pub(crate) fn pass(&self, row: Row, shapes: &mut Shapes) -> Judged {
        let Some(settled) = self.settled() else { return Judged::Held(row) };
        let number = row.number;
        let mut trace = Trace::default();
        let result = self.check(settled, row, shapes, &mut trace);
        Judged::Passed(Passed { number, trace, result })
    }

    fn check(
        &self,
        settled: &Settled,
        mut row: Row,
        shapes: &mut Shapes,
        trace: &mut Trace,
    ) -> Result<Kept, Rejection> {
        let number = row.number;
        if let Some(edit) = self.options.edits.as_ref().and_then(|edits| edits.get(&number)) {
            self.mend(&mut row, edit);
        }
        settled
            .placer
            .place(&mut row.geometry, trace)
            .map_err(|wrong| rejection(number, "geometry", &wrong.value, wrong.code, wrong.reason))?;
        let Some(id) = settled.ids.take(&mut row) else {
            let field = self.options.id_field.as_deref().unwrap_or("id");
            return Err(rejection(number, field, "", "id_missing", "the row has no key"));
        };
        let key = self.keys.key(&id);
        let kind = GeometryKind::of(&row.geometry);
        let shape = shapes.of(&row.properties);
        let feature = Feature { id, geometry: row.geometry, properties: row.properties };
        let (feature, changed) = match self.options.prepare {
            None => (Prepared::Ready(feature), false),
            Some(prepare) => {
                let id = feature.id.clone();
                match unharmed(number, || prepare(number, feature)).and_then(|prepared| prepared) {
                    Ok((feature, changed)) => (Prepared::Ready(feature), changed),
                    Err(rejection) => (Prepared::Refused { id, rejection }, false),
                }
            }
        };
        Ok(Kept { key, kind, shape, repaired: changed || settled.placer.swapped, feature })
    }
}

impl Gate<'_> {
    fn mend(&self, row: &mut Row, edit: &RowEdit) {
        if edit.swap {
            crate::geometry::swap_axes(&mut row.geometry);
        }
        if self.table {
            return;
        }
        for (column, text) in &edit.cells {
            let name = self.options.field_of(column);
            let value = match row.properties.get(name) {
                Some(Value::Integer(_)) => text.trim().parse().ok().map(Value::Integer),
                Some(Value::Real(_)) => text.trim().parse().ok().filter(|real: &f64| real.is_finite()).map(Value::Real),
                Some(Value::Bool(_)) => text.trim().parse().ok().map(Value::Bool),
                _ => None,
            };
            row.properties.insert(name.to_owned(), value.unwrap_or_else(|| Value::Text(stored(text))));
        }
    }
}

/// Turns a panic while a row is worked on into that row's rejection. `work` must leave nothing half done behind it that
/// is used again.
///
/// # Errors
/// `geometry_invalid`: nothing else of a row has enough to it to fail on.
pub(crate) fn unharmed<T>(row: u64, work: impl FnOnce() -> T) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let reason = format!("the row could not be worked on: {}", said.unwrap_or("no reason known"));
        rejection(row, "geometry", "", "geometry_invalid", reason)
    })
}
