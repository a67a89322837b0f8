//! What the catalogue tells of a table or view: its columns, shape, key, and what stands for its present state.

use super::door::Door;
use super::rows::{Column, is_shape, quoted, system};
use crate::features::{Offer, Wanted, malformed};
use crate::file::FileCrs;
use crate::net::FetchError;
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio_postgres::{Row, Transaction};

/// What rows are read from.
#[derive(Debug)]
pub(super) struct Table {
    schema: String,
    name: String,
    /// Rows carry who wrote them last (not those of views and of tables that lie elsewhere).
    has_versions: bool,
    pub(super) shape: String,
    pub(super) columns: Vec<Column>,
    /// The primary key, as places in `columns`; empty without one.
    pub(super) primary_key: Vec<usize>,
    /// Said of the table; `None`: each row says its own.
    pub(super) crs: Option<FileCrs>,
    /// The schema that PostGIS lives in.
    extension: String,
    pub(super) warning: Option<String>,
}

/// Tables and views of all kinds.
const KINDS: &str = "('r','v','m','f','p')";
/// Of several shapes the one that tools name so by themselves.
const USUAL: [&str; 6] = ["geom", "geometry", "the_geom", "wkb_geometry", "shape", "geog"];
const OFFERED: usize = 100;

impl Table {
    /// Looks a table up.
    ///
    /// # Errors
    /// `no_collection` with the tables offered, `no_access`, `malformed` for one without a shape or with a column that is
    /// not there, `service_refuses` where there is no PostGIS.
    pub(super) async fn find(
        door: &Door<'_>,
        wanted: &Wanted<'_>,
        schema: Option<&str>,
        transaction: &Transaction<'_>,
    ) -> Result<Self, FetchError> {
        let extension = extension(door, transaction).await?;
        let relation = format!(
            "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind IN ('r','m','p'),
                pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
                pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN {KINDS} AND (n.nspname::text || '.' || c.relname::text = $1::text
                OR (c.relname::text = $1::text AND CASE WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
                    ELSE n.nspname::text = $2::text END))
            ORDER BY c.relname::text = $1::text DESC LIMIT 1"
        );
        let Some(found) = door.step(transaction.query_opt(&relation, &[&wanted.name(), &schema])).await? else {
            let offers = offers(door, None, transaction).await?;
            let offers = offers.into_iter().filter_map(|offer| offer.collection).collect();
            return Err(FetchError::NoCollection { host: door.host(), collection: wanted.name().into(), offers });
        };
        let (oid, whole): (u32, bool) = (door.value(&found, 0)?, door.value(&found, 4)?);
        let mut table = Self {
            schema: door.value(&found, 1)?,
            name: door.value(&found, 2)?,
            has_versions: door.value::<bool>(&found, 3)? && whole,
            shape: String::new(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            crs: None,
            extension,
            warning: None,
        };
        if !door.value::<bool>(&found, 5)? {
            let grant = format!(
                "GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON {} TO {role}",
                quoted(&table.schema),
                table.sql(),
                role = quoted(door.user())
            );
            return Err(door.no_access(&format!("its owner permits it by {grant}")));
        }
        table.look_at_columns(door, wanted, oid, transaction).await?;
        table.look_at_system(door, transaction).await?;
        Ok(table)
    }

    /// Its name in SQL.
    fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    async fn look_at_columns(
        &mut self,
        door: &Door<'_>,
        wanted: &Wanted<'_>,
        oid: u32,
        transaction: &Transaction<'_>,
    ) -> Result<(), FetchError> {
        // A domain goes by the type that it narrows.
        let columns = "SELECT a.attname::text, coalesce(b.typname, t.typname)::text,
                CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
            WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
                AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') ORDER BY a.attnum";
        let mut shapes = Vec::new();
        for row in door.step(transaction.query(columns, &[&oid])).await? {
            let (name, type_name): (&str, &str) = (door.value(&row, 0)?, door.value(&row, 1)?);
            if is_shape(type_name) {
                shapes.push(name.to_owned());
            }
            self.columns.extend(Column::new(name, type_name, door.value(&row, 2)?));
        }
        let usual = USUAL.iter().find_map(|usual| shapes.iter().find(|name| *name == usual));
        let Some(shape) = usual.or(shapes.first()) else {
            return Err(malformed(wanted.root, format!("{} has no column with a shape that may be read", self.sql())));
        };
        self.shape.clone_from(shape);
        if shapes.len() > 1 {
            let others: Vec<&str> = shapes.iter().filter(|name| *name != shape).map(String::as_str).collect();
            self.warning = Some(format!("the shapes are those of {shape}; left out: {}", others.join(", ")));
        }
        let key = "SELECT a.attname::text FROM pg_catalog.pg_index i
            CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = $1 AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place";
        let key = door.step(transaction.query(key, &[&oid])).await?;
        let places = key.iter().map(|row| door.value(row, 0).map(|name| self.place(name)));
        let places = places.collect::<Result<Option<Vec<usize>>, FetchError>>()?;
        self.primary_key = places.unwrap_or_default();
        for (what, name) in [("id_field", wanted.id_field), ("changed_field", wanted.changed_field)] {
            if let Some(name) = name.filter(|name| self.column(name).is_none()) {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let what = format!("{what} names {name:?}; the columns of {} are {}", self.sql(), names.join(", "));
                return Err(malformed(wanted.root, what));
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A column by its name, in whatever case where no other is meant.
    fn column(&self, name: &str) -> Option<&Column> {
        let same_but_case = || self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        self.columns.iter().find(|column| column.name == name).or_else(same_but_case)
    }

    async fn look_at_system(&mut self, door: &Door<'_>, transaction: &Transaction<'_>) -> Result<(), FetchError> {
        let place = quoted(&self.extension);
        let said = format!(
            "SELECT srid FROM {place}.geometry_columns WHERE f_table_schema::text = $1::text
                AND f_table_name::text = $2::text AND f_geometry_column::text = $3::text
            UNION ALL SELECT srid FROM {place}.geography_columns WHERE f_table_schema::text = $1::text
                AND f_table_name::text = $2::text AND f_geography_column::text = $3::text"
        );
        let said = door.step(transaction.query(&said, &[&self.schema, &self.name, &self.shape])).await?;
        let srid: Option<i32> = said.first().map(|row| door.value(row, 0)).transpose()?.flatten();
        let srid = srid.and_then(|srid| u32::try_from(srid).ok());
        if let Some(srid) = srid.filter(|srid| *srid != 0) {
            self.crs = Some(self.system(door, srid, transaction).await?);
        }
        Ok(())
    }

    /// What an SRID of this database stands for.
    pub(super) async fn system(
        &self,
        door: &Door<'_>,
        srid: u32,
        transaction: &Transaction<'_>,
    ) -> Result<FileCrs, FetchError> {
        if geodesy::is_known(srid) {
            return Ok(FileCrs::Epsg(srid));
        }
        let entry = format!(
            "SELECT auth_name::text, auth_srid, srtext::text FROM {}.spatial_ref_sys WHERE srid = $1",
            quoted(&self.extension)
        );
        let number = i32::try_from(srid).unwrap_or(i32::MAX);
        let entry = door.step(transaction.query_opt(&entry, &[&number])).await?;
        let Some(row) = entry else { return Ok(system(srid, None, None, None)) };
        Ok(system(srid, door.value(&row, 0)?, door.value(&row, 1)?, door.value(&row, 2)?))
    }

    /// The rows in the order of their key: of the primary key, which has an index, else of the column `key`.
    pub(super) fn rows_sql(&self, key: Option<&str>) -> String {
        let columns = self.columns.iter().map(|column| format!(", {}", column.sql())).collect::<String>();
        let primary = self.primary_key.iter().map(|at| format!("t.{}", quoted(&self.columns[*at].name)));
        let mut order: Vec<String> = primary.collect();
        if let (true, Some(column)) = (order.is_empty(), key.and_then(|name| self.column(name))) {
            // As text: not every type has an order.
            order.push(format!("t.{}::pg_catalog.text", quoted(&column.name)));
        }
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        format!("SELECT t.{}::pg_catalog.bytea{columns} FROM {} AS t{order}", quoted(&self.shape), self.sql())
    }

    /// A statement that gives what stands for the present state of all rows, and the newest change where a column tells
    /// it; `None` where nothing cheaper than reading them does.
    ///
    /// The newest time alone would not do: a transaction that began earlier may end later, and rows go without one. So
    /// all the times count, or where no column has them, for each row who wrote it last and where it lies.
    pub(super) fn state_sql(&self, changed: Option<&str>) -> Option<String> {
        let (print, newest) = match changed.and_then(|name| self.column(name)) {
            Some(column) => {
                let name = format!("t.{}", quoted(&column.name));
                (format!("{name}::pg_catalog.text"), format!("pg_catalog.max({name})::pg_catalog.text"))
            }
            None if self.has_versions => {
                ("t.xmin::pg_catalog.text || t.ctid::pg_catalog.text".into(), "NULL::pg_catalog.text".into())
            }
            None => return None,
        };
        Some(format!(
            "SELECT pg_catalog.count(*), {newest},
                pg_catalog.sum(pg_catalog.hashtextextended({print}, 0))::pg_catalog.text FROM {} AS t",
            self.sql()
        ))
    }

    /// Stands for how rows are read: where that changes, what is held was read otherwise.
    pub(super) fn print(&self, wanted: &Wanted<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.rows_sql(None), format!("{:?}", self.crs), wanted.id_field, wanted.changed_field).hash(&mut hasher);
        hasher.finish()
    }

    /// The column that holds the key; `None` where the primary key has several.
    ///
    /// # Errors
    /// `malformed` where nothing is one: numbers of rows would not last.
    pub(super) fn key_column(&self, wanted: &Wanted<'_>) -> Result<Option<String>, FetchError> {
        if let Some(asked) = wanted.id_field {
            return Ok(Some(asked.to_owned()));
        }
        match self.primary_key[..] {
            [] => {}
            [one] => return Ok(Some(crate::file::stored(&self.columns[one].name))),
            _ => return Ok(None),
        }
        let usual = ["id", "code", "fid"].into_iter().find_map(|name| self.column(name));
        usual.map(|column| Some(crate::file::stored(&column.name))).ok_or_else(|| {
            let what = "has no primary key and no column id, code or fid; name the column of the key under id_field";
            malformed(wanted.root, format!("{} {what}", self.sql()))
        })
    }
}

/// The schema that PostGIS lives in.
///
/// # Errors
/// `service_refuses` where there is no PostGIS.
pub(super) async fn extension(door: &Door<'_>, transaction: &Transaction<'_>) -> Result<String, FetchError> {
    let extension = "SELECT n.nspname::text FROM pg_catalog.pg_extension e
        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'";
    match door.step(transaction.query_opt(extension, &[])).await? {
        Some(row) => door.value(&row, 0),
        None => Err(FetchError::Service {
            host: door.host(),
            code: "no_postgis".into(),
            reason: "the database has no extension postgis".into(),
        }),
    }
}

/// The tables with a shape that the role may read, of one schema or of all. PostGIS's own have none.
pub(super) async fn offers(
    door: &Door<'_>,
    schema: Option<&str>,
    transaction: &Transaction<'_>,
) -> Result<Vec<Offer>, FetchError> {
    // Before PostgreSQL 14 a table that nobody has counted yet has 0 like an empty one; views are never counted.
    let offered = format!(
        "SELECT DISTINCT n.nspname::text || '.' || c.relname::text,
            coalesce(nullif(pg_catalog.btrim(pg_catalog.obj_description(c.oid, 'pg_class')), ''), c.relname::text),
            CASE WHEN c.relkind <> 'v' AND (c.reltuples > 0 OR c.reltuples = 0
                AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000)
                THEN c.reltuples::pg_catalog.int8 END
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE t.typname IN ('geometry', 'geography') AND c.relkind IN {KINDS} AND NOT a.attisdropped
            AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
            AND n.nspname NOT LIKE 'pg\\_temp%' AND ($1::text IS NULL OR n.nspname::text = $1::text)
        ORDER BY 1 LIMIT {OFFERED}"
    );
    let rows = door.step(transaction.query(&offered, &[&schema])).await?;
    let offer = |row: &Row| -> Result<Offer, FetchError> {
        Ok(Offer {
            collection: Some(door.value(row, 0)?),
            title: door.value(row, 1)?,
            features: door.value::<Option<i64>>(row, 2)?.and_then(|rows| u64::try_from(rows).ok()),
        })
    };
    rows.iter().map(offer).collect()
}
