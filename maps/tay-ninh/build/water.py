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
