"""Section 2 of the targets: questions to the indexes, on one thread, each engine in its own quickest way."""

import json

import numpy as np
from bench import Disagreement, close_to
from engine import Missing
from install import DATA

# What it is called, its job in the protocol, and the peers: process, engine, name, items whole and quick, target.
QUESTIONS = [
    (
        "points in a box (384 hits)",
        "bbox_points",
        [
            ("rust", "rstar", "rstar", 10_000, 4_000, 2.5),
            ("rust", "geo-index", "geo-index R-tree", 10_000, 4_000, None),
            ("rust", "geo-index k-d", "geo-index k-d tree", 10_000, 4_000, None),
            ("shapely", "", "Shapely STRtree", 10_000, 4_000, 7),
            ("node", "flatbush", "flatbush", 10_000, 4_000, None),
            ("node", "kdbush", "kdbush", 10_000, 4_000, None),
        ],
    ),
    (
        "10 nearest points",
        "nearest_10",
        [
            ("rust", "rstar", "rstar (planar)", 10_000, 4_000, 1),
            ("rust", "geo-index", "geo-index R-tree (planar)", 10_000, 4_000, None),
            ("node", "flatbush", "flatbush (planar)", 10_000, 4_000, None),
        ],
    ),
    ("nearest point", "nearest_1", [("shapely", "", "Shapely STRtree (planar)", 10_000, 4_000, None)]),
    (
        "points within 55 m to 1.1 km",
        "within",
        [
            ("rust", "rstar", "rstar (planar)", 10_000, 4_000, None),
            ("rust", "geo-index k-d", "geo-index k-d tree (planar)", 10_000, 4_000, None),
            ("shapely", "", "Shapely STRtree (planar)", 10_000, 2_000, None),
            ("node", "kdbush", "kdbush (planar)", 10_000, 4_000, None),
        ],
    ),
    (
        "parcels whose box meets a box (30 hits)",
        "bbox_boxes",
        [
            ("rust", "rstar", "rstar", 10_000, 4_000, 2.5),
            ("rust", "geo-index", "geo-index R-tree", 10_000, 4_000, None),
            ("shapely", "", "Shapely STRtree", 10_000, 4_000, 7),
            ("node", "flatbush", "flatbush", 10_000, 4_000, None),
        ],
    ),
    (
        "parcels that meet a box",
        "bbox_parcels",
        [
            ("rust", "rstar + geo", "rstar + geo", 10_000, 4_000, 2.5),
            ("rust", "geo-index + geo", "geo-index + geo", 10_000, 4_000, None),
            ("shapely", "", "Shapely STRtree", 10_000, 4_000, 7),
            ("duckdb", "", "DuckDB RTREE", 1_000, 200, None),
        ],
    ),
    (
        "parcel that holds a point (join)",
        "join",
        [
            ("rust", "rstar + geo", "rstar + geo", 100_000, 20_000, None),
            ("rust", "geo-index + geo", "geo-index + geo", 100_000, 20_000, None),
            ("shapely", "", "Shapely STRtree (GEOS)", 100_000, 20_000, 3),
            ("node", "flatbush", "flatbush", 100_000, 20_000, None),
            ("duckdb", "", "DuckDB, one thread", 100_000, 100_000, None),
            ("postgis", "", "PostGIS", 100_000, 20_000, None),
        ],
    ),
]
PACKAGES = ["rstar", "geo", "geo-index", "shapely", "flatbush", "kdbush", "node", "duckdb", "psycopg", "pyproj"]


def same(ours, theirs):
    """The hash of an exact answer: how many hits, and the sum of their ids."""
    if (ours["hits"], ours["sum"]) != (theirs["hits"], theirs["sum"]):
        raise Disagreement(f"{ours['hits']} hits with ids adding to {ours['sum']}, theirs {theirs['hits']}, {theirs['sum']}")


def alike(ours, theirs):
    """Ours measures on the ellipsoid, the peer in a plane that fits the middle of the province: distances differ by up to
    3 in 1,000, so that neighbours of about equal distance may change places."""
    close_to("hits", ours["hits"], theirs["hits"], 0.003)
    common = sum(len(set(a) & set(b)) for a, b in zip(ours["ids"], theirs["ids"]))
    count = sum(map(len, theirs["ids"]))
    if common < 0.98 * count:
        raise Disagreement(f"only {common} of {count} ids are the same")
    return f"{100 * common / count:.1f} % same ids, the rest by metric" if common < count else ""


def measure(bench):
    bench.use(*PACKAGES)
    for what, job, peers in QUESTIONS:
        rust = bench.engines["rust"]
        # Ours answers once for every number of items that some peer is asked.
        answers = {}
        rust.ask("prepare", job=job, engine="ours")

        def ours_answer(n):
            if n not in answers:
                answers[n] = rust.ask("answer", job=job, engine="ours", n=n)
            return answers[n]

        for process, engine, name, whole, quick, target in peers:
            n = bench.pick(whole, quick)

            def check():
                peer = bench.engines[process]
                peer.ask("prepare", job=job, engine=engine)
                if process == "postgis":
                    bench.used["PostGIS"] = peer.ask("version")["version"]
                theirs = peer.ask("answer", job=job, engine=engine, n=n)
                return (alike if "planar" in name else same)(ours_answer(n), theirs)

            bench.compare(
                what,
                name,
                "µs",
                lambda: rust.ask("run", job=job, engine="ours", n=n)["seconds"],
                lambda: bench.engines[process].ask("run", job=job, engine=engine, n=n)["seconds"],
                check,
                pairs=bench.pick(5, 3),
                target=target,
                items=n,
            )
    truth(bench)


def truth(bench):
    """Ours against the ellipsoid itself: the 10 nearest of every point around, by PROJ's geodesics."""
    from pyproj import Geod
    from table import Row
    import shapely

    count = bench.pick(200, 100)
    row = Row("10 nearest equal a search by geodesics", peer="pyproj.Geod, every point around")
    try:
        ids = bench.engines["rust"].ask("answer", job="nearest_10", engine="ours", n=count)["ids"]
        with open(DATA / "queries.json") as file:
            places = np.array(json.load(file)["pt"][:count])
        coords = np.array([point_of(text) for text in open(DATA / "points.geojsonl", encoding="utf-8")])
        tree, ellipsoid = shapely.STRtree(shapely.points(coords)), Geod(ellps="WGS84")
        wrong = 0
        for place, found in zip(places, ids):
            half = 0.001
            while len(around := tree.query(shapely.box(*(place - half), *(place + half)))) < 60:
                half *= 2
            # Ten lie within the box, so that all nearer ones lie within twice its half side.
            around = tree.query(shapely.box(*(place - 2 * half), *(place + 2 * half)))
            x, y = coords[around].T
            metres = ellipsoid.inv(np.full(len(x), place[0]), np.full(len(x), place[1]), x, y)[2]
            nearest = around[np.lexsort((around, metres))][:10].tolist()
            wrong += nearest != found
        row.ours, row.target, row.met = f"{wrong} of {count} differ", "0 differ", wrong == 0
    except Missing as why:
        row.note = f"not measured: {why}"
    bench.add(row)


def point_of(text):
    x, y = text[text.rindex("[") + 1 : text.rindex("]")].split(",")
    return float(x), float(y)
