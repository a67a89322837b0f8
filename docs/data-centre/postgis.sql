-- The province's tables and the one role that may read them, for pygeoapi, Martin and the app. Run as the database's owner:
--   createdb tayninh && psql -d tayninh -v ON_ERROR_STOP=1 -f postgis.sql
-- and give the role its password by hand, so that it stands in no file:  \password toancanh_read
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE SCHEMA province;

CREATE TABLE province.communes (
    code text PRIMARY KEY,
    name text NOT NULL,
    full_name text,
    name_en text,
    type text,
    area_km2 double precision,
    old_province text,
    vn2000 integer,
    updated_at timestamptz NOT NULL DEFAULT now(),
    geom geometry(MultiPolygon, 4326) NOT NULL
);
CREATE INDEX ON province.communes USING gist (geom);
CREATE INDEX ON province.communes (updated_at);

-- Too large for a desktop: stays here. Text in Unicode NFC, as everywhere.
CREATE TABLE province.parcels (
    id text PRIMARY KEY,
    sheet integer NOT NULL,
    number integer NOT NULL,
    land_use text NOT NULL,
    area_m2 double precision,
    commune text REFERENCES province.communes (code),
    geom geometry(Polygon, 4326) NOT NULL
);
CREATE INDEX ON province.parcels USING gist (geom);
CREATE INDEX ON province.parcels (land_use);
CREATE INDEX ON province.parcels (sheet, number);

CREATE ROLE toancanh_read LOGIN;
ALTER ROLE toancanh_read SET statement_timeout = '30s';
ALTER ROLE toancanh_read SET default_transaction_read_only = on;
GRANT USAGE ON SCHEMA province TO toancanh_read;
GRANT SELECT ON province.communes, province.parcels TO toancanh_read;
