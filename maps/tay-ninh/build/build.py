#!/usr/bin/env python3
"""Makes every file of ../data from packages and the fact tables. See README.md."""
from __future__ import annotations

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import shapely
from shapely.geometry import LineString, Point, box
from shapely.ops import linemerge
from unidecode import unidecode

import cameras
import communes
import facilities
import geo
import inputs
import parcels
import roads
import water
from output import feature, write

VN2000 = {"Tây Ninh": 9209, "Long An": 9210}


def old_province(code: str) -> str:
    return "Tây Ninh" if code < "27000" else "Long An"


def commune_features(rows, cells, estimated):
    out = []
    for c in rows:
        if not c["home"]:
            continue
        code = c["code"]
        kind = "phuong" if c["type"] == "Phường" else "xa"
        out.append(feature(code, cells[code], {
            "code": code, "name": c["name"], "full_name": c["full_name"], "type": kind, "name_en": unidecode(c["name"]),
            "area_km2": round(float(c["area_used"]), 2), "area_estimated": estimated[code], "old_province": old_province(code),
            "vn2000": VN2000[old_province(code)], "sample": True}))
    return out


def border_lines(rows, cells, land, outline):
    """National border (OpenStreetMap via geo-maps) and the diagram's province borders."""
    w, s, e, n = inputs.BBOX
    window = box(w - 1, s - 1, e + 1, n + 1)
    vn, kh = land["VNM"], land["KHM"]
    line = vn.boundary.intersection(kh.buffer(2e-5)).intersection(window)
    line = linemerge(geo.lines(line)) if len(geo.lines(line)) > 1 else line
    national = []
    for g in geo.lines(line):
        m = geo.to_m(g)
        if m.length > 1500:
            national.append(geo.to_deg(m.simplify(50)))
    national.sort(key=lambda g: (-g.length, g.bounds))
    out = [feature(f"national-{k + 1:02d}", g, {"name": "Biên giới Việt Nam – Campuchia", "name_en": "Vietnam – Cambodia border", "class": "national", "sample": False})
           for k, g in enumerate(national)]
    by = {c["code"]: c for c in rows}
    provinces = {}
    for code, g in cells.items():
        provinces.setdefault(by[code]["province"], []).append(g)
    whole = {p: shapely.union_all(g) for p, g in sorted(provinces.items())}
    names = {"80": "Tây Ninh", "79": "Thành phố Hồ Chí Minh", "82": "Đồng Tháp", "75": "Đồng Nai", "86": "Vĩnh Long", "91": "An Giang"}
    keys = sorted(whole)
    near = geo.to_deg(geo.to_m(outline).buffer(40000))
    k = 0
    for i, a in enumerate(keys):
        for b in keys[i + 1:]:
            shared = whole[a].boundary.intersection(whole[b].boundary)
            merged = linemerge(geo.lines(shared)) if geo.lines(shared) else None
            for g in sorted(geo.lines(merged) if merged is not None else [], key=lambda g: (-g.length, g.bounds)):
                for part in geo.lines(g.intersection(near)):
                    if geo.to_m(part).length < 800:
                        continue
                    k += 1
                    out.append(feature(f"province-{k:02d}", part, {"name": f"{names.get(a, a)} – {names.get(b, b)}", "class": "province", "sample": True}))
    return out, shapely.union_all(national)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent / "data")
    args = ap.parse_args()
    out = args.out
    sizes = {}

    def save(name, features):
        sizes[name] = (len(features), write(out, name, features))
        print(f"  {name}: {len(features)} features, {sizes[name][1] / 1024:.0f} KB", flush=True)

    print("inputs", flush=True)
    land = inputs.land_polygons()
    rivers = water.pulled(water.stitched(water.named_rivers()))
    print("diagram", flush=True)
    rows, raw, vn, river, estimated = communes.build(land, rivers)
    cells = communes.coverage(rows, raw, vn, river)
    home = {c["code"]: cells[c["code"]] for c in rows if c["home"]}
    outline = shapely.coverage_union_all(list(home.values()))
    assert shapely.coverage_is_valid(list(home.values()))
    assert outline.geom_type == "Polygon" and not outline.interiors, "outline is not one piece"
    for c in rows:
        if c["home"]:
            g = home[c["code"]]
            assert g.geom_type == "Polygon" and g.contains(Point(c["lon"], c["lat"])), c["full_name"]
    save("communes", commune_features(rows, home, estimated))
    save("outline", [feature("80", outline, {"name": "Tỉnh Tây Ninh", "name_en": "Tây Ninh Province", "area_km2": communes.AREA_KM2, "sample": True})])
    lines, national = border_lines(rows, cells, land, outline)
    save("border", lines)

    print("water", flush=True)
    lake = water.reservoir()
    lake_deg = geo.snap6(geo.to_deg(lake))
    bodies = [("ho-dau-tieng", "Hồ Dầu Tiếng", lake_deg, "schematic"), *water.wide_water()]
    save("water", [feature(i, geo.snap6(g), {"name": n, "source": s, "sample": "schematic" in s}) for i, n, g, s in bodies])
    save("rivers", water.river_features(rivers, lake_deg))

    print("places and roads", flush=True)
    place_list = roads.places(rows)
    gate_list = roads.gates(home, national)
    net = roads.Network(rows, place_list, gate_list)
    save("places", [feature(p["id"], Point(p["lon"], p["lat"]), {
        "name": p["name"], "rank": int(p["rank"]), "class": p["class"], "commune": p["commune"], "ele": int(p["ele"]) if p["ele"] else None,
        "source": p["source"], "sample": p["source"] == "schematic"}) for p in place_list])
    save("border_gates", [feature("gate-" + g["id"], Point(g["lon"], g["lat"]), {
        "name": g["name"], "name_en": g["name_en"], "class": g["class"], "road": g["road"], "commune": g["commune"], "position": g["position"], "sample": True}) for g in gate_list])
    w, s, e, n = inputs.BBOX
    window = box(w - 0.25, s - 0.25, e + 0.25, n + 0.25)
    road_features = []
    for k, (r, part) in enumerate(net.clipped(window)):
        road_features.append(feature(f"road-{k + 1:03d}", part, {"ref": r["ref"], "name": r["name"], "class": r["class"], "status": r["status"], "sample": True}))
    save("roads", road_features)

    print("lots and parks", flush=True)
    cells_m = {k: geo.to_m(g) for k, g in sorted(home.items())}
    outline_m = geo.to_m(outline)
    river_m = shapely.union_all([geo.to_m(LineString(p)).buffer(60) for nme, p in rivers if nme and LineString(p).intersects(window)])
    water_m = shapely.union_all([river_m, lake, *(geo.to_m(g) for _, _, g, _ in bodies[1:])]).intersection(outline_m.buffer(3000))
    place_xy = {p["id"]: geo.xy(p["lon"], p["lat"]) for p in place_list}
    lots = parcels.planning_lots(cells_m, outline_m, water_m, net.roads, place_xy)
    save("planning_zones", [feature(q["id"], q["geom"], {
        "name": q["name"], "code": q["code"], "land_use": q["land_use"], "area_ha": round(q["area"], 3), "density_pct": q["density"], "storeys": q["storeys"],
        "far": None if q["far"] is None else float(q["far"]), "status": q["status"], "plan": q["plan"], "sample": True}) for q in lots])
    zones = {}
    for q in lots:
        zones.setdefault(q["plan"], []).append(q["geom_m"])
    hulls = [shapely.union_all(g).convex_hull for _, g in sorted(zones.items())]
    parks = parcels.industrial_parks(rows, cells_m, outline_m, water_m, net.roads, hulls)
    save("industrial_parks", [feature(p["id"], p["geom"], {
        "name": p["name"], "commune": p["commune"], "area_ha": round(p["area"], 2), "status": p["status"], "area_kind": p["area_kind"], "sample": True}) for p in parks])

    print("facilities", flush=True)
    avoid = shapely.union_all([p["geom_m"] for p in parks])
    ground = facilities.Ground(rows, cells_m, water_m, net.roads, place_list, avoid)

    def point(q):
        return Point(geo.lonlat(*q["p"])) if "p" in q else Point(q["lon"], q["lat"])

    def simple(items, *keys):
        return [feature(q["id"], point(q), {**{k: q[k] for k in ("name", *keys, "commune")}, "sample": True}) for q in items]

    save("schools", simple(facilities.schools(ground), "level", "pupils"))
    save("clinics", simple(facilities.clinics(ground), "level", "beds"))
    st = facilities.stations(ground, rivers, lake, outline_m)
    save("air_stations", simple(st["air"], "name_en", "position"))
    save("water_stations", simple(st["water"], "name_en", "position"))
    for q in st["level"]:
        q["normal_level_m"] = float(q["normal_m"]) if q["normal_m"] else None
        q["dead_level_m"] = float(q["dead_m"]) if q["dead_m"] else None
    save("water_level_stations", simple(st["level"], "name_en", "position", "normal_level_m", "dead_level_m"))
    save("wastewater_stations", simple(facilities.outlets(ground, parks, 135, "ww"), "site"))
    save("stack_stations", simple(facilities.outlets(ground, parks, 50, "stack"), "site"))
    save("cameras", simple(cameras.cameras(ground, net, gate_list, parks, place_list), "site", "site_name", "type", "bearing"))


if __name__ == "__main__":
    main()
