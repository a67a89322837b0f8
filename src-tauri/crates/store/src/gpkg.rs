//! The tables that make a file a GeoPackage 1.4 (OGC 12-128r19), in the words that GDAL 3.12 writes.

use crate::{LayerSchema, srs};
use model::BBox;
use rusqlite::{Connection, params};

/// "GPKG" (clause 1.1.1.1.1).
pub(crate) const APPLICATION_ID: i32 = 0x4750_4B47;
/// Version 1.4.0.
const USER_VERSION: i32 = 10_400;
/// The geometry column's name, as GDAL names it.
pub(crate) const GEOMETRY: &str = "geom";

const DDL: &str = "
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL,srs_id INTEGER NOT NULL PRIMARY KEY,organization TEXT NOT NULL,organization_coordsys_id INTEGER NOT NULL,definition  TEXT NOT NULL,description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES
 ('Undefined Cartesian SRS',-1,'NONE',-1,'undefined','undefined Cartesian coordinate reference system'),
 ('Undefined geographic SRS',0,'NONE',0,'undefined','undefined geographic coordinate reference system');
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY,data_type TEXT NOT NULL,identifier TEXT UNIQUE,description TEXT DEFAULT '',last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),min_x DOUBLE, min_y DOUBLE,max_x DOUBLE, max_y DOUBLE,srs_id INTEGER,CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL,column_name TEXT NOT NULL,geometry_type_name TEXT NOT NULL,srs_id INTEGER NOT NULL,z TINYINT NOT NULL,m TINYINT NOT NULL,CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),CONSTRAINT uk_gc_table_name UNIQUE (table_name),CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (table_name TEXT,column_name TEXT,extension_name TEXT NOT NULL,definition TEXT NOT NULL,scope TEXT NOT NULL,CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL,column_name TEXT NOT NULL,name TEXT,title TEXT,description TEXT,mime_type TEXT,constraint_name TEXT,CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL,constraint_type TEXT NOT NULL,value TEXT,min NUMERIC,min_is_inclusive BOOLEAN,max NUMERIC,max_is_inclusive BOOLEAN,description TEXT,CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
INSERT INTO gpkg_extensions VALUES
 ('gpkg_data_columns',NULL,'gpkg_schema','http://www.geopackage.org/spec121/#extension_schema','read-write'),
 ('gpkg_data_column_constraints',NULL,'gpkg_schema','http://www.geopackage.org/spec121/#extension_schema','read-write');
";

/// Makes an empty file a GeoPackage with the systems of the province.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", USER_VERSION)?;
    connection.execute_batch(DDL)?;
    for srs_id in [4326, 9209, 9210] {
        srs::ensure(connection, srs_id)?;
    }
    Ok(())
}

/// An SQL identifier in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Lists a feature table in the contents, anew or again. The caller has ensured the coordinate system.
pub(crate) fn register(
    connection: &Connection,
    layer: &LayerSchema,
    geometry_type: &str,
    bbox: BBox,
    description: &str,
    titles: &[(String, String, Option<String>, Option<String>)],
) -> rusqlite::Result<()> {
    let table = layer.id.as_str();
    unregister(connection, table)?;
    // Identifiers are unique in the file; the id stands in for a title that another layer has already taken.
    let taken: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM gpkg_contents WHERE identifier = ?1)",
        [&layer.title.vi],
        |row| row.get(0),
    )?;
    let identifier = if taken || layer.title.vi.is_empty() { table } else { layer.title.vi.as_str() };
    let bounds = if bbox.is_empty() { [None; 4] } else { <[f64; 4]>::from(bbox).map(Some) };
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, min_x, min_y, max_x, max_y, srs_id)
         VALUES (?1, 'features', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![table, identifier, description, bounds[0], bounds[1], bounds[2], bounds[3], layer.srs_id],
    )?;
    connection.execute(
        "INSERT INTO gpkg_geometry_columns VALUES (?1, ?2, ?3, ?4, 0, 0)",
        params![table, GEOMETRY, geometry_type, layer.srs_id],
    )?;
    let mut insert = connection.prepare("INSERT INTO gpkg_data_columns VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL)")?;
    for (column, name, title, description) in titles {
        insert.execute(params![table, column, name, title, description])?;
    }
    Ok(())
}

/// Takes a table out of the contents.
pub(crate) fn unregister(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    for list in ["gpkg_data_columns", "gpkg_geometry_columns", "gpkg_contents"] {
        connection.execute(&format!("DELETE FROM {list} WHERE table_name = ?1"), [table])?;
    }
    Ok(())
}

/// The R-tree extension of a table that is already filled (GeoPackage 1.4, annex F.3). `rtree_…` exists and is filled;
/// the triggers keep it so in other programs' hands.
pub(crate) fn rtree_triggers(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    let fill = |sql: &str| sql.replace("{t}", table).replace("{c}", GEOMETRY);
    connection.execute_batch(&fill(RTREE_TRIGGERS))?;
    connection.execute(
        "INSERT INTO gpkg_extensions VALUES (?1, ?2, 'gpkg_rtree_index', 'http://www.geopackage.org/spec120/#extension_rtree', 'write-only')",
        params![table, GEOMETRY],
    )?;
    Ok(())
}

const RTREE_TRIGGERS: &str = r#"
CREATE TRIGGER "rtree_{t}_{c}_insert" AFTER INSERT ON "{t}" WHEN (new."{c}" NOT NULL AND NOT ST_IsEmpty(NEW."{c}")) BEGIN INSERT OR REPLACE INTO "rtree_{t}_{c}" VALUES (NEW."fid",ST_MinX(NEW."{c}"), ST_MaxX(NEW."{c}"),ST_MinY(NEW."{c}"), ST_MaxY(NEW."{c}")); END;
CREATE TRIGGER "rtree_{t}_{c}_update6" AFTER UPDATE OF "{c}" ON "{t}" WHEN OLD."fid" = NEW."fid" AND (NEW."{c}" NOTNULL AND NOT ST_IsEmpty(NEW."{c}")) AND (OLD."{c}" NOTNULL AND NOT ST_IsEmpty(OLD."{c}")) BEGIN UPDATE "rtree_{t}_{c}" SET minx = ST_MinX(NEW."{c}"), maxx = ST_MaxX(NEW."{c}"),miny = ST_MinY(NEW."{c}"), maxy = ST_MaxY(NEW."{c}") WHERE id = NEW."fid";END;
CREATE TRIGGER "rtree_{t}_{c}_update7" AFTER UPDATE OF "{c}" ON "{t}" WHEN OLD."fid" = NEW."fid" AND (NEW."{c}" NOTNULL AND NOT ST_IsEmpty(NEW."{c}")) AND (OLD."{c}" ISNULL OR ST_IsEmpty(OLD."{c}")) BEGIN INSERT INTO "rtree_{t}_{c}" VALUES (NEW."fid",ST_MinX(NEW."{c}"), ST_MaxX(NEW."{c}"),ST_MinY(NEW."{c}"), ST_MaxY(NEW."{c}")); END;
CREATE TRIGGER "rtree_{t}_{c}_update2" AFTER UPDATE OF "{c}" ON "{t}" WHEN OLD."fid" = NEW."fid" AND (NEW."{c}" ISNULL OR ST_IsEmpty(NEW."{c}")) BEGIN DELETE FROM "rtree_{t}_{c}" WHERE id = OLD."fid"; END;
CREATE TRIGGER "rtree_{t}_{c}_update5" AFTER UPDATE ON "{t}" WHEN OLD."fid" != NEW."fid" AND (NEW."{c}" NOTNULL AND NOT ST_IsEmpty(NEW."{c}")) BEGIN DELETE FROM "rtree_{t}_{c}" WHERE id = OLD."fid"; INSERT OR REPLACE INTO "rtree_{t}_{c}" VALUES (NEW."fid",ST_MinX(NEW."{c}"), ST_MaxX(NEW."{c}"),ST_MinY(NEW."{c}"), ST_MaxY(NEW."{c}")); END;
CREATE TRIGGER "rtree_{t}_{c}_update4" AFTER UPDATE ON "{t}" WHEN OLD."fid" != NEW."fid" AND (NEW."{c}" ISNULL OR ST_IsEmpty(NEW."{c}")) BEGIN DELETE FROM "rtree_{t}_{c}" WHERE id IN (OLD."fid", NEW."fid"); END;
CREATE TRIGGER "rtree_{t}_{c}_delete" AFTER DELETE ON "{t}" WHEN old."{c}" NOT NULL BEGIN DELETE FROM "rtree_{t}_{c}" WHERE id = OLD."fid"; END;
"#;
