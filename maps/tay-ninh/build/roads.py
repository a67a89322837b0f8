"""Places, border gates and the schematic road network."""
from __future__ import annotations

import math

from shapely.geometry import LineString, Point
from shapely.ops import nearest_points

import geo
import inputs


def places(rows) -> list[dict]:
    by_code = {c["code"]: c for c in rows}
    names = inputs.geonames()
    out = []
    for f in inputs.facts("places.csv"):
        if f["geonameid"]:
            g = names[int(f["geonameid"])]
            lon, lat, src = g["longitude"], g["latitude"], "GeoNames"
        elif f["lon"]:
            lon, lat, src = float(f["lon"]), float(f["lat"]), "schematic"
        else:
            c = by_code[f["commune"]]
            lon, lat, src = c["lon"], c["lat"], "vietnamadminunits"
        out.append({**f, "lon": float(lon), "lat": float(lat), "source": src})
    return out


def gates(cells, national) -> list[dict]:
    """Gates moved onto the national border line, a little inside their commune."""
    out = []
    for f in inputs.facts("border_gates.csv"):
        cell = geo.to_m(cells[f["commune"]])
        line = geo.to_m(national).intersection(cell.buffer(60))
        want = Point(geo.xy(float(f["lon"]), float(f["lat"])))
        on = nearest_points(line, want)[0]
        inside = cell.buffer(-150)
        p = nearest_points(inside, on)[0]
        lon, lat = geo.lonlat(p.x, p.y)
        out.append({**f, "lon": lon, "lat": lat})
    return out


SWAY = {"motorway": 0.018, "trunk": 0.035, "primary": 0.06}


def _swayed(pts, sway):
    """A spline through the knots, swung a little to the side between them (not at the knots)."""
    curve = geo.spline(pts, 300.0)
    at = [min(range(len(curve)), key=lambda i: math.dist(curve[i], p)) for p in pts]
    out = list(curve)
    for k, (i, j) in enumerate(zip(at, at[1:])):
        d = math.dist(pts[k], pts[k + 1])
        reach = min(sway * d, 900.0)
        key = tuple(round(v) for v in (*pts[k], *pts[k + 1]))
        one, two = reach * geo.noise("sway", key, 1), reach * geo.noise("sway", key, 2)
        for m in range(i + 1, j):
            t = (m - i) / (j - i)
            s = math.sin(math.pi * t) * (one * math.sin(math.pi * t) + two * math.sin(2 * math.pi * t))
            (x0, y0), (x1, y1) = curve[m - 1], curve[m + 1]
            n = math.hypot(x1 - x0, y1 - y0) or 1.0
            out[m] = (curve[m][0] - (y1 - y0) / n * s, curve[m][1] + (x1 - x0) / n * s)
    return out


class Network:
    """Roads as splines through shared knots."""

    def __init__(self, rows, place_list, gate_list):
        by_code = {c["code"]: c for c in rows}
        self.knot = {}
        for p in place_list:
            self.knot["p:" + p["id"]] = (p["lon"], p["lat"])
        for g in gate_list:
            self.knot["g:" + g["id"]] = (g["lon"], g["lat"])
        for n in inputs.facts("road_nodes.csv"):
            self.knot[n["id"]] = (float(n["lon"]), float(n["lat"]))
        self.roads, self.at = [], {}
        for f in inputs.facts("roads.csv"):
            knots = f["knots"].split()
            pts = []
            for k in knots:
                if k.startswith("c:"):
                    c = by_code[k[2:]]
                    self.knot[k] = (c["lon"], c["lat"])
                pts.append(geo.xy(*self.knot[k]))
                self.at.setdefault(k, []).append(f["ref"])
            line = LineString(_swayed(pts, SWAY[f["class"]]))
            self.roads.append({**f, "line": line})

    def by_ref(self, ref):
        return next(r for r in self.roads if r["ref"] == ref)

    def clipped(self, window):
        for r in self.roads:
            for part in geo.lines(geo.to_deg(r["line"]).intersection(window)):
                yield r, part

    def all_lines(self, open_only=True):
        return [r["line"] for r in self.roads if not open_only or r["status"] == "open"]
