//! The attributes that tiles carry.

use crate::mvt::{LayerWriter, value_message};
use crate::table::{Cell, Table, Tag};

/// Keys `id` and `name` first, then the layer's own fields.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub keys: Vec<String>,
    /// Behind `id`: the table's columns, where it has them.
    columns: Vec<Option<usize>>,
}

impl Columns {
    pub fn build(table: &Table, name_field: &str, fields: &[String]) -> Self {
        let own = own_fields(fields);
        let keys = ["id", "name"].into_iter().chain(own.iter().copied()).map(str::to_owned).collect();
        let columns = std::iter::once(name_field).chain(own).map(|field| table.column(field)).collect();
        Self { keys, columns }
    }

    /// Adds a feature's tags to the tile.
    pub fn tag(&self, table: &Table, ordinal: u32, writer: &mut LayerWriter) {
        writer.tag_unique(0, table.id(ordinal).unwrap_or_default());
        for (key, column) in (1_u32..).zip(&self.columns) {
            let cell = column.map_or_else(Cell::default, |column| table.cell(ordinal, column));
            if cell.tag != Tag::Absent {
                writer.tag(key, cell, || value_message(&table.value_of(cell)));
            }
        }
    }
}

/// The fields that keep their own name: `id` and `name` are taken, and none comes twice.
pub(crate) fn own_fields(fields: &[String]) -> Vec<&str> {
    let mut own: Vec<&str> = Vec::with_capacity(fields.len());
    for field in fields {
        if field != "id" && field != "name" && !own.contains(&field.as_str()) {
            own.push(field);
        }
    }
    own
}
