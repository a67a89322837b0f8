//! Filling one feature table: columns appear and widen as the features come, so that no pass over them is needed
//! beforehand.

use crate::columns::{self, Column, Names};
use crate::geometry::{GeometryType, blob_bbox, plain, wrapped};
use crate::gpkg::{GEOMETRY, quoted};
use crate::layer::Layout;
use crate::{LayerSchema, StoreError};
use model::{BBox, Feature, Field, FieldType, Names as PropertyNames, Title, visit_coords};
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OptionalExtension, Statement, params};
use std::collections::HashMap;
use std::path::Path;

/// SQLite takes 2,000; a few are ours.
const MAX_COLUMNS: usize = 1_900;

/// The SQL function that wraps a stored single geometry.
const WRAP: &str = "tc_multi";

/// Gives the connection what [`FeatureTable`] needs of SQL functions.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(WRAP, 1, flags, |context| {
        let blob = context.get_raw(0).as_blob().unwrap_or_default();
        let multi = model::from_gpkg_blob(blob)
            .and_then(|(geometry, srs_id)| model::to_gpkg_blob(&wrapped(geometry), srs_id))
            .map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
        Ok(multi)
    })
}

/// A feature table under construction or extension, within the caller's transaction.
pub(crate) struct FeatureTable<'c> {
    connection: &'c Connection,
    path: &'c Path,
    layer: LayerSchema,
    table: String,
    columns: Vec<Column>,
    by_property: HashMap<String, usize>,
    names: Names,
    geometry_type: Option<GeometryType>,
    wrapped: bool,
    exists: bool,
    /// The unique index on `id` is there; a bulk load makes it at the end, which is faster than row by row, or leaves it
    /// to whoever extends the table.
    indexed: bool,
    /// The caller has seen to it that no id comes twice.
    pub(crate) distinct: bool,
    insert: String,
    /// The insert, prepared: looking it up by its text a row at a time costs a tenth of the load.
    prepared: Option<Statement<'c>>,
    /// The names of the last feature's properties, and the column of each where it has one.
    names_seen: PropertyNames,
    places: Vec<Option<usize>>,
    next_fid: i64,
    pub(crate) features: u64,
    pub(crate) bbox: BBox,
    /// Rows changed after they were written: whoever kept them as they were pushed has them wrong.
    pub(crate) altered: bool,
    /// Name of the R-tree to fill along.
    rtree: Option<String>,
}

impl<'c> FeatureTable<'c> {
    /// A table that is yet to be made, under a name that may differ from the layer's until [`FeatureTable::rename`].
    pub(crate) fn new(connection: &'c Connection, path: &'c Path, layer: &LayerSchema, table: String) -> Self {
        let mut new = Self {
            connection,
            path,
            layer: layer.clone(),
            table,
            columns: Vec::new(),
            by_property: HashMap::new(),
            names: Names::new(),
            geometry_type: None,
            wrapped: false,
            exists: false,
            indexed: false,
            distinct: false,
            insert: String::new(),
            prepared: None,
            names_seen: PropertyNames::default(),
            places: Vec::new(),
            next_fid: 1,
            features: 0,
            bbox: BBox::EMPTY,
            altered: false,
            rtree: None,
        };
        for field in &layer.fields {
            if !new.by_property.contains_key(&field.name) {
                new.push_column(&field.name, field.field_type);
            }
        }
        new
    }

    /// The table of a stored layer, to be extended.
    pub(crate) fn existing(
        connection: &'c Connection,
        path: &'c Path,
        layer: &LayerSchema,
        layout: Layout,
        features: u64,
        bbox: Option<BBox>,
    ) -> Result<Self, StoreError> {
        let mut table = Self::new(connection, path, layer, layer.id.as_str().to_owned());
        let declared = std::mem::take(&mut table.columns);
        table.by_property.clear();
        table.names = Names::new();
        for column in layout.columns {
            table.names.reserve(&column.column);
            table.by_property.insert(column.property.clone(), table.columns.len());
            table.columns.push(column);
        }
        table.geometry_type = Some(layout.geometry_type);
        table.wrapped = layout.wrapped;
        table.exists = true;
        table.features = features;
        table.bbox = bbox.unwrap_or(BBox::EMPTY);
        let last: i64 = connection
            .query_row(&format!("SELECT coalesce(max(fid), 0) FROM {}", quoted(&table.table)), [], |row| row.get(0))
            .map_err(table.err("reading"))?;
        table.next_fid = last + 1;
        table.index()?;
        table.prepare_insert();
        for column in declared {
            if !table.by_property.contains_key(&column.property) {
                table.add_column(&column.property, column.field_type)?;
            }
        }
        Ok(table)
    }

    /// Makes the table now, with the index on ids or (for a bulk load) without, and with an R-tree if asked for.
    pub(crate) fn create(&mut self, geometry_type: GeometryType, indexed: bool) -> Result<(), StoreError> {
        self.geometry_type = Some(geometry_type);
        self.connection.execute_batch(&self.create_sql(&self.table)).map_err(self.err("creating a table"))?;
        self.exists = true;
        self.prepare_insert();
        if indexed { self.index() } else { Ok(()) }
    }

    pub(crate) fn with_rtree(mut self) -> Result<Self, StoreError> {
        let name = quoted(&format!("rtree_{}_{GEOMETRY}", self.layer.id));
        let sql = format!("CREATE VIRTUAL TABLE {name} USING rtree(id, minx, maxx, miny, maxy)");
        self.connection.execute_batch(&sql).map_err(self.err("creating the R-tree"))?;
        self.rtree = Some(format!("INSERT INTO {name} VALUES (?1, ?2, ?3, ?4, ?5)"));
        Ok(self)
    }

    /// What the layer turned out to be, once all features have come.
    pub(crate) fn describe(&mut self, layer: &LayerSchema) {
        self.layer = layer.clone();
    }

    /// Adds a feature, and leaves it as it will be read back.
    pub(crate) fn insert(&mut self, feature: &mut Feature) -> Result<(), StoreError> {
        let bbox = self.checked_bbox(feature)?;
        self.fit(feature)?;
        let fid = self.next_fid;
        self.execute(feature, fid, false)?;
        if let Some(rtree) = &self.rtree {
            self.connection
                .prepare_cached(rtree)
                .and_then(|mut insert| insert.execute(params![fid, bbox.west, bbox.east, bbox.south, bbox.north]))
                .map_err(self.err("writing the R-tree"))?;
        }
        self.next_fid += 1;
        self.features += 1;
        self.bbox = self.bbox.union(bbox);
        Ok(())
    }

    /// Adds a feature, or puts it in the place of the one with its id. True when it replaced one.
    pub(crate) fn upsert(&mut self, feature: &mut Feature) -> Result<bool, StoreError> {
        if !self.exists {
            self.create(GeometryType::of(&feature.geometry), true)?;
        }
        let sql = format!("SELECT fid FROM {} WHERE id = ?1", quoted(&self.table));
        let known: Option<i64> = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut select| select.query_row([&feature.id], |row| row.get(0)).optional())
            .map_err(self.err("looking an id up"))?;
        let Some(fid) = known else { return self.insert(feature).map(|()| false) };
        let bbox = self.checked_bbox(feature)?;
        self.fit(feature)?;
        self.execute(feature, fid, true)?;
        self.bbox = self.bbox.union(bbox);
        Ok(true)
    }

    /// Ends the load: the table exists, no id stands twice, and it has its final name.
    pub(crate) fn finish(&mut self) -> Result<(), StoreError> {
        if !self.exists {
            self.create(GeometryType::of_kind(self.layer.geometry), false)?;
        }
        self.prepared = None;
        if self.table != self.layer.id.as_str() {
            let (from, to) = (quoted(&self.table), quoted(self.layer.id.as_str()));
            self.connection
                .execute_batch(&format!("DROP TABLE IF EXISTS {to}; ALTER TABLE {from} RENAME TO {to};"))
                .map_err(self.err("exchanging tables"))?;
            self.table = self.layer.id.as_str().to_owned();
        }
        if self.indexed || self.distinct { Ok(()) } else { self.index() }
    }

    /// The box around all rows, read anew: after replacements the running one may be too large.
    pub(crate) fn measure(&mut self) -> Result<(), StoreError> {
        let sql = format!("SELECT {} FROM {}", quoted(GEOMETRY), quoted(&self.table));
        let read = || -> rusqlite::Result<BBox> {
            let mut bbox = BBox::EMPTY;
            let mut select = self.connection.prepare(&sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                if let Ok(blob) = row.get_ref(0)?.as_blob() {
                    bbox = bbox.union(blob_bbox(blob));
                }
            }
            Ok(bbox)
        };
        self.bbox = read().map_err(self.err("measuring"))?;
        Ok(())
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout {
            geometry: self.layer.geometry,
            fields: self.layer.fields.clone(),
            srs_id: self.layer.srs_id,
            columns: self.columns.clone(),
            geometry_type: self.geometry_type.unwrap_or(GeometryType::Geometry),
            wrapped: self.wrapped,
        }
    }

    /// Column, field name, title and description of each column, for `gpkg_data_columns`.
    pub(crate) fn titles(&self) -> Vec<(String, String, Option<String>, Option<String>)> {
        let describe = |column: &Column| {
            let field = self.layer.fields.iter().find(|field| field.name == column.property);
            let description = field.map(|field| match &field.unit {
                Some(unit) => format!("{} ({unit})", field.title.en),
                None => field.title.en.clone(),
            });
            (column.column.clone(), column.property.clone(), field.map(|field| field.title.vi.clone()), description)
        };
        self.columns.iter().map(describe).collect()
    }

    fn err(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<'c> {
        let path = self.path;
        move |error| StoreError::sqlite(path, doing, error)
    }

    fn checked_bbox(&self, feature: &Feature) -> Result<BBox, StoreError> {
        let mut bbox = BBox::EMPTY;
        let mut finite = true;
        visit_coords(&feature.geometry, &mut |c| {
            finite &= c.x.is_finite() && c.y.is_finite();
            bbox.add(c.x, c.y);
        });
        let refuse = |reason: &str| StoreError::Geometry {
            layer: self.layer.id.clone(),
            feature: feature.id.clone(),
            reason: reason.into(),
        };
        if !finite {
            Err(refuse("a coordinate is not a finite number"))
        } else if bbox.is_empty() {
            Err(refuse("it has no coordinate"))
        } else {
            Ok(bbox)
        }
    }

    /// Makes the table able to hold the feature: new columns, wider types, the geometry type. Fills `places`.
    fn fit(&mut self, feature: &mut Feature) -> Result<(), StoreError> {
        if !self.names_seen.same(feature.properties.names()) {
            self.names_seen = feature.properties.names().clone();
            self.places.clear();
            self.places.extend(self.names_seen.iter().map(|property| self.by_property.get(property).copied()));
        }
        for (at, value) in feature.properties.values_mut().iter_mut().enumerate() {
            let index = match self.places[at] {
                Some(index) => index,
                None => {
                    // Null in a column that does not exist yet: nothing to keep.
                    let Some(field_type) = columns::type_of(value) else { continue };
                    let property = self.names_seen.iter().nth(at).unwrap_or_default().to_owned();
                    let index = self.add_column(&property, field_type)?;
                    self.places[at] = Some(index);
                    index
                }
            };
            if let Some(wider) = columns::widening(self.columns[index].field_type, value) {
                self.widen(index, wider)?;
            }
            if let Some(settled) = columns::settled(self.columns[index].field_type, value) {
                *value = settled;
            }
        }
        let own = GeometryType::of(&feature.geometry);
        match self.geometry_type.filter(|_| self.exists) {
            None => self.create(own, false),
            // An empty table takes the type of what comes first.
            Some(_) if self.features == 0 => self.retype(own),
            Some(held) if held == own || held == GeometryType::Geometry || self.wrapped && held.wraps(own) => Ok(()),
            Some(held) => self.retype(held.join(own)),
        }
    }

    fn push_column(&mut self, property: &str, field_type: FieldType) -> usize {
        let column = self.names.claim(property);
        self.by_property.insert(property.to_owned(), self.columns.len());
        self.columns.push(Column { property: property.to_owned(), column, field_type });
        self.columns.len() - 1
    }

    fn add_column(&mut self, property: &str, field_type: FieldType) -> Result<usize, StoreError> {
        if self.columns.len() >= MAX_COLUMNS {
            return Err(StoreError::TooManyFields { layer: self.layer.id.clone(), limit: MAX_COLUMNS });
        }
        let index = self.push_column(property, field_type);
        if self.exists {
            let (table, column) = (quoted(&self.table), quoted(&self.columns[index].column));
            let sql = format!("ALTER TABLE {table} ADD COLUMN {column} {}", columns::sql_type(field_type));
            self.connection.execute_batch(&sql).map_err(self.err("adding a column"))?;
            self.prepare_insert();
        }
        Ok(index)
    }

    fn widen(&mut self, index: usize, wanted: FieldType) -> Result<(), StoreError> {
        let before = self.columns.clone();
        let mut wider = wanted;
        if self.exists && before[index].field_type == FieldType::Integer && wanted == FieldType::Real {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {} WHERE {})",
                quoted(&self.table),
                columns::inexact(&quoted(&before[index].column))
            );
            let loses: bool =
                self.connection.query_row(&sql, [], |row| row.get(0)).map_err(self.err("widening a column"))?;
            wider = if loses { FieldType::Text } else { wanted };
        }
        self.columns[index].field_type = wider;
        // A date that becomes text is the same text.
        self.altered |= self.features > 0 && before[index].field_type != FieldType::Date;
        if self.exists { self.rebuild(&before, false) } else { Ok(()) }
    }

    fn retype(&mut self, geometry_type: GeometryType) -> Result<(), StoreError> {
        let Some(held) = self.geometry_type.replace(geometry_type) else { return Ok(()) };
        if held == geometry_type && geometry_type == GeometryType::Geometry {
            return Ok(());
        }
        if self.features == 0 {
            self.wrapped = false;
            return if held == geometry_type { Ok(()) } else { self.rebuild(&self.columns.clone(), false) };
        }
        let wrap = held != geometry_type && geometry_type.wraps(held);
        // Multis meet a single, or singles a multi: from now on singles are wrapped.
        self.wrapped = geometry_type != GeometryType::Geometry;
        if held == geometry_type { Ok(()) } else { self.rebuild(&self.columns.clone(), wrap) }
    }

    /// Copies the rows into a table of the present columns. Rare: a type changes early in a file or not at all.
    fn rebuild(&mut self, before: &[Column], wrap: bool) -> Result<(), StoreError> {
        let spare = format!("tc_spare_{}", self.layer.id);
        let (old, new, geom) = (quoted(&self.table), quoted(&spare), quoted(GEOMETRY));
        let mut into = format!("fid, {geom}, id");
        let mut from = if wrap { format!("fid, {WRAP}({geom}), id") } else { into.clone() };
        for (was, is) in before.iter().zip(&self.columns) {
            let column = quoted(&is.column);
            from = format!("{from}, {}", columns::cast(&column, was.field_type, is.field_type));
            into = format!("{into}, {column}");
        }
        let sql = format!(
            "DROP TABLE IF EXISTS {new}; {}; INSERT INTO {new} ({into}) SELECT {from} FROM {old} ORDER BY fid;
             DROP TABLE {old}; ALTER TABLE {new} RENAME TO {old};",
            self.create_sql(&spare)
        );
        self.prepared = None;
        self.connection.execute_batch(&sql).map_err(self.err("widening a table"))?;
        self.prepare_insert();
        if self.indexed { self.index() } else { Ok(()) }
    }

    fn create_sql(&self, table: &str) -> String {
        let geometry_type = self.geometry_type.unwrap_or(GeometryType::Geometry).name();
        let columns: String = self
            .columns
            .iter()
            .map(|column| format!(", {} {}", quoted(&column.column), columns::sql_type(column.field_type)))
            .collect();
        format!(
            "CREATE TABLE {} (\"fid\" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \"{GEOMETRY}\" {geometry_type}, \"id\" TEXT NOT NULL{columns})",
            quoted(table)
        )
    }

    fn prepare_insert(&mut self) {
        let columns: String = self.columns.iter().map(|column| format!(", {}", quoted(&column.column))).collect();
        let values: String =
            (1..=self.columns.len() + 3).map(|i| format!("{}?{i}", if i > 1 { ", " } else { "" })).collect();
        let table = quoted(&self.table);
        self.insert = format!("INSERT INTO {table} (fid, \"{GEOMETRY}\", id{columns}) VALUES ({values})");
        self.prepared = None;
    }

    fn execute(&mut self, feature: &Feature, fid: i64, replace: bool) -> Result<(), StoreError> {
        let plain = plain(&feature.geometry);
        let blob = if self.wrapped && self.geometry_type.is_some_and(|held| held.wraps(GeometryType::of(&plain))) {
            model::to_gpkg_blob(&wrapped(plain.into_owned()), self.layer.srs_id)
        } else {
            model::to_gpkg_blob(&plain, self.layer.srs_id)
        };
        let blob = blob.map_err(|error| StoreError::Geometry {
            layer: self.layer.id.clone(),
            feature: feature.id.clone(),
            reason: error.to_string(),
        })?;
        let mut run = || -> rusqlite::Result<()> {
            let mut replacing;
            let insert = if replace {
                // Nothing refers to the row but its fid, which stays.
                let sql = self.insert.replacen("INSERT", "INSERT OR REPLACE", 1);
                replacing = self.connection.prepare_cached(&sql)?;
                &mut *replacing
            } else {
                match &mut self.prepared {
                    Some(prepared) => prepared,
                    none => none.insert(self.connection.prepare(&self.insert)?),
                }
            };
            insert.clear_bindings();
            insert.raw_bind_parameter(1, fid)?;
            insert.raw_bind_parameter(2, blob.as_slice())?;
            insert.raw_bind_parameter(3, feature.id.as_str())?;
            for (index, value) in self.places.iter().zip(feature.properties.values()) {
                if let Some(index) = *index {
                    insert.raw_bind_parameter(index + 4, columns::to_sql(self.columns[index].field_type, value))?;
                }
            }
            insert.raw_execute()?;
            Ok(())
        };
        run().map_err(|error| match error.sqlite_error() {
            Some(failure) if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => {
                StoreError::Duplicate { layer: self.layer.id.clone(), id: feature.id.clone() }
            }
            _ => StoreError::sqlite(self.path, "writing a feature", error),
        })
    }

    fn index(&mut self) -> Result<(), StoreError> {
        let table = quoted(&self.table);
        let name = quoted(&format!("tc_id_{}", self.layer.id));
        match self.connection.execute_batch(&format!("CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {table} (id)")) {
            Ok(()) => {
                self.indexed = true;
                Ok(())
            }
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                let sql = format!("SELECT id FROM {table} GROUP BY id HAVING count(*) > 1 LIMIT 1");
                let id = self.connection.query_row(&sql, [], |row| row.get(0)).map_err(self.err("indexing"))?;
                Err(StoreError::Duplicate { layer: self.layer.id.clone(), id })
            }
            Err(error) => Err(StoreError::sqlite(self.path, "indexing", error)),
        }
    }
}

/// The columns that no declared field stands for, as fields.
pub(crate) fn extra_fields(layout: &Layout) -> Vec<Field> {
    let declared = |column: &&Column| !layout.fields.iter().any(|field| field.name == column.property);
    let field = |column: &Column| Field {
        name: column.property.clone(),
        field_type: column.field_type,
        title: Title::same(&column.property),
        unit: None,
        decimals: None,
        label: false,
        required: false,
    };
    layout.columns.iter().filter(declared).map(field).collect()
}
