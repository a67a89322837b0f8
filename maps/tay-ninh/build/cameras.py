"""375 cameras at 147 sites of old Tây Ninh: junctions, roads, gates, parks, towns."""
from __future__ import annotations

import math

import shapely
from shapely.geometry import Point
from shapely.ops import nearest_points

import geo

SITES = 147
TYPES = [("ai_security", 30), ("ai_traffic", 30), ("long_ptz", 27), ("ptz", 75), ("fixed", 213)]
TYPE_NAME = {"ai_security": "AI an ninh", "ai_traffic": "AI giao thông", "long_ptz": "PTZ tầm xa", "ptz": "PTZ", "fixed": "cố định"}
SPOTS = ["Chợ", "Vòng xoay", "Công viên", "Bến xe", "Ngã tư trung tâm", "Cầu", "Khu dân cư", "Trường học", "Cổng chào"]


def old_tay_ninh(code: str) -> bool:
    return code < "27000"


def sites(ground, network, gates, parks, places):
    """[(name, point, along-road bearing or None, traffic?)], exactly SITES of them."""
    out = []

    def add(name, p, bearing, traffic, gap=260.0):
        code = ground.at(p)
        if not old_tay_ninh(code) or len(out) >= SITES or not ground.cells[code].contains(Point(p)):
            return
        if any(math.dist(p, o["p"]) < gap for o in out) or any(o["name"] == name for o in out):
            return
        out.append({"name": name, "p": p, "bearing": bearing, "traffic": traffic, "commune": code})

    town = {p["id"]: p for p in places}
    # 1. junctions of two roads or more
    for knot in sorted(network.at):
        refs = list(dict.fromkeys(r for r in network.at[knot] if not r.startswith("CT")))
        if len(refs) < 2:
            continue
        p = geo.xy(*network.knot[knot])
        code = ground.at(p)
        add(f"Nút giao {refs[0]} – {refs[1]}, {ground.by[code]['name']}", p, _bearing(network.by_ref(refs[0])["line"], p), True, 150)
    lines = [(r["ref"], r["line"]) for r in network.roads if not r["ref"].startswith("CT")]
    for a in range(len(lines)):
        for b in range(a + 1, len(lines)):
            for q in getattr(lines[a][1].intersection(lines[b][1]), "geoms", [lines[a][1].intersection(lines[b][1])]):
                if q.geom_type == "Point":
                    code = ground.at((q.x, q.y))
                    add(f"Nút giao {lines[a][0]} – {lines[b][0]}, {ground.by[code]['name']}", (q.x, q.y), _bearing(lines[a][1], (q.x, q.y)), True, 700)
    # 2. border gates, parks, the dam, the mountain
    for g in gates:
        p = geo.xy(g["lon"], g["lat"])
        add(g["name"], p, None, False, 60)
    for k in parks:
        if k["status"] != "planned":
            edge = nearest_points(k["geom_m"].boundary, nearest_points(network_open(network), k["geom_m"])[0])[0]
            add(f"Cổng {k['name']}", (edge.x, edge.y), None, False)
    for name, at in (("Đập chính hồ Dầu Tiếng", network.knot["dap-dau-tieng"]), ("Khu du lịch núi Bà Đen", (106.1650, 11.3560))):
        add(name, geo.xy(*at), None, False)
    # 3. two or three public places in each town
    for pid in ("tan-ninh", "hoa-thanh", "trang-bang", "go-dau", "an-tinh", "tan-bien", "tan-chau", "ben-cau", "moc-bai", "duong-minh-chau", "chau-thanh"):
        p0 = town[pid]
        c = geo.xy(p0["lon"], p0["lat"])
        r = geo.rng("camera-town", pid)
        many = 7 if pid in ("tan-ninh", "hoa-thanh", "trang-bang") else 3
        for spot in SPOTS[:many]:
            for _ in range(40):
                p = (c[0] + r.normal(0, 700), c[1] + r.normal(0, 700))
                if ground.free(ground.at(p), p):
                    break
            add(f"{spot} {p0['name']}", p, None, False)
    # 4. one at each commune hall
    for code in sorted(ground.by):
        if old_tay_ninh(code):
            r = geo.rng("camera-hall", code)
            c = ground.villages[code][0][0]
            for k in range(60):
                p = (c[0] + r.normal(0, 120 + 20 * k), c[1] + r.normal(0, 120 + 20 * k))
                if ground.free(code, p):
                    break
            add(f"UBND {ground.ward(code)}", p, None, False)
    # 5. the rest along the roads, evenly
    want = SITES - len(out)
    for step in (3000.0, 2200.0, 1600.0):
        for road in network.roads:
            if len(out) >= SITES or road["status"] != "open" or road["class"] == "motorway":
                continue
            d = 900.0 + 700.0 * geo.noise("km", road["ref"], step)
            while d < road["line"].length:
                q = road["line"].interpolate(d)
                p = (q.x, q.y)
                code = ground.at(p)
                if road["ref"] in ("QL22", "QL22B") or step < 3000.0 or geo.noise(road["ref"], round(d)) > 0.2:
                    add(f"{road['ref']} Km {int(d // 1000)}+{int(d % 1000 // 100)}00, {ground.by[code]['name']}", p, _bearing(road["line"], p), True, step * 0.6)
                d += step * (1 + 0.18 * geo.noise("step", road["ref"], round(d)))
    assert len(out) == SITES, (len(out), want)
    return out


def network_open(network):
    return shapely.union_all([r["line"] for r in network.roads if r["status"] == "open" and r["class"] != "motorway"])


def _bearing(line, p):
    d = line.project(Point(p))
    a, b = line.interpolate(max(0, d - 60)), line.interpolate(min(line.length, d + 60))
    return math.degrees(math.atan2(b.x - a.x, b.y - a.y)) % 360


def cameras(ground, network, gates, parks, places):
    spots = sites(ground, network, gates, parks, places)
    total = sum(n for _, n in TYPES)
    # Every site has one; junctions and towns get the others.
    per = [1] * SITES
    order = sorted(range(SITES), key=lambda k: (not spots[k]["traffic"], k))
    k = 0
    while sum(per) < total:
        i = order[k % SITES]
        if per[i] < 4:
            per[i] += 1
        k += 1
    pool = [t for t, n in TYPES for _ in range(n)]
    slots = [(i, j) for i in range(SITES) for j in range(per[i])]
    # AI traffic at junctions, AI security elsewhere, long PTZ at gates and dam, the rest dealt evenly.
    kind = {}
    def take(t, wish, n):
        got = 0
        for s in sorted((s for s in slots if s not in kind), key=lambda s: (wish(s), geo.noise(t, s))):
            if got == n:
                break
            kind[s] = t
            got += 1
    n_of = dict(TYPES)
    take("ai_traffic", lambda s: (not spots[s[0]]["traffic"], s[1] != 0), n_of["ai_traffic"])
    take("ai_security", lambda s: (spots[s[0]]["traffic"], s[1] != 0), n_of["ai_security"])
    take("long_ptz", lambda s: (spots[s[0]]["traffic"], s[1] != 1), n_of["long_ptz"])
    take("ptz", lambda s: (s[1] != 1,), n_of["ptz"])
    take("fixed", lambda s: 0, n_of["fixed"])
    assert len(kind) == len(pool) == total
    out = []
    for i, spot in enumerate(spots):
        r = geo.rng("camera", i)
        base = spot["bearing"] if spot["bearing"] is not None else float(r.integers(0, 360))
        for j in range(per[i]):
            t = kind[(i, j)]
            turn = (base + j * (180 if per[i] == 2 else 360 / per[i])) % 360
            a = math.radians(turn)
            p = (spot["p"][0] + 9 * math.sin(a), spot["p"][1] + 9 * math.cos(a))
            if not ground.cells[spot["commune"]].contains(Point(p)):
                p = spot["p"]
            name = spot["name"] if per[i] == 1 or j == 0 else f"{spot['name']} – {TYPE_NAME[t]} {j + 1}"
            out.append({"id": f"cam-{i + 1:03d}-{j + 1}", "name": name, "site": f"site-{i + 1:03d}", "site_name": spot["name"], "type": t,
                        "bearing": int(round(turn)) % 360, "commune": spot["commune"], "p": p})
    return out
