"""The bench's data: a made-up province, the same bytes on every machine.

    parcels.geojsonl   200,000 polygons of one cadastral coverage: jittered corners, bent shared edges, every 50th with a hole
    points.geojsonl    1,000,000 points: 40 % in 60 towns, 40 % along 200 roads, 20 % anywhere
    zoning.geojsonl    3,969 polygons of 30 to 400 vertices, another coverage that lies askew to the parcels
    queries.npz/.json  10,000 places `pt`, boxes `bbox` (half side 0.0005° to 0.02°) and radii `rad` (0.0005° to 0.01°)
    tiles.json         876 tiles [z, x, y], z8 to z16, under the first places

and what follows from those (`derive`): rad.json, join.json (100,000 places strictly inside the province), pairs.json (the
28,679 pairs of one of the first 20,000 parcels and a zone that meet), frame.json (metres per degree, with which a planar
index can be asked in metres). All degrees are WGS84, longitude first. Usage: data.py FOLDER
"""

import hashlib
import json
import math
import sys
from itertools import islice
from pathlib import Path

import numpy as np

SEED = 20260101
WEST, SOUTH, EAST, NORTH = 105.5, 10.3, 106.9, 11.8
PARCELS, POINTS, QUERIES = 200_000, 1_000_000, 10_000
LAND_USE = ["ONT", "ODT", "CLN", "LUC", "RSX", "SKK", "DGT", "DTT"]
COMMUNES = [
    "Phường Thủ Dầu Một", "Xã Bắc Tân Uyên", "Phường Dĩ An", "Xã Cần Đăng",
    "Phường Tây Ninh", "Xã Đức Huệ", "Xã Bến Cầu", "Phường Long An",
]  # fmt: skip
KINDS = ["camera", "sensor", "poi", "hydrant", "school", "clinic", "police", "bus"]

# SHA-256 of what must come out; a NumPy that draws or rounds otherwise is found here and not in a table of results.
EXPECTED = {
    "parcels.geojsonl": "1dcdc633118aad1a0255a2652f968429f4488612d315eef05f2f3b6e791cb966",
    "points.geojsonl": "130234dccb8f40abb11e245f09b9959724e1a4d98ba24f18ce26d435d00f7859",
    "zoning.geojsonl": "902083fe61c573939b421251d97618f2d798f21792c08924a85a7456d8e0dee5",
    "queries.json": "d933a9a7835313ccd32b920de4557465508bcdccfd26ba40be7fdbb079da95e3",
    "tiles.json": "b930f6d6a5198ef570e78aa4ad8b28d8c7be5f5427e4242efc5a31e46bfff9ba",
}


def line(feature, **options):
    return json.dumps(feature, separators=(",", ":"), **options) + "\n"


def feature(number, properties, rings):
    return {
        "type": "Feature",
        "id": number,
        "properties": {"id": number, **properties},
        "geometry": {"type": "Polygon", "coordinates": rings},
    }


def bent(start, end, count, bulge):
    """`count` vertices between two corners on a half sine wave of height `bulge` (a share of the edge's length)."""
    if count == 0:
        return []
    (ax, ay), (bx, by) = start, end
    along = np.arange(1, count + 1) / (count + 1)
    wave = np.sin(np.pi * along)
    xs = ax + (bx - ax) * along + -(by - ay) * bulge * wave
    ys = ay + (by - ay) * along + (bx - ax) * bulge * wave
    return list(zip(np.round(xs, 8).tolist(), np.round(ys, 8).tolist()))


def write_parcels(path, rng):
    """A grid of about square cells; whatever two neighbours share is drawn once, so that the coverage has no gaps."""
    columns = round((PARCELS * (EAST - WEST) / (NORTH - SOUTH)) ** 0.5)
    rows = -(-PARCELS // columns)
    width, height = (EAST - WEST) / columns, (NORTH - SOUTH) / rows
    shift_x = rng.uniform(-0.28, 0.28, (rows + 1, columns + 1)) * width
    shift_y = rng.uniform(-0.28, 0.28, (rows + 1, columns + 1)) * height
    shift_x[:, [0, -1]] = 0
    shift_y[[0, -1], :] = 0
    corner_x = np.linspace(WEST, EAST, columns + 1)[None, :] + shift_x
    corner_y = np.linspace(SOUTH, NORTH, rows + 1)[:, None] + shift_y
    flat_count = rng.integers(0, 3, (rows + 1, columns))
    flat_bulge = rng.uniform(-0.12, 0.12, (rows + 1, columns))
    steep_count = rng.integers(0, 3, (rows, columns + 1))
    steep_bulge = rng.uniform(-0.12, 0.12, (rows, columns + 1))

    def corner(i, j):
        return round(float(corner_x[j, i]), 8), round(float(corner_y[j, i]), 8)

    with open(path, "w", encoding="utf-8") as out:
        for n in range(PARCELS):
            j, i = divmod(n, columns)
            a, b, c, d = corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)

            def flat(start, end, row):
                return bent(start, end, int(flat_count[row, i]), float(flat_bulge[row, i]))

            def steep(start, end, column):
                return bent(start, end, int(steep_count[j, column]), float(steep_bulge[j, column]))

            # The frame of the province stays straight.
            bottom = flat(a, b, j) if j > 0 else []
            right = steep(b, c, i + 1) if i + 1 < columns else []
            top = flat(d, c, j + 1)[::-1] if j + 1 < rows else []
            left = steep(a, d, i)[::-1] if i > 0 else []
            rings = [[a, *bottom, b, *right, c, *top, d, *left, a]]
            if n % 50 == 7:
                x, y = (sum(corner[axis] for corner in (a, b, c, d)) / 4 for axis in (0, 1))
                w, h = width * 0.12, height * 0.12
                rings.append([[x, y], [x, y + h], [x + w, y + h], [x + w, y], [x, y]])
            properties = {
                "so_to": j % 97,
                "so_thua": n % 1000,
                "loai_dat": LAND_USE[(i * 7 + j * 13 + n) % 8],
                "xa": COMMUNES[(i // 40 + j // 40) % 8],
                "dien_tich": round(100 + ((n * 2654435761) % 100000) / 10, 1),
                "chu_su_dung": f"Hộ {n:06d}",
            }
            out.write(line(feature(n, properties, rings), ensure_ascii=False))


def write_points(path, rng):
    """Returns the points, n × 2."""
    in_towns = along_roads = int(POINTS * 0.4)
    towns = np.c_[rng.uniform(WEST + 0.05, EAST - 0.05, 60), rng.uniform(SOUTH + 0.05, NORTH - 0.05, 60)]
    town = towns[rng.integers(0, 60, in_towns)] + rng.normal(0, 0.012, (in_towns, 2))
    ends = [rng.uniform(*sides, (200, 1)) for sides in [(WEST, EAST), (SOUTH, NORTH)] * 2]
    roads = np.hstack(ends)
    which = rng.integers(0, 200, along_roads)
    how_far = rng.uniform(0, 1, along_roads)[:, None]
    start, end = roads[which, :2], roads[which, 2:]
    road = start + (end - start) * how_far + rng.normal(0, 0.0004, (along_roads, 2))
    rest = POINTS - in_towns - along_roads
    anywhere = np.c_[rng.uniform(WEST, EAST, rest), rng.uniform(SOUTH, NORTH, rest)]
    points = np.clip(np.vstack([town, road, anywhere]), [WEST, SOUTH], [EAST, NORTH])
    points = np.round(points[rng.permutation(POINTS)], 7)
    with open(path, "w", encoding="utf-8") as out:
        for n, (x, y) in enumerate(points.tolist()):
            out.write(
                f'{{"type":"Feature","id":{n},"properties":{{"id":{n},"kind":"{KINDS[n % 8]}","name":"Điểm {n}",'
                f'"v":{(n * 7919) % 1000 / 10}}},"geometry":{{"type":"Point","coordinates":[{x},{y}]}}}}\n'
            )
    return points


def wiggle(start, end, seed):
    """A shared border of 8 to 99 vertices, the same for both neighbours because its seed is the border's own."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(8, 100))
    along = np.arange(1, count + 1) / (count + 1)
    off = np.convolve(rng.normal(0, 0.06, count), [0.25, 0.5, 0.25], "same") * np.sin(np.pi * along)
    (ax, ay), (bx, by) = start, end
    xs = ax + (bx - ax) * along - (by - ay) * off
    ys = ay + (by - ay) * along + (bx - ax) * off
    return [(round(x, 8), round(y, 8)) for x, y in zip(xs.tolist(), ys.tolist())]


def write_zoning(path, rng):
    side = int((4000 * PARCELS / 200_000) ** 0.5)
    xs = np.linspace(WEST - 0.003, EAST + 0.003, side + 1)
    ys = np.linspace(SOUTH - 0.0037, NORTH + 0.0037, side + 1)
    corner_x = xs[None, :] + rng.uniform(-0.3, 0.3, (side + 1, side + 1)) * (xs[1] - xs[0])
    corner_y = ys[:, None] + rng.uniform(-0.3, 0.3, (side + 1, side + 1)) * (ys[1] - ys[0])

    def corner(i, j):
        return round(float(corner_x[j, i]), 8), round(float(corner_y[j, i]), 8)

    with open(path, "w", encoding="utf-8") as out:
        for n in range(side * side):
            j, i = divmod(n, side)
            a, b, c, d = corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)
            bottom = wiggle(a, b, 1_000_000 + j * 1000 + i)
            right = wiggle(b, c, 2_000_000 + j * 1000 + i + 1)
            top = wiggle(d, c, 1_000_000 + (j + 1) * 1000 + i)[::-1]
            left = wiggle(a, d, 2_000_000 + j * 1000 + i)[::-1]
            ring = [a, *bottom, b, *right, c, *top, d, *left, a]
            properties = {"zone": LAND_USE[(i * 3 + j * 5) % 8], "plan": "QH2030"}
            out.write(line(feature(n, properties, [ring])))


def write_queries(folder, rng, points):
    places = points[rng.integers(0, POINTS, QUERIES)] + rng.normal(0, 0.003, (QUERIES, 2))
    half = np.exp(rng.uniform(np.log(0.0005), np.log(0.02), QUERIES))
    radii = rng.uniform(0.0005, 0.01, QUERIES)
    x, y = places[:, 0], places[:, 1]
    boxes = np.c_[x - half, y - half, x + half, y + half]
    np.savez(folder / "queries.npz", pt=places, bbox=boxes, rad=radii)
    with open(folder / "queries.json", "w") as out:
        json.dump({"pt": places.tolist(), "bbox": boxes.tolist()}, out)
    with open(folder / "rad.json", "w") as out:
        json.dump(radii.tolist(), out)
    return places


def write_tiles(path, places):
    """The first 150 different tiles of each zoom under the places; fewer where the province has fewer."""
    tiles = []
    for z in range(8, 17):
        side = 2**z
        seen = {}
        for x, y in places.tolist():
            mercator = math.asinh(math.tan(math.radians(y))) / math.pi
            seen[z, int((x + 180) / 360 * side), int((1 - mercator) / 2 * side)] = None
            if len(seen) == 150:
                break
        tiles += seen
    with open(path, "w") as out:
        json.dump(tiles, out)


def geometries(path, count=None):
    import shapely

    with open(path, encoding="utf-8") as lines:
        return shapely.from_geojson([text[text.index('"geometry":') + 11 : -2] for text in islice(lines, count)])


def derive(folder, points):
    """What the jobs need beside the data, worked out once for all engines."""
    import shapely

    inside = (points > [WEST, SOUTH]).all(axis=1) & (points < [EAST, NORTH]).all(axis=1)
    with open(folder / "join.json", "w") as out:
        json.dump(points[inside][:100_000].tolist(), out)
    zones = geometries(folder / "zoning.geojsonl")
    parcels = geometries(folder / "parcels.geojsonl", 20_000)
    pairs = shapely.STRtree(zones).query(parcels, predicate="intersects").T
    with open(folder / "pairs.json", "w") as out:
        json.dump(sorted(pairs.tolist()), out)
    # Metres per degree of the WGS84 ellipsoid in the middle of the province (radii of curvature).
    latitude = math.radians((SOUTH + NORTH) / 2)
    a, e2 = 6_378_137.0, 0.0066943799901413165
    w2 = 1 - e2 * math.sin(latitude) ** 2
    per_radian = {"kx": a / math.sqrt(w2) * math.cos(latitude), "ky": a * (1 - e2) / w2**1.5}
    with open(folder / "frame.json", "w") as out:
        json.dump({key: value * math.pi / 180 for key, value in per_radian.items()}, out)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder):
    """The names of the files that are not as they must be."""
    return [name for name, expected in EXPECTED.items() if digest(folder / name) != expected]


def make(folder):
    """Makes what is not there; the stamp is written last, so that a broken run is done again."""
    folder = Path(folder)
    stamp = folder / "made"
    if stamp.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    write_parcels(folder / "parcels.geojsonl", rng)
    points = write_points(folder / "points.geojsonl", rng)
    write_zoning(folder / "zoning.geojsonl", rng)
    places = write_queries(folder, rng, points)
    write_tiles(folder / "tiles.json", places)
    derive(folder, points)
    if wrong := verify(folder):
        raise SystemExit(f"data.py made other bytes than it should: {', '.join(wrong)}; NumPy {np.__version__}")
    stamp.write_text(np.__version__)


if __name__ == "__main__":
    make(sys.argv[1])
