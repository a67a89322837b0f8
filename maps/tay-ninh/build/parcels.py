"""Industrial parks and planning lots: made-up, parcel-like shapes with exact geodesic areas."""
from __future__ import annotations

import math

import shapely
from shapely import affinity
from shapely.geometry import Point, Polygon, box

import geo
import inputs

PARK_TOTAL_HA = 14674.3


def land_use_names() -> dict[str, str]:
    return {f["code"]: f["name"] for f in inputs.facts("land_use.csv")}


def ha(poly_m) -> float:
    return geo.area_m2(geo.snap6(geo.to_deg(poly_m))) / 1e4


def _block(key, area_m2, turn):
    """A rectangle with one or two corners taken out, of about the area asked for."""
    r = geo.rng("park", key)
    ratio = r.uniform(1.0, 1.9)
    w = math.sqrt(area_m2 * ratio)
    h = area_m2 / w
    g = box(-w / 2, -h / 2, w / 2, h / 2)
    cx, cy = r.uniform(0.18, 0.36), r.uniform(0.2, 0.4)
    sx, sy = r.choice([-1, 1]), r.choice([-1, 1])
    g = g.difference(box(*sorted((sx * w / 2, sx * w * (0.5 - cx)))[:1], *sorted((sy * h / 2, sy * h * (0.5 - cy)))[:1],
                         *sorted((sx * w / 2, sx * w * (0.5 - cx)))[1:], *sorted((sy * h / 2, sy * h * (0.5 - cy)))[1:]))
    if r.uniform() < 0.45:
        d = 0.16 * min(w, h)
        ox, oy = -sx * w / 2, sy * h / 2
        g = g.difference(Polygon([(ox, oy), (ox + sx * d * 1.6, oy), (ox, oy - sy * d)]))
    g = affinity.rotate(g, turn, origin=(0, 0))
    return affinity.scale(g, *(2 * [math.sqrt(area_m2 / g.area)]), origin=(0, 0))


def _spiral(step, count):
    yield 0.0, 0.0
    for k in range(1, count):
        a = k * 2.399963
        d = step * math.sqrt(k)
        yield d * math.cos(a), d * math.sin(a)


def industrial_parks(rows, cells_m, outline_m, water_m, roads, placed):
    """47 parks; those of the fact table near their published point, the rest at their commune."""
    by = {c["code"]: c for c in rows}
    facts = inputs.facts("industrial_parks.csv")
    fixed = sum(float(f["area_ha"]) for f in facts if f["area_kind"] == "published")
    loose = sum(float(f["area_ha"]) for f in facts if f["area_kind"] != "published")
    scale = (PARK_TOTAL_HA - fixed) / loose
    out = []
    near_water = water_m.buffer(90)
    shapely.prepare(near_water)
    trunk = shapely.union_all([r["line"] for r in roads if r["class"] != "primary"]).buffer(35)
    shapely.prepare(trunk)
    taken = list(placed)
    inside = outline_m.buffer(-120)
    shapely.prepare(inside)
    order = sorted(facts, key=lambda f: (f["lon"] == "", -float(f["area_ha"]), f["id"]))
    for f in order:
        area = float(f["area_ha"]) * (1.0 if f["area_kind"] == "published" else scale)
        cell = cells_m[f["commune"]]
        if f["lon"]:
            at = geo.xy(float(f["lon"]), float(f["lat"]))
        else:
            c = by[f["commune"]]
            at = geo.xy(c["lon"], c["lat"])
        turn = 45.0 * geo.noise("turn", f["id"])
        shape0 = _block(f["id"], area * 1e4, turn)
        best = None
        for n, (dx, dy) in enumerate(_spiral(260.0, 900)):
            if not f["lon"] and math.hypot(dx, dy) < 1500:
                continue
            g = affinity.translate(shape0, at[0] + dx, at[1] + dy)
            if not shapely.contains(inside, g) or shapely.intersects(near_water, g):
                continue
            if any(g.distance(t) < 120 for t in taken):
                continue
            score = cell.intersection(g).area / g.area - math.hypot(dx, dy) / 30000 - (0.5 if shapely.intersects(trunk, g) else 0)
            if best is None or score > best[0]:
                best = (score, g)
        if best is None:
            raise SystemExit(f"no room for {f['name']}")
        g = best[1]
        for _ in range(4):
            k = math.sqrt(area / ha(g))
            g = affinity.scale(g, k, k, origin="centroid")
        taken.append(g)
        out.append({**f, "geom": geo.snap6(geo.to_deg(g)), "geom_m": g, "area": ha(g)})
    out.sort(key=lambda p: int(p["id"][2:]))
    return out


# Land-use mixes from the centre outwards: (code, weight)
CORE = [("TMD", 5), ("TSC", 3), ("DVH", 2), ("DKV", 3), ("DCH", 1), ("DYT", 1), ("DGD", 3), ("ODT", 6), ("DBV", 1), ("CAN", 1)]
RING = [("ODT", 14), ("DGD", 2), ("TMD", 2), ("DKV", 2), ("DTT", 1), ("TON", 1), ("TIN", 1), ("DYT", 1), ("DXH", 1), ("DTS", 1)]
EDGE = [("ONT", 8), ("CLN", 4), ("SKC", 2), ("SKN", 1), ("NTD", 1), ("DRA", 0.4), ("DNL", 1), ("CQP", 0.6), ("NKH", 1), ("DKV", 1)]
FIELD = [("LUC", 7), ("HNK", 3), ("CLN", 4), ("LUK", 1), ("NTS", 2), ("MNC", 1), ("RSX", 1), ("DTL", 1)]
LIMITS = {  # code -> (density %, storeys) ranges of the made-up indicators
    "TMD": ((40, 60), (5, 18)), "TSC": ((30, 40), (3, 7)), "DVH": ((30, 40), (2, 4)), "DKV": ((5, 5), (1, 1)),
    "DCH": ((40, 60), (1, 3)), "DYT": ((35, 40), (3, 9)), "DGD": ((35, 40), (2, 5)), "ODT": ((60, 80), (3, 7)),
    "DBV": ((40, 40), (2, 3)), "CAN": ((40, 40), (2, 5)), "DTT": ((30, 40), (1, 3)), "TON": ((30, 40), (1, 2)),
    "TIN": ((30, 40), (1, 2)), "DXH": ((35, 40), (2, 4)), "DTS": ((35, 40), (2, 6)), "ONT": ((40, 60), (2, 4)),
    "SKC": ((50, 70), (1, 4)), "SKN": ((50, 70), (1, 4)), "DRA": ((20, 40), (1, 1)), "DNL": ((20, 40), (1, 2)), "CQP": ((40, 40), (2, 4)),
}


def _choose(r, mix):
    total = sum(w for _, w in mix)
    t = r.uniform(0, total)
    for code, w in mix:
        t -= w
        if t <= 0:
            return code
    return mix[-1][0]


def planning_lots(cells_m, outline_m, water_m, roads, place_xy):
    names = land_use_names()
    road_m = shapely.union_all([r["line"].buffer({"motorway": 45, "trunk": 24, "primary": 17}[r["class"]], cap_style="flat") for r in roads])
    water = water_m.buffer(25)
    out = []
    for t in inputs.facts("planning_towns.csv"):
        origin = place_xy[t["place"]]
        origin = (origin[0] + float(t["dx_m"]), origin[1] + float(t["dy_m"]))
        out += _town(t, origin, cells_m, outline_m, water, road_m, roads, names)
    return out


def _road_turn(origin, roads):
    """Direction of the main road at the town, so that its grid runs along it."""
    p = Point(origin)
    line = min((r["line"] for r in roads if r["class"] != "motorway"), key=lambda g: g.distance(p))
    d = line.project(p)
    a, b = line.interpolate(max(0, d - 400)), line.interpolate(d + 400)
    return math.degrees(math.atan2(b.y - a.y, b.x - a.x))


def _town(t, origin, cells_m, outline_m, water, road_m, roads, names):
    key, want = t["id"], int(t["lots"])
    r = geo.rng("town", key)
    turn = _road_turn(origin, roads)
    region = shapely.union_all([cells_m[c] for c in t["communes"].split()]).intersection(outline_m.buffer(-60))
    around = Point(origin).buffer(6500)
    blocked = shapely.union_all([water.intersection(around), road_m.intersection(around)])
    shapely.prepare(blocked)
    shapely.prepare(region)
    # Street grid: block widths vary, every third street is wide.
    n = 13
    xs, ys = _streets(r, n, 190, 300), _streets(r, n, 120, 210)
    phase = [r.uniform(0, 6.28) for _ in range(4)]

    def warp(x, y):
        u = x + 26 * math.sin(y / 900 + phase[0]) + 12 * math.sin(y / 410 + phase[1])
        v = y + 22 * math.sin(x / 1000 + phase[2]) + 10 * math.sin(x / 470 + phase[3])
        a = math.radians(turn)
        return origin[0] + u * math.cos(a) - v * math.sin(a), origin[1] + u * math.sin(a) + v * math.cos(a)

    blocks = []
    for i, (x0, x1) in enumerate(xs):
        for j, (y0, y1) in enumerate(ys):
            cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
            d = math.hypot(cx / 1.25, cy) * (1 + 0.16 * geo.noise(key, i, j))
            blocks.append((d, i, j, x0, y0, x1, y1))
    blocks.sort()
    edge = blocks[min(len(blocks) - 1, int(want / 1.55))][0] or 1.0
    lots, k = [], 0
    for d, i, j, x0, y0, x1, y1 in blocks:
        if len(lots) >= want:
            break
        for a0, b0, a1, b1 in _split(r, x0, y0, x1, y1, d / edge):
            ring = [warp(a0, b0), warp((a0 + a1) / 2, b0), warp(a1, b0), warp(a1, (b0 + b1) / 2), warp(a1, b1), warp((a0 + a1) / 2, b1), warp(a0, b1), warp(a0, (b0 + b1) / 2)]
            g = Polygon(ring)
            if not shapely.contains(region, g):
                continue
            if shapely.intersects(blocked, g):
                parts = geo.polygons(g.difference(blocked))
                if not parts:
                    continue
                g = max(parts, key=lambda q: q.area)
            g = g.buffer(-1.0, join_style="mitre").simplify(0.6)
            if g.geom_type != "Polygon" or g.area < 2600 or _thin(g):
                continue
            rel = d / edge
            mix = CORE if rel < 0.38 else RING if rel < 0.75 else EDGE if rel < 0.92 else FIELD
            code = _choose(r, mix)
            k += 1
            lots.append(_lot(t, key, k, code, g, r, names))
            if len(lots) >= want:
                break
    return lots


def _lot(t, key, k, code, g, r, names):
    deg = geo.snap6(geo.to_deg(g))
    area = geo.area_m2(deg) / 1e4
    lim = LIMITS.get(code)
    density = storeys = far = None
    if lim:
        density = int(round(r.uniform(*lim[0]) / 5) * 5)
        storeys = int(r.integers(lim[1][0], lim[1][1] + 1))
        far = round(density / 100 * storeys * r.choice([1.0, 1.0, 0.9, 0.8]), 2)
    number = f"{t['sheet']}-{code}-{k:02d}"
    return {
        "id": f"lot-{key}-{k:03d}", "name": f"Lô {number}", "code": code, "land_use": names[code], "area": area,
        "density": density, "storeys": storeys, "far": far, "status": t["status"], "plan": t["plan"], "geom": deg, "geom_m": g,
    }


def _streets(r, n, lo, hi):
    """Blocks along one axis as (from, to), centred on a street at 0."""
    out = []
    for sign in (1, -1):
        at = 14.0
        for k in range(n // 2 + 1):
            size = r.uniform(lo, hi)
            a, b = at, at + size
            out.append((a, b) if sign > 0 else (-b, -a))
            at = b + (36.0 if k % 3 == 2 else 20.0)
    return sorted(out)


def _split(r, x0, y0, x1, y1, rel):
    """A block as one to four lots; blocks near the centre are cut finer."""
    u = r.uniform()
    if rel > 0.9 or u < 0.34:
        return [(x0, y0, x1, y1)]
    t = r.uniform(0.4, 0.6)
    xm, ym = x0 + (x1 - x0) * t, y0 + (y1 - y0) * r.uniform(0.42, 0.58)
    if u < 0.72:
        return [(x0, y0, xm, y1), (xm, y0, x1, y1)]
    if u < 0.9:
        return [(x0, y0, xm, ym), (xm, y0, x1, ym), (x0, ym, x1, y1)]
    return [(x0, y0, xm, ym), (xm, y0, x1, ym), (x0, ym, xm, y1), (xm, ym, x1, y1)]


def _thin(g):
    box_ = g.minimum_rotated_rectangle
    c = list(box_.exterior.coords)
    a, b = math.dist(c[0], c[1]), math.dist(c[1], c[2])
    return min(a, b) < 35 or g.area / max(box_.area, 1) < 0.55
