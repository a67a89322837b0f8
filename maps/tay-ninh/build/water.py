"""Rivers (GSHHG), wide rivers and the sea's edge as polygons, and the schematic reservoir."""
from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon, box
from shapely.ops import linemerge, polygonize

import geo
import inputs

# Level 0 are the two banks of wide rivers, 10 a second copy of level 3: neither is a centre line.
CENTRE = (1, 2, 3, 4)
NAMES = [  # (name, a point on it, lon/lat); names are given by position
    ("Sông Vàm Cỏ Tây", (106.2, 10.665)),
    ("Sông Vàm Cỏ Tây", (105.6, 11.30)),
    ("Sông Vàm Cỏ Đông", (106.28, 11.02)),
    ("Sông Vàm Cỏ Đông", (106.42, 10.75)),
    ("Sông Vàm Cỏ Đông", (105.86, 11.50)),
    ("Sông Sài Gòn", (106.35, 11.35)),
    ("Sông Sài Gòn", (106.66, 10.92)),
    ("Sông Thị Tính", (106.55, 11.25)),
    ("Sông Đồng Nai", (107.0, 11.10)),
]


def named_rivers():
    """[(name, lon/lat array)], merged by name."""
    lines = [LineString(p) for lev, p in inputs.gshhg_rivers() if lev in CENTRE and len(p) > 1 and LineString(p).length > 1e-6]
    merged = sorted(geo.lines(linemerge(lines)), key=lambda g: (-g.length, g.bounds))
    by = {}
    for name, at in NAMES:
        k = min(range(len(merged)), key=lambda i: merged[i].distance(Point(at)))
        if merged[k].distance(Point(at)) < 0.12:
            by.setdefault(k, name)
    out = [(by.get(k, ""), np.array(g.coords)) for k, g in enumerate(merged)]
    return out


def stitched(rivers):
    """One line per river name where its pieces meet within 2 km."""
    groups = {}
    for name, p in rivers:
        if name:
            groups.setdefault(name, []).append(p)
    out = [(n, p) for n, p in rivers if not n]
    for name in sorted(groups):
        parts = groups[name]
        while len(parts) > 1:
            best = None
            for a in range(len(parts)):
                for b in range(a + 1, len(parts)):
                    for ra in (False, True):
                        for rb in (False, True):
                            pa = parts[a][::-1] if ra else parts[a]
                            pb = parts[b][::-1] if rb else parts[b]
                            d = float(np.hypot(*(pa[-1] - pb[0])))
                            if best is None or d < best[0]:
                                best = (d, a, b, np.vstack([pa, pb[1:] if d < 1e-9 else pb]))
            if best[0] > 0.02:
                break
            parts = [q for k, q in enumerate(parts) if k not in best[1:3]] + [best[3]]
        out += [(name, p) for p in parts]
    return out


def pulled(rivers):
    """Bend a river to pass a place known to stand on it (facts/river_points.csv)."""
    out = [(n, np.array(p)) for n, p in rivers]
    for f in inputs.facts("river_points.csv"):
        at = np.array(geo.xy(float(f["lon"]), float(f["lat"])))
        mine = [k for k, (n, _) in enumerate(out) if n == f["river"]]
        plane = {k: np.array([geo.xy(*c) for c in out[k][1]]) for k in mine}
        best = min(mine, key=lambda k: float(np.min(np.hypot(*(plane[k] - at).T))))
        q = plane[best]
        near = int(np.argmin(np.hypot(*(q - at).T)))
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(q, axis=0).T))])
        fade = np.exp(-(((along - along[near]) / 5000.0) ** 2))
        q = q + (at - q[near]) * fade[:, None]
        out[best] = (f["river"], np.array([geo.lonlat(*c) for c in q]))
    return out


# The reservoir is in no packaged source: a shore drawn by hand from general knowledge (normal
# level 24.4 m, about 27,000 ha), right to a few km, roughened so that it reads as a lake.
DAU_TIENG = [
    (106.345, 11.312), (106.322, 11.318), (106.300, 11.330), (106.290, 11.352), (106.278, 11.368), (106.281, 11.388),
    (106.268, 11.402), (106.272, 11.424), (106.252, 11.436), (106.236, 11.441), (106.222, 11.452), (106.232, 11.462),
    (106.254, 11.458), (106.268, 11.470), (106.262, 11.492), (106.246, 11.508), (106.235, 11.532), (106.243, 11.541),
    (106.258, 11.520), (106.279, 11.508), (106.296, 11.500), (106.310, 11.517), (106.307, 11.541), (106.316, 11.566),
    (106.326, 11.548), (106.327, 11.522), (106.342, 11.506), (106.362, 11.508), (106.380, 11.523), (106.396, 11.538),
    (106.418, 11.546), (106.438, 11.560), (106.446, 11.551), (106.430, 11.532), (106.411, 11.520), (106.398, 11.498),
    (106.386, 11.478), (106.392, 11.462), (106.411, 11.455), (106.425, 11.446), (106.416, 11.438), (106.392, 11.443),
    (106.378, 11.430), (106.381, 11.410), (106.396, 11.396), (106.389, 11.389), (106.373, 11.394), (106.366, 11.374),
    (106.372, 11.352), (106.361, 11.336), (106.357, 11.318),
]


def reservoir() -> Polygon:
    """Dầu Tiếng, on the plane (metres)."""
    smooth = geo.spline([geo.xy(*q) for q in DAU_TIENG], 450.0, closed=True)[:-1]
    ring = []
    for a, b in zip(smooth, smooth[1:] + smooth[:1]):
        ring += geo.fractal(a, b, 110.0, 0.24, (round(a[0]), round(a[1])))[:-1]
    lake = shapely.make_valid(Polygon(ring))
    return max(geo.polygons(lake), key=lambda g: g.area)


SEA = [(106.85, 10.28), (107.3, 10.3), (106.9, 9.95), (107.3, 9.95)]
WIDE_RIVERS = {  # id -> (name, points on its faces)
    "song-dong-nai": ("Sông Đồng Nai", [(106.8149, 11.0367), (106.862, 10.8378)]),
    "song-tien": ("Sông Tiền", [(105.562, 10.501), (105.9866, 10.295), (106.1097, 10.2825)]),
    "song-vam-co-cua": ("Sông Vàm Cỏ", [(106.6851, 10.4728)]),
}
LINKS = [  # wide reaches the source leaves out, drawn by hand: (centre line, half widths in metres)
    ([(106.757, 10.682), (106.748, 10.655), (106.756, 10.630), (106.742, 10.605), (106.748, 10.565), (106.753, 10.535)], (450, 900)),
    ([(106.5775, 10.4783), (106.592, 10.468), (106.612, 10.484), (106.635, 10.492), (106.650, 10.472), (106.680, 10.464)], (260, 420)),
    ([(106.690, 10.500), (106.706, 10.507), (106.722, 10.498), (106.735, 10.492)], (500, 800)),
]


def wide_water():
    """[(id, name, polygon lon/lat, source)]: the Soài Rạp with what flows into it down to the sea; the Tiền."""
    w, s, e, n = inputs.BBOX
    window = box(w - 1, s - 1, e + 1, n + 1)
    segs = [LineString(p) for p in inputs.gshhg_shore() if len(p) > 1]
    bins = [LineString([(x, 9), (x, 13)]) for x in range(104, 109)] + [LineString([(104, y), (108, y)]) for y in range(9, 14)]
    faces = list(polygonize(geo.lines(shapely.union_all(segs + bins, grid_size=geo.GRID))))
    faces.sort(key=lambda f: f.bounds)

    def pick(points):
        return [f for f in faces if any(f.contains(Point(q)) for q in points)]

    estuary = [shapely.union_all(pick(SEA))]
    out = []
    for key in sorted(WIDE_RIVERS):
        name, points = WIDE_RIVERS[key]
        body = shapely.union_all(pick(points))
        if key == "song-tien":
            out.append((key, name, body.intersection(window), "GSHHG"))
        else:
            estuary.append(body)
    for line, (a, b) in LINKS:
        pts = geo.spline([geo.xy(*q) for q in line], 250.0)
        k = len(pts) - 1
        for i in range(k):
            r0, r1 = a + (b - a) * i / k, a + (b - a) * (i + 1) / k
            hull = shapely.union_all([Point(pts[i]).buffer(r0, quad_segs=6), Point(pts[i + 1]).buffer(r1, quad_segs=6)]).convex_hull
            estuary.append(geo.to_deg(hull))
    whole = geo.to_m(shapely.union_all(estuary))
    whole = geo.to_deg(whole.buffer(220).buffer(-220).simplify(12))     # rounds the joints
    return [("song-soai-rap", "Sông Soài Rạp", whole.intersection(window), "GSHHG, schematic"), *out]


def river_features(rivers, lake_deg):
    """Centre lines in the map's window; the reservoir swallows the old river bed."""
    from output import feature

    w, s, e, n = inputs.BBOX
    window = box(w - 0.45, s - 0.45, e + 0.45, n + 0.45)
    out, k = [], 0
    for name, p in sorted(rivers, key=lambda q: (q[0] == "", q[0], q[1].tolist())):
        line = LineString(geo_smooth(p)).intersection(window)
        for part in geo.lines(line.difference(lake_deg)):
            if part.length < 0.01:
                continue
            k += 1
            out.append(feature(f"river-{k:02d}", part, {"name": name, "source": "GSHHG", "sample": False}))
    return out


def geo_smooth(p):
    """One corner-cutting pass on the plane: the source is drawn in short straight steps."""
    q = [geo.xy(*c) for c in p]
    out = [q[0]]
    for a, b in zip(q, q[1:]):
        if abs(a[0] - b[0]) + abs(a[1] - b[1]) < 1:
            continue
        out += [(0.75 * a[0] + 0.25 * b[0], 0.75 * a[1] + 0.25 * b[1]), (0.25 * a[0] + 0.75 * b[0], 0.25 * a[1] + 0.75 * b[1])]
    out.append(q[-1])
    return [geo.lonlat(*c) for c in LineString(out).simplify(20).coords]
