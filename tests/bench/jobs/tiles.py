"""Section 3 of the targets: vector tiles on demand on one thread, their size and their validity, and whole pyramids."""

import gzip
import json
import shutil
import sqlite3
import sys

import numpy as np
from bench import Disagreement, close_to, stopwatch
from engine import Missing
from install import DATA, TARGET, WORK
from jobs.ingest import new_home, spent, take_in
from mvt import features, read_dump
from table import Row, bound, figure

# From here on no engine has a reason to leave anything out.
COMPLETE = 14
PARCELS, POINTS = DATA / "parcels.geojsonl", DATA / "points.geojsonl"
PYRAMID = WORK / "tippecanoe.mbtiles"


def dumped(bench, process, job, tiles):
    path = WORK / f"{process}-{job}.dump"
    bench.engines[process].ask("dump", job=job, tiles=tiles, to=str(path))
    found = list(read_dump(path))
    path.unlink()
    if len(found) != len(tiles):
        raise Missing(f"{len(found)} tiles instead of {len(tiles)}")
    return found


def measure(bench):
    bench.use("@maplibre/geojson-vt", "@maplibre/vt-pbf", "node", "tippecanoe", "freestiler", "martin", "mapbox-vector-tile")
    all_tiles = json.loads((DATA / "tiles.json").read_text())
    # Every so many of them, of all zooms alike; peers that take long get fewer, and so do we beside them.
    strides = {"tiles_parcels": (1, 4), "tiles_points": (4, 20)}
    limits = {
        "tiles_parcels": {"rate": 1000, "p99": 8, "max": 50, "geojson-vt": 18, "PostGIS": 15},
        "tiles_points": {"rate": 250, "p99": 25, "max": None, "geojson-vt": None, "PostGIS": None},
    }
    for job, (whole, quick) in strides.items():
        what = job.removeprefix("tiles_")
        rust = bench.engines["rust"]
        rust.ask("prepare", job=job)
        ours_alone(bench, rust, job, what, all_tiles, limits[job])
        tiles = all_tiles[:: bench.pick(whole, quick)]
        deep = [tile for tile in tiles if tile[0] >= COMPLETE][:: bench.pick(4, 4)]
        own = sum(map(features, dumped(bench, "rust", job, deep)))

        def check(process):
            peer = bench.engines[process]
            peer.ask("prepare", job=job)
            if process == "postgis":
                bench.used["PostGIS"] = peer.ask("version")["version"]
            theirs = sum(map(features, dumped(bench, process, job, deep)))
            close_to(f"features in {len(deep)} tiles", own, theirs, 0.01)
            return f"{own:,} features in {len(deep)} tiles from z{COMPLETE} on, theirs {theirs:,}"

        for process, name in [("node", "geojson-vt + vt-pbf"), ("postgis", "PostGIS ST_AsMVT")]:
            bench.compare(
                f"{what}: {len(tiles)} tiles",
                name,
                "tiles/s",
                lambda: rust.ask("tiles", job=job, tiles=tiles)["seconds"],
                lambda: bench.engines[process].ask("tiles", job=job, tiles=tiles)["seconds"],
                lambda: check(process),
                pairs=bench.pick(5, 1),
                target=limits[job][name.split(" ")[0]],
                items=len(tiles),
                rate=True,
            )
            bench.engines.close(process)
        if job == "tiles_parcels":
            validity(bench, job, all_tiles[:: bench.pick(1, 12)])
            size(bench, job, all_tiles)
            served(bench, job, [tile for tile in all_tiles if tile[0] <= 14][:: bench.pick(1, 3)])
        # One layer's worth of memory at a time.
        bench.engines.close("rust")
    if not bench.quick:
        batch(bench)


def ours_alone(bench, rust, job, what, tiles, limits):
    """Each tile's median over the rounds: the slowest tile is then a slow tile, and not a core that was lent away."""
    tiles = tiles[:: bench.pick(1, 4)]
    rounds = [rust.ask("tiles", job=job, tiles=tiles) for _ in range(bench.pick(5, 3))]
    seconds = np.median([one["seconds"] for one in rounds])
    each = np.median([one["milliseconds"] for one in rounds], axis=0)
    note = f"p50 {np.percentile(each, 50):.2f} ms"
    bench.add(bound(f"{what}: {len(tiles)} tiles, nobody else", len(tiles) / seconds, "tiles/s", limits["rate"], most=False, note=note))
    bench.add(bound(f"{what}: a tile, p99", float(np.percentile(each, 99)), "ms", limits["p99"]))
    slowest = int(np.argmax(each))
    place = "z{}/{}/{}".format(*tiles[slowest])
    if limits["max"]:
        bench.add(bound(f"{what}: the slowest tile", float(each[slowest]), "ms", limits["max"], note=place))


def validity(bench, job, tiles):
    """Every ring of every tile by a decoder that is not ours: valid, exterior rings clockwise on screen, holes not."""
    row = Row(f"parcels: invalid polygons in {len(tiles)} tiles", peer="mapbox-vector-tile, GEOS", target="0")
    try:
        import mapbox_vector_tile
        import shapely
    except ImportError as why:
        row.note = f"not measured: {why}"
        bench.add(row)
        return
    polygons = wrong = turned = 0
    for tile in dumped(bench, "rust", job, tiles):
        if not tile:
            continue
        for layer in mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True}).values():
            shapes = [f["geometry"] for f in layer["features"] if f["geometry"]["type"] in ("Polygon", "MultiPolygon")]
            for shape in shapes:
                for rings in [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]:
                    signs = [signed_area(ring) > 0 for ring in rings]
                    turned += signs != [True] + [False] * (len(rings) - 1)
            valid = shapely.is_valid(shapely.from_geojson([json.dumps(shape) for shape in shapes]))
            polygons += len(valid)
            wrong += int((~valid).sum())
    row.ours = f"{wrong} invalid, {turned} wound wrong"
    row.met = wrong + turned == 0
    row.note = f"of {polygons:,}"
    bench.add(row)


def signed_area(ring):
    x, y = np.array(ring, dtype=float).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def pyramid():
    """tippecanoe's, made once: seconds, or None when it was there."""
    program = shutil.which("tippecanoe", path=str(WORK / "venv" / "bin"))
    if not program:
        raise Missing("tippecanoe is not installed")
    beside = PYRAMID.with_name("tippecanoe.new.mbtiles")
    beside.unlink(missing_ok=True)
    command = [program, "-o", beside, "-Z6", "-z14", "-l", "parcels", "-P", "-q", "--drop-densest-as-needed", PARCELS]
    seconds = spent(command)[0]
    beside.rename(PYRAMID)
    return seconds


def size(bench, job, tiles):
    """Bytes of the same tiles as they are and compressed by the same gzip, and how many features they hold."""
    try:
        if not PYRAMID.exists():
            pyramid()
    except Missing as why:
        bench.add(Row("parcels: bytes a tile", peer="tippecanoe", target="≤ 1.05×", note=f"not measured: {why}"))
        return
    connection = sqlite3.connect(f"file:{PYRAMID}?mode=ro", uri=True)
    for z in (12, 14):
        places = [tile for tile in tiles if tile[0] == z]
        text = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        rows = [connection.execute(text, (z, x, 2**z - 1 - y)).fetchone() for _, x, y in places]
        theirs = [gzip.decompress(row[0]) if row else b"" for row in rows]
        own = dumped(bench, "rust", job, places)
        packed = [sum(len(gzip.compress(tile, 6)) for tile in side) / len(places) / 1e3 for side in (own, theirs)]
        raw = [sum(map(len, side)) / len(places) / 1e3 for side in (own, theirs)]
        counts = [sum(map(features, side)) for side in (own, theirs)]
        row = Row(f"parcels: size of {len(places)} tiles of z{z}", peer="tippecanoe", target="≤ 1.05×")
        row.ours, row.theirs = figure(raw[0], "kB a tile"), figure(raw[1], "kB a tile")
        row.ratios = [raw[0] / raw[1]]
        row.met = row.ratios[0] <= 1.05
        row.note = f"{packed[0]:.2f} against {packed[1]:.2f} kB by gzip; {counts[0]:,} features against {counts[1]:,}"
        bench.add(row)
    connection.close()


def served(bench, job, tiles):
    """A server of ready tiles: what it costs to have made none before."""
    rust = bench.engines["rust"]
    bench.compare(
        f"parcels: {len(tiles)} tiles up to z14",
        "martin, from ready MBTiles",
        "tiles/s",
        lambda: rust.ask("tiles", job=job, tiles=tiles)["seconds"],
        lambda: bench.engines["martin"].ask("tiles", job=job, tiles=tiles)["seconds"],
        lambda: bench.engines["martin"].ask("prepare", job=job) and None,
        pairs=bench.pick(5, 1),
        items=len(tiles),
        rate=True,
    )


def pmtiles_count(path):
    """Addressed tiles, by the header of PMTiles 3."""
    with open(path, "rb") as file:
        head = file.read(127)
    if head[:8] != b"PMTiles\x03":
        raise Disagreement(f"{path.name} is no PMTiles archive")
    return int.from_bytes(head[72:80], "little")


def batch(bench):
    """Whole pyramids z6 to z14 from the file or the cache, on all cores."""
    home, ours = WORK / "home-tiles", WORK / "ours.pmtiles"
    new_home(home)
    take_in(home, PARCELS, "parcels")
    command = [TARGET / "release" / "toancanhctl", "--home", home, "tiles", "parcels", "-o", ours, "--zoom", "6-14"]

    def make():
        ours.unlink(missing_ok=True)
        spent(command)

    def check(count_theirs):
        def counts():
            make()
            own, theirs = pmtiles_count(ours), count_theirs()
            # Tiles with nothing but a buffer's breadth in them are kept by some and dropped by others.
            close_to("tiles", own, theirs, 0.05)
            return f"{own:,} tiles and {ours.stat().st_size / 1e6:.1f} MB, theirs {theirs:,}"

        return counts

    def tippecanoe_count():
        pyramid()
        with sqlite3.connect(PYRAMID) as connection:
            return connection.execute("SELECT count(*) FROM tiles").fetchone()[0]

    table, other = WORK / "ogr.gpkg", WORK / "freestiler.pmtiles"
    # From memory: its own way from a file would have DuckDB fetch an extension from the network.
    code = (
        "import sys, freestiler, geopandas;"
        "freestiler.freestile(geopandas.read_file(sys.argv[1]), sys.argv[2], layer_name='parcels', min_zoom=6, max_zoom=14,"
        " quiet=True)"
    )

    def freestiler():
        spent([sys.executable, "-c", code, table, other])

    def freestiler_count():
        if not table.exists():
            spent(["ogr2ogr", "-f", "GPKG", table, f"GeoJSONSeq:{PARCELS}", "-nln", "parcels"])
        freestiler()
        return pmtiles_count(other)

    for name, work, count in [("tippecanoe", pyramid, tippecanoe_count), ("freestiler", freestiler, freestiler_count)]:
        bench.compare(
            "parcels: the pyramid z6 to z14",
            name,
            "s",
            stopwatch(make),
            stopwatch(work),
            check(count),
            pairs=1,
            per=1,
        )
    shutil.rmtree(home, ignore_errors=True)

