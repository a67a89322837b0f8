//! The layer's keys and attributes, column by column: a million features cost tens of megabytes, not a gigabyte.

use foldhash::HashMap;
use model::{Properties, Value};
use std::hash::{BuildHasher, RandomState};

/// Texts back to back.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: String,
    ends: Vec<u32>,
}

impl Strings {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// False, and nothing added, beyond 4 GB.
    pub fn push(&mut self, text: &str) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + text.len()) else { return false };
        self.bytes.push_str(text);
        self.ends.push(end);
        true
    }

    pub fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.bytes.get(start..end)
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// What a cell holds. Null and absent are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Tag {
    #[default]
    Absent,
    Bool,
    Integer,
    Real,
    /// The bits are a place among the layer's words.
    Text,
}

impl Tag {
    pub const ALL: [Self; 5] = [Self::Absent, Self::Bool, Self::Integer, Self::Real, Self::Text];
}

/// One cell: equal cells of one layer are equal values, but for texts beyond the dictionary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    pub tag: Tag,
    pub bits: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Column {
    pub name: String,
    pub tags: Vec<Tag>,
    pub bits: Vec<u64>,
    /// While the column is packed.
    pub repeats: Repeats,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub ids: Strings,
    pub columns: Vec<Column>,
    /// Each distinct text once, as far as the dictionary of [`crate::pack`] reaches.
    pub words: Strings,
    /// Columns by name, so that maps of properties are made in order.
    by_name: Vec<usize>,
    places: Places,
}

impl Table {
    /// Ends the loading.
    pub fn seal(&mut self) {
        self.ids.shrink();
        self.words.shrink();
        self.by_name = (0..self.columns.len()).collect();
        self.by_name.sort_by(|a, b| self.columns[*a].name.cmp(&self.columns[*b].name));
        self.places = Places::build(&self.ids);
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn id(&self, ordinal: u32) -> Option<&str> {
        self.ids.get(ordinal as usize)
    }

    /// The ordinal of a key; the first one where a careless source repeats it.
    pub fn ordinal_of(&self, id: &str) -> Option<u32> {
        self.places.find(&self.ids, id)
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        let found = self.by_name.binary_search_by(|at| self.columns[*at].name.as_str().cmp(name)).ok()?;
        Some(self.by_name[found])
    }

    pub fn cell(&self, ordinal: u32, column: usize) -> Cell {
        let Some(column) = self.columns.get(column) else { return Cell::default() };
        match (column.tags.get(ordinal as usize), column.bits.get(ordinal as usize)) {
            (Some(tag), Some(bits)) => Cell { tag: *tag, bits: *bits },
            _ => Cell::default(),
        }
    }

    pub fn text(&self, ordinal: u32, column: usize) -> Option<&str> {
        let cell = self.cell(ordinal, column);
        if cell.tag == Tag::Text { self.word(cell.bits) } else { None }
    }

    pub fn word(&self, bits: u64) -> Option<&str> {
        self.words.get(usize::try_from(bits).ok()?)
    }

    pub fn value_of(&self, cell: Cell) -> Value {
        match cell.tag {
            Tag::Absent => Value::Null,
            Tag::Bool => Value::Bool(cell.bits != 0),
            Tag::Integer => Value::Integer(cell.bits.cast_signed()),
            Tag::Real => Value::Real(f64::from_bits(cell.bits)),
            Tag::Text => self.word(cell.bits).map_or(Value::Null, |text| Value::Text(text.to_owned())),
        }
    }

    pub fn properties(&self, ordinal: u32) -> Properties {
        let present = self.by_name.iter().filter_map(|column| {
            let value = self.value_of(self.cell(ordinal, *column));
            (!value.is_null()).then(|| (self.columns[*column].name.clone(), value))
        });
        present.collect()
    }
}

/// Key → ordinal without a copy of the keys: an open-addressing table of ordinals.
#[derive(Debug, Default)]
struct Places {
    hash: RandomState,
    /// A power of two, at most half full.
    slots: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl Places {
    fn build(ids: &Strings) -> Self {
        let mut places =
            Self { hash: RandomState::new(), slots: vec![FREE; (ids.len() * 2).next_power_of_two().max(2)] };
        for (ordinal, at) in (0..FREE).zip(0..ids.len()) {
            let slot = places.slot(ids, ids.get(at).unwrap_or_default());
            if places.slots[slot] == FREE {
                places.slots[slot] = ordinal;
            }
        }
        places
    }

    /// Where the key stands, or the free slot where it would.
    fn slot(&self, ids: &Strings, id: &str) -> usize {
        let mask = self.slots.len() - 1;
        #[allow(clippy::cast_possible_truncation)]
        let mut slot = self.hash.hash_one(id) as usize & mask;
        while self.slots[slot] != FREE && ids.get(self.slots[slot] as usize) != Some(id) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn find(&self, ids: &Strings, id: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        Some(self.slots[self.slot(ids, id)]).filter(|ordinal| *ordinal != FREE)
    }
}

/// The dictionary that cells are made with: place of each distinct text, up to a bound, and only of columns in which texts
/// come again, so that a column of a million different names does not keep them in a hash table.
#[derive(Default)]
pub(crate) struct Words {
    known: HashMap<Box<str>, u64>,
    next: u64,
}

const DICTIONARY: usize = 1 << 16;

/// How often a column's texts were in the dictionary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repeats {
    asked: u32,
    found: u32,
}

impl Repeats {
    /// After so many texts it is known of which kind the column is.
    const TRIAL: u32 = 512;

    fn worth_asking(self) -> bool {
        self.asked < Self::TRIAL || self.found >= self.asked / 4
    }
}

impl Words {
    /// The cell of a value; a text that is not in the dictionary is handed to `new`, in the order of its place.
    pub fn cell(&mut self, value: &Value, repeats: &mut Repeats, new: &mut dyn FnMut(&str)) -> Cell {
        match value {
            Value::Null => Cell::default(),
            Value::Bool(yes) => Cell { tag: Tag::Bool, bits: u64::from(*yes) },
            Value::Integer(number) => Cell { tag: Tag::Integer, bits: number.cast_unsigned() },
            Value::Real(real) => Cell { tag: Tag::Real, bits: real.to_bits() },
            Value::Text(text) => {
                let asks = repeats.worth_asking();
                if asks {
                    repeats.asked += 1;
                    if let Some(bits) = self.known.get(text.as_str()) {
                        repeats.found += 1;
                        return Cell { tag: Tag::Text, bits: *bits };
                    }
                }
                let bits = self.next;
                self.next += 1;
                if asks && self.known.len() < DICTIONARY {
                    self.known.insert(text.as_str().into(), bits);
                }
                new(text);
                Cell { tag: Tag::Text, bits }
            }
        }
    }
}
