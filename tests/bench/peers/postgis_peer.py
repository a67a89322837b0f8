"""PostGIS in a cluster of its own: made once, started on demand, reached by a Unix socket. One process a question."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psycopg
from protocol import geometries, hits, load, serve, timed

COLUMNS = {
    "parcels": "so_to int, so_thua int, loai_dat text, xa text, dien_tich float8, chu_su_dung text",
    "points": "kind text, name text, v float8",
}
SETTINGS = """
listen_addresses = ''
shared_buffers = 512MB
work_mem = 256MB
maintenance_work_mem = 512MB
max_wal_size = 8GB
fsync = off
jit = off
max_parallel_workers_per_gather = 0
"""


def programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("no PostgreSQL server is installed")
    return found[-1].parent


class Cluster:
    """The server refuses to run as root; there it runs as `postgres`, in a folder that it may enter."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.as_user = []
        if os.getuid() == 0:
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
            self.folder.mkdir(parents=True, exist_ok=True)
            if subprocess.run([*self.as_user, "test", "-x", self.folder], capture_output=True).returncode:
                self.folder = Path(tempfile.gettempdir()) / "toancanh-bench-postgis"
        self.data = self.folder / "cluster"
        # A socket's path may have 107 bytes.
        self.socket = Path(tempfile.mkdtemp(prefix="tc-pg-"))

    def call(self, program, *arguments):
        command = [*self.as_user, programs() / program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {(done.stderr or done.stdout).strip()[-300:]}")

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.as_user:
            for path in (self.folder, self.socket):
                shutil.chown(path, "postgres", "postgres")
        if not (self.data / "PG_VERSION").exists():
            self.call("initdb", "-D", self.data, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-U", "postgres")
            with open(self.data / "postgresql.conf", "a") as settings:
                settings.write(SETTINGS)
        log = self.folder / "log"
        self.call("pg_ctl", "-D", self.data, "-o", f"-k {self.socket}", "-l", log, "-w", "-s", "start")

    def stop(self):
        self.call("pg_ctl", "-D", self.data, "-m", "fast", "-w", "-s", "stop")
        shutil.rmtree(self.socket, ignore_errors=True)


class PostGis:
    def __init__(self, folder, work):
        self.folder = folder
        self.cluster = Cluster(work)
        self.connection = None

    def connect(self):
        if self.connection is None:
            self.cluster.start()
            self.connection = psycopg.connect(
                host=str(self.cluster.socket), user="postgres", dbname="postgres", autocommit=True
            )
            self.connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
        return self.connection

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.cluster.stop()

    def drop(self, _request):
        return {}

    def version(self, _request):
        text = "SELECT postgis_lib_version(), current_setting('server_version')"
        postgis, server = self.connect().execute(text).fetchone()
        return {"version": f"{postgis} / PostgreSQL {server.split()[0]}"}

    def has(self, table):
        return self.connect().execute("SELECT to_regclass(%s)", [f"public.{table}"]).fetchone()[0] is not None

    def load(self, name):
        """The table in degrees (`geom`) and, ready for tiles, in Mercator metres (`flat`), both indexed."""
        if self.has(name):
            return
        names = ", ".join(column.split()[0] for column in COLUMNS[name].split(", "))
        connection = self.connect()
        with connection.transaction():
            connection.execute("CREATE TEMP TABLE lines (line jsonb) ON COMMIT DROP")
            with connection.cursor().copy("COPY lines FROM STDIN") as copy:
                with open(f"{self.folder}/{name}.geojsonl", "rb") as file:
                    while block := file.read(1 << 20):
                        copy.write(block.replace(b"\\", b"\\\\"))
            shape = "ST_SetSRID(ST_GeomFromGeoJSON(line -> 'geometry'), 4326)"
            connection.execute(
                f"CREATE TABLE {name} AS SELECT (line ->> 'id')::bigint AS fid, (line ->> 'id')::bigint AS id, p.*,"
                f" {shape} AS geom, ST_Transform({shape}, 3857) AS flat FROM lines,"
                f" jsonb_to_record(line -> 'properties') AS p({COLUMNS[name]})"
            )
            connection.execute(f"CREATE INDEX ON {name} USING gist (geom)")
            connection.execute(f"CREATE INDEX ON {name} USING gist (flat)")
        connection.execute(f"VACUUM ANALYZE {name}")

    def load_places(self):
        if self.has("places"):
            return
        connection = self.connect()
        with connection.transaction():
            connection.execute("CREATE TABLE places (item int, geom geometry(Point, 4326))")
            with connection.cursor().copy("COPY places FROM STDIN") as copy:
                for item, (x, y) in enumerate(load(self.folder, "join.json")):
                    copy.write_row((item, f"SRID=4326;POINT({x!r} {y!r})"))
            connection.execute("CREATE INDEX ON places (item)")
        connection.execute("VACUUM ANALYZE places")

    def prepare(self, request):
        if request["job"].startswith("tiles"):
            name = request["job"].removeprefix("tiles_")
            self.load(name)
            columns = ", ".join(column.split()[0] for column in COLUMNS[name].split(", "))
            self.tile_text = (
                f"WITH b AS MATERIALIZED (SELECT ST_TileEnvelope(%s, %s, %s) AS e,"
                f" ST_TileEnvelope(%s, %s, %s, margin => 64.0 / 4096) AS m)"
                f" SELECT ST_AsMVT(q, '{name}', 4096, 'shape', 'fid') FROM (SELECT ST_AsMVTGeom(flat, b.e, 4096, 64, true)"
                f" AS shape, fid, id, {columns} FROM {name}, b WHERE flat && b.m) AS q WHERE shape IS NOT NULL"
            )
        else:
            self.load("parcels")
            self.load_places()
        return {}

    def tile(self, tile):
        return self.connection.execute(self.tile_text, [*tile, *tile], binary=True).fetchone()[0] or b""

    def tiles(self, request):
        milliseconds = [timed(self.tile, tile)[0] * 1e3 for tile in request["tiles"]]
        return {"seconds": sum(milliseconds) / 1e3, "milliseconds": milliseconds}

    def dump(self, request):
        with open(request["to"], "wb") as out:
            for tile in map(self.tile, request["tiles"]):
                out.write(len(tile).to_bytes(4, "little") + tile)
        return {}

    def ask(self, request):
        text = (
            "SELECT item, fid FROM places JOIN parcels ON ST_Within(places.geom, parcels.geom)"
            " WHERE item < %s ORDER BY item"
        )
        seconds, rows = timed(lambda: self.connection.execute(text, [request["n"]], binary=True).fetchall())
        return seconds, np.array(rows, dtype=np.int64).T

    def run(self, request):
        return {"seconds": self.ask(request)[0]}

    def answer(self, request):
        return hits(self.ask(request)[1])


engine = PostGis(sys.argv[1], sys.argv[2])
try:
    serve(engine)
finally:
    engine.close()
