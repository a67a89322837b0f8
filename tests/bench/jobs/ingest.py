"""Section 1 of the targets: a file of GeoJSON into a cache that outlives the machine's power, with its index."""

import json
import shutil
import sqlite3
import subprocess
import time
from statistics import median

from bench import Disagreement, close_to
from engine import Missing
from install import DATA, HERE, TARGET, WORK
from table import bound

CTL = TARGET / "release" / "toancanhctl"
PARCELS = DATA / "parcels.geojsonl"
LIMIT_MB = 150


def spent(command, **options):
    """Seconds and peak resident megabytes of a process of its own."""
    # GNU time asks, because a child forked from here would count this process's own size as its peak.
    note = WORK / "peak"
    watched = ["/usr/bin/time", "-f", "%M", "-o", note, *command]
    start = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in watched], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise Missing(f"{command[0]}: {done.stdout.strip()[-300:]}")
    return seconds, int(note.read_text().split()[-1]) * 1024 / 1e6, done.stdout


def new_home(home):
    """An empty home of a province without layers, so that only the import is timed."""
    shutil.rmtree(home, ignore_errors=True)
    spent([CTL, "--home", home, "init", "--profile", HERE / "profile"])


def take_in(home, file, layer):
    return spent([CTL, "--home", home, "--json", "import", file, "--layer", layer])


def geopackage(path, table=None):
    """Features, the sum of an attribute and of planar areas, as a reader of GeoPackages sees them."""
    import shapely

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall()
        name, column = next(row for row in rows if table in (None, row[0]))
        values = connection.execute(f'SELECT "{column}", "dien_tich" FROM "{name}"').fetchall()
    connection.close()
    # Envelope bytes by the header's flags (GeoPackage 1.3, 2.1.3).
    skip = [8 + (0, 32, 48, 48, 64)[blob[3] >> 1 & 7] for blob, _ in values]
    shapes = shapely.from_wkb([blob[start:] for (blob, _), start in zip(values, skip)])
    return {"features": len(values), "sum": sum(v for _, v in values), "area": float(shapely.area(shapes).sum())}


def agree(ours, theirs):
    if ours["features"] != theirs["features"]:
        raise Disagreement(f"{ours['features']} features, theirs {theirs['features']}")
    close_to("attribute sum", ours["sum"], theirs["sum"], 1e-9)
    close_to("area", ours["area"], theirs["area"], 1e-9)


def measure(bench):
    bench.use("ogr2ogr (GDAL)", "duckdb", "duckdb-ext-spatial")
    home, table = WORK / "home-ingest", WORK / "ogr.gpkg"
    megabytes = PARCELS.stat().st_size / 1e6
    peaks = []

    def ours():
        new_home(home)
        seconds, peak, _ = take_in(home, PARCELS, "parcels")
        peaks.append(peak)
        return seconds

    def ours_answer():
        ours()
        return geopackage(home / "province.gpkg", "parcels")

    def ogr():
        if not shutil.which("ogr2ogr"):
            raise Missing("ogr2ogr is not installed (Debian package gdal-bin)")
        for path in (table, table.with_name("ogr.gpkg-journal")):
            path.unlink(missing_ok=True)
        return spent(["ogr2ogr", "-f", "GPKG", table, f"GeoJSONSeq:{PARCELS}", "-nln", "parcels"])[0]

    def check_ogr():
        ogr()
        agree(ours_answer(), geopackage(table))

    def duckdb():
        return bench.engines["duckdb"].ask("run", job="ingest")["seconds"]

    def check_duckdb():
        duckdb()
        agree(ours_answer(), bench.engines["duckdb"].ask("answer", job="ingest"))

    pairs = bench.pick(5, 3)
    for name, work, check, target in [
        ("ogr2ogr to GPKG", ogr, check_ogr, 8),
        ("DuckDB, all threads", duckdb, check_duckdb, 1.8),
    ]:
        bench.compare(
            "93 MB of parcels", name, "MB/s", ours, work, check, pairs=pairs, target=target, items=megabytes, rate=True
        )
    if peaks:
        bench.add(bound("peak memory, 93 MB of parcels", median(peaks), "MB", LIMIT_MB))
    larger(bench, home)


def larger(bench, home):
    """Memory must not grow with the file: 173 MB of points, and in the record one file of 0.7 GB."""
    files = [("173 MB of points", DATA / "points.geojsonl")]
    if not bench.quick:
        files.append(("0.7 GB of points", repeated(4)))
    for what, file in files:
        new_home(home)
        seconds, peak, said = take_in(home, file, "points")
        summary = json.loads(said)
        if summary["rejected"]:
            raise Disagreement(f"{file.name}: {summary['rejected']} rows rejected")
        note = f"{file.stat().st_size / 1e6 / seconds:.0f} MB/s, {summary['accepted']:,} features"
        bench.add(bound(f"peak memory, {what}", peak, "MB", LIMIT_MB, note=note))
    shutil.rmtree(home, ignore_errors=True)
    (WORK / "points-repeated.geojsonl").unlink(missing_ok=True)


def repeated(times):
    """The points several times over, each with an id of its own."""
    path = WORK / "points-repeated.geojsonl"
    with open(path, "w", encoding="utf-8") as out:
        for number in range(times):
            with open(DATA / "points.geojsonl", encoding="utf-8") as lines:
                for n, text in enumerate(lines):
                    out.write(text.replace(f'"id":{n},', f'"id":{number * 1_000_000 + n},', 2))
    return path
