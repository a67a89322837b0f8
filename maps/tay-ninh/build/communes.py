"""The 96 communes as a diagram: power cells, natural-looking shared edges, one exact coverage."""
from __future__ import annotations

import math

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon, box
from shapely.ops import linemerge, polygonize

import geo
import inputs
from diagram import Sites, fit

PROVINCE = "80"
AREA_KM2 = 8536.44
STUDY = (105.05, 9.98, 107.45, 12.25)     # lon/lat window the diagram is made in
RIVER_TOP = 11.655                         # above it the river is outside the province
RIVER_NORTH = [(106.36, 12.6), (106.38, 11.80), (106.44, 11.69)]


def study_communes() -> list[dict]:
    w, s, e, n = STUDY
    rows = [c for c in inputs.communes_of_vietnam() if w < c["lon"] < e and s < c["lat"] < n]
    for c in rows:
        c["home"] = c["province"] == PROVINCE
    assert sum(c["home"] for c in rows) == 96
    return rows


def known_sites(rows) -> list[tuple[str, float, float]]:
    """Further sites: places that are known to lie in a commune (facts/sites.csv)."""
    codes = {c["code"] for c in rows}
    return [(f["commune"], float(f["lon"]), float(f["lat"])) for f in inputs.facts("sites.csv") if f["commune"] in codes]


def river_chain(rivers) -> LineString:
    """The Sài Gòn river, which the province's eastern edge follows, on the plane."""
    parts = [LineString(p) for name, p in rivers if name == "Sông Sài Gòn"]
    line = linemerge(parts)
    line = max(geo.lines(line), key=lambda g: g.length)
    c = list(line.coords)
    if c[0][1] < c[-1][1]:
        c.reverse()
    south = [q for q in c if q[1] < RIVER_TOP]
    return geo.to_m(LineString(south).simplify(0.0006))


def targets(rows, plain) -> tuple[np.ndarray, dict[str, bool]]:
    """Official area where the package has it; an estimate (flagged) where its figure is stale."""
    ok = {f["code"]: f["area_ok"] == "true" for f in inputs.facts("commune_area_ok.csv")}
    home = [i for i, c in enumerate(rows) if c["home"]]
    known = sum(rows[i]["area_km2"] for i in home if ok[rows[i]["code"]])
    unknown = [i for i in home if not ok[rows[i]["code"]]]
    share = (AREA_KM2 - known) / sum(plain[i] for i in unknown)
    out = np.full(len(rows), np.nan)
    estimated = {}
    for i, c in enumerate(rows):
        if c["home"]:
            estimated[c["code"]] = not ok[c["code"]]
            c["area_used"] = c["area_km2"] if ok[c["code"]] else round(share * plain[i] , 2)
            out[i] = c["area_used"] * 1e6
        else:
            # A neighbour's figure may be as stale as ours: believe it where the plain cell agrees.
            a = (c["area_km2"] or 0) * 1e6
            if 0.6 < a / (plain[i] * 1e6) < 1.7:
                out[i] = a
    return out, estimated


def build(land, rivers, log=print):
    rows = study_communes()
    index = {c["code"]: i for i, c in enumerate(rows)}
    pts = [(c["lon"], c["lat"]) for c in rows]
    owner = list(range(len(rows)))
    for code, lon, lat in known_sites(rows):
        pts.append((lon, lat))
        owner.append(index[code])
    p = np.array([geo.xy(*q) for q in pts])
    owner = np.array(owner)

    vn = territory(land)
    coarse = shapely.make_valid(vn.simplify(400))
    river = river_chain(rivers)
    west, east = banks(vn, river)
    # The river line is good to about 1 km, so a home site a little past it still counts as west.
    side = np.array([0 if rows[o]["home"] else river_side(q, west, east) for q, o in zip(p, owner)])

    def solve(domain_w, domain_e, target, rounds):
        cells = [None] * len(p)
        weights = np.zeros(len(rows))
        for s, dom in ((0, domain_w), (1, domain_e)):
            pick = np.flatnonzero(side == s)
            used = sorted(set(owner[pick]))
            at = {c: k for k, c in enumerate(used)}
            sites = Sites(p[pick], np.array([at[o] for o in owner[pick]]), dom)
            if target is None:
                w = np.zeros(len(used))
            else:
                w = fit(sites, target[used], rounds, log if s == 0 else None)
            weights[used] = w
            for i, g in zip(pick, sites.cells(w[sites.owner])):
                cells[i] = g
        return cells, weights

    cw, ce = banks(coarse, river)
    cells, _ = solve(cw, ce, None, 0)
    plain = np.zeros(len(rows))
    for i, g in enumerate(cells):
        plain[owner[i]] += g.area / 1e6
    for i, c in enumerate(rows):      # cells at the window's edge are unbounded: leave them free
        if plain[i] > 1500:
            c["area_km2"] = 0
    target, estimated = targets(rows, np.maximum(plain, 1e-6))
    log(f"  {len(rows)} communes, {len(p)} sites, {int(np.isfinite(target).sum())} with a target area")
    cells, w = solve(cw, ce, target, 70)
    # The last cells come from the fine outline with the weights of the coarse one.
    fine = [None] * len(p)
    for s, dom in ((0, west), (1, east)):
        pick = np.flatnonzero(side == s)
        sites = Sites(p[pick], owner[pick], dom)
        for i, g in zip(pick, sites.cells(w[owner[pick]])):
            fine[i] = g
    raw = [shapely.union_all([fine[i] for i in np.flatnonzero(owner == k)], grid_size=0.01) for k in range(len(rows))]
    return rows, raw, vn, river, estimated


def territory(land):
    """Vietnam in the window: land with its inland waters filled, and the Soài Rạp estuary.

    Commune borders run along the middle of wide water, so the diagram is made over it too; the
    water is drawn above. The national border is kept to about 50 m.
    """
    whole = [Polygon(p.exterior) for p in geo.polygons(land["VNM"].intersection(box(*STUDY)))]
    estuary = Polygon([(106.40, 10.38), (106.98, 10.38), (106.98, 10.80), (106.60, 10.72)])
    merged = shapely.union_all([*whole, estuary])
    big = max(geo.polygons(merged), key=lambda g: g.area)
    return geo.to_m(Polygon(big.exterior).simplify(0.0005))


def banks(vn, river):
    """The plane split by the river; north of the border stream the split turns into Cambodia."""
    minx, miny, maxx, maxy = vn.bounds
    c = list(river.coords)
    full = [*(geo.xy(*q) for q in RIVER_NORTH), *c, (c[-1][0] + 2e4, miny - 5e4)]
    ring = [*full, (maxx + 5e4, miny - 5e4), (maxx + 5e4, maxy + 5e4)]
    east = shapely.make_valid(Polygon(ring))
    return vn.difference(east), vn.intersection(east)


def river_side(q, west, east) -> int:
    pt = Point(q)
    return 0 if west.distance(pt) <= east.distance(pt) else 1


def coverage(rows, raw, vn, river, log=print):
    """Wobble the shared edges and rebuild the cells as faces of one noded line work."""
    near = geo.to_m(box(*inputs.BBOX).buffer(0.30))
    use = [i for i, g in enumerate(raw) if not g.is_empty and g.intersects(near)]
    points = [geo.xy(rows[i]["lon"], rows[i]["lat"]) for i in use]
    owner_tree = shapely.STRtree([raw[i] for i in use])
    # Canonical corners: the same point computed by two cells differs in the last digits.
    edges = set()
    corners = _Corners()
    tip = LineString([geo.xy(*RIVER_NORTH[-1]), river.coords[0]])
    fixed = shapely.union_all([vn.boundary, river, tip])
    shapely.prepare(fixed)
    band = fixed.buffer(3.0)
    shapely.prepare(band)
    for i in use:
        for poly in geo.polygons(raw[i]):
            for ring in [poly.exterior, *poly.interiors]:
                ids = [corners.of(c) for c in ring.coords]
                for a, b in zip(ids, ids[1:]):
                    if a != b:
                        edges.add((min(a, b), max(a, b)))
    inner = []
    for a, b in sorted(edges):
        pa, pb = corners.at[a], corners.at[b]
        seg = LineString([pa, pb])
        if shapely.contains(band, seg):
            continue                                  # runs along the border or the river
        if shapely.intersects(band, seg):             # make sure it reaches the line it ends on
            pa, pb = _reach(pa, pb, band), _reach(pb, pa, band)
        key = (round(pa[0]), round(pa[1]), round(pb[0]), round(pb[1])) if pa < pb else (round(pb[0]), round(pb[1]), round(pa[0]), round(pa[1]))
        inner.append(LineString(geo.fractal(pa, pb, 260.0, 0.08, key)))
    work = [geo.to_deg(g) for g in inner]
    work += [geo.to_deg(g) for g in geo.lines(vn.boundary.intersection(near.buffer(3000)))]
    work += [geo.to_deg(g) for g in geo.lines(shapely.union_all([river, tip]).intersection(vn.buffer(20)))]
    noded = shapely.union_all(work, grid_size=geo.GRID)
    faces = [f for f in polygonize(geo.lines(noded))]
    log(f"  {len(inner)} inner edges, {len(faces)} faces")
    # Which cell a face belongs to: the one it overlaps most.
    label = []
    vn_deg = geo.to_deg(vn)
    shapely.prepare(vn_deg)
    for f in faces:
        fm = geo.to_m(f)
        if not shapely.contains(vn_deg, f.representative_point()):
            label.append(-1)
            continue
        hit = [(raw[use[k]].intersection(fm).area, -k) for k in owner_tree.query(fm)]
        best = max(hit, default=(0.0, 0))
        label.append(-best[1] if best[0] > 0 else -1)
    label = _one_piece(faces, label, points, use, rows)
    cells = {}
    for k, i in enumerate(use):
        mine = [f for f, m in zip(faces, label) if m == k]
        if mine:
            cells[rows[i]["code"]] = shapely.union_all(mine)
    return cells


class _Corners:
    def __init__(self, tol=1.5):
        self.tol, self.at, self.grid = tol, [], {}

    def of(self, c) -> int:
        gx, gy = math.floor(c[0] / self.tol), math.floor(c[1] / self.tol)
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                for k in self.grid.get((gx + dx, gy + dy), ()):
                    if math.dist(self.at[k], c[:2]) < self.tol:
                        return k
        self.at.append((c[0], c[1]))
        self.grid.setdefault((gx, gy), []).append(len(self.at) - 1)
        return len(self.at) - 1


def _reach(p, other, band):
    """If p lies on the fixed line, push it 12 m past it, so that noding surely meets the line."""
    if not shapely.intersects(band, Point(p)):
        return p
    d = math.dist(p, other) or 1.0
    return (p[0] + (p[0] - other[0]) / d * 12, p[1] + (p[1] - other[1]) / d * 12)


def _one_piece(faces, label, points, use, rows):
    """Detached faces go to the neighbour with the longest common edge, so each cell is one polygon."""
    tree = shapely.STRtree(faces)
    label = list(label)
    for k, i in enumerate(use):
        mine = [n for n, m in enumerate(label) if m == k]
        if not mine:
            continue
        home = Point(geo.lonlat(*points[k]))
        groups = _groups(faces, mine)
        if len(groups) == 1:
            continue
        def rank(g):
            u = [faces[n] for n in g]
            return (-min(f.distance(home) for f in u) if rows[i]["home"] else 0, sum(f.area for f in u))
        keep = max(groups, key=rank)
        for g in groups:
            if g is keep:
                continue
            if not rows[i]["home"]:
                big = sum(faces[n].area for n in g) > 5e-4
                if big:
                    continue
            for n in g:
                best = {}
                for m in tree.query(faces[n]):
                    if m in g or label[m] < 0 or label[m] == k:
                        continue
                    shared = faces[n].boundary.intersection(faces[m].boundary).length
                    best[label[m]] = best.get(label[m], 0.0) + shared
                label[n] = max(best, key=lambda q: (best[q], -q)) if best and max(best.values()) > 0 else -1
    return label


def _groups(faces, idx):
    left, out = set(idx), []
    while left:
        seed = min(left)
        left.discard(seed)
        group, stack = [seed], [seed]
        while stack:
            a = stack.pop()
            for b in sorted(left):
                if faces[a].intersects(faces[b]) and faces[a].boundary.intersection(faces[b].boundary).length > 0:
                    left.discard(b)
                    group.append(b)
                    stack.append(b)
        out.append(group)
    return out
