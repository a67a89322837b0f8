"""Answers held against GEOS (through Shapely) and PROJ's geodesics (through pyproj): 10,000 random questions, 10,000 random
pairs of polygons, and a million pairs that are hardly polygons at all."""

import json

import numpy as np
from bench import Disagreement
from engine import Missing
from install import DATA, WORK
from table import Row

SEED = 20260101
WEST, SOUTH, EAST, NORTH = 105.42, 10.32, 106.93, 11.83
# Ours measures to a hundredth of a millimetre: nearer to the rim of a circle, or to one another, either answer is right.
RIM_M = 1e-5
# Areas measured, areas of shapes, what shapes have not in common; parts of the larger polygon. Shapes are built on a lattice
# of 2^30 steps: a seam along the border, which is more of a needle (a hundred times as long as wide here) than of a parcel.
BOUNDS = np.array([1e-9, 2e-7, 1e-6])


def measure(bench):
    bench.use("shapely", "pyproj", "numpy")
    for work in (questions, pairs, degenerate):
        try:
            work(bench)
        except (Missing, Disagreement) as why:
            bench.add(Row(work.__name__, met=False, note=f"broke off: {why}"))


def ask(bench, verb, job, content):
    to_ours, from_ours = WORK / "agree-to.json", WORK / "agree-from.json"
    to_ours.write_text(json.dumps(content))
    bench.engines["rust"].ask(verb, job=job, **{"from": str(to_ours), "to": str(from_ours)})
    answer = json.loads(from_ours.read_text())
    to_ours.unlink(), from_ours.unlink()
    return answer


def verdict(bench, what, peer, wrong, note):
    first, count = (wrong[0], len(wrong)) if wrong else ("", 0)
    bench.add(Row(what, f"{count} differ", peer, target="0 differ", met=not wrong, note=f"{note}{'; first: ' if first else ''}{first}"))


# --- questions -----------------------------------------------------------------------------------------------------------


def questions(bench):
    import shapely
    from pyproj import Geod

    each = bench.pick(2_000, 300)
    rng = np.random.default_rng(SEED)

    def places():
        # Some outside of all data.
        return np.column_stack([rng.uniform(WEST, EAST, each), rng.uniform(SOUTH, NORTH, each)])

    def boxes():
        halves = 10 ** rng.uniform(-6, -1.2, (each, 2))
        middle = places()
        return np.hstack([middle - halves, middle + halves])

    points = shapely.points(np.array([c for line in open(DATA / "points.geojsonl") for c in [coordinates(line)]]))
    parcels = shapely.from_geojson([shape(line) for line in open(DATA / "parcels.geojsonl")])
    # Half of the places that parcels are asked to hold are corners of parcels, where several touch.
    corners = shapely.get_coordinates(parcels[rng.integers(0, len(parcels), each // 2)])
    at = np.vstack([places()[: each - each // 2], corners[rng.integers(0, len(corners), each // 2)]])
    asked = {
        "points": boxes().tolist(),
        "parcels": boxes().tolist(),
        "at": at.tolist(),
        "within": [[p.tolist(), 10**m] for p, m in zip(places(), rng.uniform(0, 3.6, each))],
        "near": [[p.tolist(), int(k)] for p, k in zip(places(), rng.integers(1, 40, each))],
    }
    ours = ask(bench, "queries", "agree", asked)
    tree, lots = shapely.STRtree(points), shapely.STRtree(parcels)

    def same(kind, theirs):
        return [f"{kind} {n}" for n, (a, b) in enumerate(zip(ours[kind], theirs)) if sorted(a) != sorted(b)]

    def lists(index, geometries, predicate):
        return [index.query(one, predicate=predicate).tolist() for one in geometries]

    on_border = 0
    wrong = same("points", lists(tree, shapely.box(*np.array(asked["points"]).T), "intersects"))
    wrong += same("parcels", lists(lots, shapely.box(*np.array(asked["parcels"]).T), "intersects"))
    for n, (place, found) in enumerate(zip(shapely.points(at), ours["at"])):
        perhaps = lots.query(place, predicate="intersects")
        sure = {int(one) for one in perhaps if shapely.contains_properly(parcels[one], place)}
        # A place on a border between neighbours lies in exactly one of them; where there is no neighbour, in one or none.
        once = shapely.contains_properly(shapely.union_all(parcels[perhaps]), place)
        on_border += not sure and len(perhaps) > 0
        if not (sure <= set(found) <= set(perhaps.tolist())) or len(found) > 1 or (once and not found):
            wrong.append(f"at {n}")
    hits = sum(len(ids) for kind in ("points", "parcels", "at") for ids in ours[kind])
    note = f"{hits:,} hits, {on_border} places on borders"
    verdict(bench, f"{3 * each:,} questions: box and place", "Shapely (GEOS)", wrong, note)

    ellipsoid, xy = Geod(ellps="WGS84"), shapely.get_coordinates(points)

    def distances(place, ids):
        x, y = xy[ids].T
        return ellipsoid.inv(np.full(len(x), place[0]), np.full(len(x), place[1]), x, y)[2]

    def around(place, metres):
        # A degree is at least 107 km long here.
        half = metres / 107_000
        return tree.query(shapely.box(*(np.array(place) - half), *(np.array(place) + half)))

    wrong, hits = [], 0
    for n, ((place, metres), found) in enumerate(zip(asked["within"], ours["within"])):
        ids = around(place, metres)
        far = distances(place, ids)
        sure, perhaps = set(ids[far < metres - RIM_M].tolist()), set(ids[far <= metres + RIM_M].tolist())
        hits += len(found)
        if not (sure <= set(found) <= perhaps and len(set(found)) == len(found)):
            wrong.append(f"within {n}")
    for n, ((place, k), found) in enumerate(zip(asked["near"], ours["near"])):
        own = distances(place, np.array(found, dtype=int))
        ids = around(place, own.max() * 1.001 + 1)
        far = np.sort(distances(place, ids))[:k]
        hits += len(found)
        if len(set(found)) != k or np.abs(own - far).max() > RIM_M:
            wrong.append(f"near {n}")
    verdict(bench, f"{2 * each:,} questions: within metres, nearest k", "pyproj.Geod, every point around", wrong, f"{hits:,} hits")


def coordinates(line):
    x, y = line[line.rindex("[") + 1 : line.rindex("]")].split(",")
    return float(x), float(y)


def shape(line):
    return json.dumps(json.loads(line)["geometry"])


# --- pairs ---------------------------------------------------------------------------------------------------------------


def polygons(rng, count):
    """Stars, combs, squares on a lattice (edges in common), with holes, in one part or two; all of them valid."""
    import shapely

    made = []
    while len(made) < count:
        kind = rng.integers(0, 4)
        corners = int(rng.integers(3, 60))
        turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radii = rng.uniform(0.2, 1, corners) if kind else np.ones(corners)
        middle = rng.uniform(-0.7, 0.7, 2)
        ring = np.column_stack([np.cos(turns), np.sin(turns)]) * radii[:, None] + middle
        if kind == 2:
            low = rng.integers(-4, 4, 2)
            one = shapely.box(*low / 4, *(low + rng.integers(1, 5, 2)) / 4)
        elif kind == 3:
            one = shapely.affinity.rotate(shapely.box(-1, -0.02, 1, 0.02), float(rng.uniform(0, 180)))
            one = shapely.affinity.translate(one, *middle)
        else:
            one = shapely.Polygon(ring)
        # A star whose turns leave out half a circle may cross itself.
        if not one.is_valid:
            continue
        if rng.random() < 0.3:
            one = one.difference(shapely.Point(*rng.uniform(-0.5, 0.5, 2)).buffer(0.2, 6))
        if rng.random() < 0.2:
            one = one.union(shapely.box(*(middle + 1.2), *(middle + 1.5)))
        if one.geom_type in ("Polygon", "MultiPolygon") and one.is_valid and not one.is_empty:
            made.append(one)
    return made


def parts(shape):
    each = shape.geoms if hasattr(shape, "geoms") else [shape]
    return [[np.asarray(ring.coords).tolist() for ring in (part.exterior, *part.interiors)] for part in each]


def pairs(bench):
    import shapely
    import shapely.affinity

    count = bench.pick(10_000, 1_000)
    rng = np.random.default_rng(SEED + 1)
    left, right = polygons(rng, count), polygons(rng, count)
    for n in range(0, count, 20):
        # The same, moved by next to nothing, or by a side.
        by = (0, 0) if n % 60 == 0 else (1e-9, 0) if n % 60 == 20 else (0.25, 0)
        right[n] = shapely.affinity.translate(left[n], *by)
    cut = ask(bench, "pairs", "agree", [[parts(a), parts(b)] for a, b in zip(left, right)])
    wrong, worst, touching = [], np.zeros(3), 0
    for n, (a, b, ours) in enumerate(zip(left, right, cut)):
        # Ours calls "crosses" whatever neither lies apart nor wholly inside without touching.
        geos = "disjoint" if a.disjoint(b) else "within" if shapely.contains_properly(b, a) else "crosses"
        touching += a.touches(b)
        if ours["relation"] != geos:
            wrong.append(f"pair {n}: {ours['relation']}, GEOS {geos}")
        scale = np.full(3, max(a.area, b.area))
        for op, area, made in zip(("intersection", "union", "difference"), ours["areas"], ours["shapes"]):
            theirs = getattr(a, op)(b)
            own = shapely.MultiPolygon([(rings[0], rings[1:]) for rings in made])
            if not own.is_valid:
                wrong.append(f"pair {n}: {op} {shapely.is_valid_reason(own)}")
                continue
            off = [abs(area - theirs.area), abs(own.area - theirs.area), own.symmetric_difference(theirs).area] / scale
            worst = np.maximum(worst, off)
            if (off > BOUNDS).any():
                wrong.append(f"pair {n}: {op} off by {off}")
    note = f"relation and three overlays each; {touching} touch; in parts of the larger, worst area {worst[0]:.0e}, of the shape {worst[1]:.0e}, not in common {worst[2]:.0e}"
    verdict(bench, f"{count:,} random pairs of polygons", "Shapely (GEOS)", wrong, note)


def degenerate(bench):
    count = bench.pick(1_000_000, 50_000)
    found = bench.engines["rust"].ask("degenerate", job="agree", n=count)
    text = f"{found['panics']} panics, {found['impossible']} areas that cannot be"
    bench.add(Row(f"{count:,} degenerate pairs", text, target="0 panics", met=found == {"panics": 0, "impossible": 0}))
