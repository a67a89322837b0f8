"""DuckDB with its spatial extension, from PyPI and without the network."""

import sys
from pathlib import Path

import duckdb
import duckdb_ext
import numpy as np
import pandas
from protocol import hits, load, serve, timed

EXTENSION = next(Path(duckdb_ext.__path__[0]).glob("extensions/*/*/spatial.duckdb_extension"))


def connect(path):
    connection = duckdb.connect(str(path), config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{EXTENSION}'")
    return connection


class DuckDb:
    def __init__(self, folder, work):
        self.folder, self.work = Path(folder), Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.connection = None

    def drop(self, _request):
        if self.connection:
            self.connection.close()
        self.connection = None
        return {}

    def database(self):
        path = self.work / "parcels.duckdb"
        for old in self.work.glob("parcels.duckdb*"):
            old.unlink()
        return path

    def ingest(self, path):
        """From the file to a checkpointed database file with an R-tree, closed."""
        columns = (
            "{id: 'BIGINT', properties: 'STRUCT(id BIGINT, so_to BIGINT, so_thua BIGINT, loai_dat VARCHAR, xa VARCHAR,"
            " dien_tich DOUBLE, chu_su_dung VARCHAR)', geometry: 'JSON'}"
        )
        connection = connect(path)
        connection.execute(
            "CREATE TABLE parcels AS SELECT id AS fid, properties.* , ST_GeomFromGeoJSON(geometry) AS geom FROM"
            f" read_json('{self.folder}/parcels.geojsonl', format = 'newline_delimited', columns = {columns})"
        )
        connection.execute("CREATE INDEX parcels_geom ON parcels USING RTREE (geom)")
        connection.execute("CHECKPOINT")
        connection.close()

    def prepare(self, request):
        if request["job"] == "ingest":
            return {}
        if self.connection is None:
            path = self.database()
            self.ingest(path)
            self.connection = connect(path)
            self.connection.execute("SET threads = 1")
        if request["job"] == "join":
            points = np.array(load(self.folder, "join.json"))
            frame = pandas.DataFrame({"item": np.arange(len(points)), "x": points[:, 0], "y": points[:, 1]})
            self.connection.register("frame", frame)
            self.connection.execute("CREATE OR REPLACE TABLE spots AS SELECT item, ST_Point(x, y) AS geom FROM frame")
        else:
            self.boxes = load(self.folder, "queries.json")["bbox"]
        return {}

    def ask(self, request):
        n = request["n"]
        if request["job"] == "join":
            text = (
                "SELECT item, fid FROM spots JOIN parcels ON ST_Within(spots.geom, parcels.geom)"
                f" WHERE item < {n} ORDER BY item"
            )
            seconds, found = timed(lambda: self.connection.execute(text).fetchnumpy())
            return seconds, (found["item"], found["fid"])
        items, ids = [], []

        def all_boxes():
            for item, (west, south, east, north) in enumerate(self.boxes[:n]):
                # Only a constant envelope is looked up in the R-tree.
                where = f"ST_Intersects(geom, ST_MakeEnvelope({west!r}, {south!r}, {east!r}, {north!r}))"
                found = self.connection.execute(f"SELECT fid FROM parcels WHERE {where}").fetchnumpy()["fid"]
                ids.append(found)
                items.append(np.full(len(found), item))

        seconds, _ = timed(all_boxes)
        return seconds, (np.concatenate(items), np.concatenate(ids))

    def run(self, request):
        if request["job"] == "ingest":
            path = self.database()
            return {"seconds": timed(self.ingest, path)[0]}
        return {"seconds": self.ask(request)[0]}

    def answer(self, request):
        if request["job"] == "ingest":
            connection = connect(self.work / "parcels.duckdb")
            count, total, area = connection.execute(
                "SELECT count(*), sum(dien_tich), sum(ST_Area(geom)) FROM parcels"
            ).fetchone()
            size = (self.work / "parcels.duckdb").stat().st_size
            return {"features": count, "sum": total, "area": area, "bytes": size}
        return hits(self.ask(request)[1])

    def version(self, _request):
        return {"version": duckdb.__version__}


serve(DuckDb(sys.argv[1], sys.argv[2]))
