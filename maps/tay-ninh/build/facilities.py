"""Schools, clinics, stations and cameras: real counts, made-up positions inside their communes."""
from __future__ import annotations

import math

import numpy as np
import shapely
from shapely.geometry import Point
from shapely.ops import nearest_points

import geo
import inputs

SCHOOLS, CLINICS = 1012, 214
LEVEL_SHARE = [("mam_non", 0.335), ("tieu_hoc", 0.375), ("thcs", 0.225), ("thpt", 0.065)]
LEVEL_NAME = {"mam_non": "Trường Mầm non", "tieu_hoc": "Trường Tiểu học", "thcs": "Trường THCS", "thpt": "Trường THPT"}
PUPILS = {"mam_non": (140, 420), "tieu_hoc": (280, 980), "thcs": (350, 1250), "thpt": (600, 1800)}
HEROES = ["Nguyễn Du", "Lê Lợi", "Trần Hưng Đạo", "Nguyễn Trãi", "Lý Thường Kiệt", "Võ Thị Sáu", "Kim Đồng", "Nguyễn Đình Chiểu", "Phan Chu Trinh",
          "Nguyễn Thái Bình", "Hoàng Hoa Thám", "Lê Văn Tám", "Ngô Quyền", "Trần Phú", "Nguyễn Văn Trỗi", "Quang Trung", "Bạch Đằng", "Nguyễn Huệ",
          "Lê Hồng Phong", "Nguyễn Trung Trực", "Hùng Vương", "Nguyễn Thị Minh Khai", "Chu Văn An", "Lương Thế Vinh", "Lê Quý Đôn", "Nguyễn Tri Phương"]
FLOWERS = ["Hoa Sen", "Hướng Dương", "Sao Mai", "Rạng Đông", "Hoa Mai", "Tuổi Thơ", "Vành Khuyên", "Sơn Ca", "Măng Non", "Bình Minh", "Họa Mi", "Hoa Hồng", "Bông Sen", "Ánh Dương"]


class Ground:
    """Where facilities may stand: in the commune, off the water, near its villages and roads."""

    def __init__(self, rows, cells_m, water_m, roads, place_list, avoid_m):
        self.by = {c["code"]: c for c in rows if c["home"]}
        self.cells = cells_m
        self.water = water_m.buffer(70)
        shapely.prepare(self.water)
        self.avoid = avoid_m
        shapely.prepare(self.avoid)
        self.roads = shapely.union_all([r["line"] for r in roads if r["class"] != "motorway" and r["status"] == "open"])
        self.inner = {k: g.buffer(-min(220.0, 0.05 * math.sqrt(g.area))) for k, g in cells_m.items()}
        self.center = {}
        for p in place_list:
            code = p["commune"]
            if p["class"] == "town" and code and code not in self.center:
                q = geo.xy(p["lon"], p["lat"])
                if self.inner[code].contains(Point(q)):
                    self.center[code] = q
        old = {}
        for r in inputs.facts("old_to_new_communes.csv"):
            if r["old_name"] not in old.setdefault(r["new_code"], []):
                old[r["new_code"]].append(r["old_name"])
        self.old = {}
        for code, c in self.by.items():
            if code not in self.center:
                self.center[code] = geo.xy(c["lon"], c["lat"])
            names = [_bare(n) for n in old.get(code, [])]
            names = [n for n in dict.fromkeys(names) if not n[-1].isdigit() and n != c["name"]]
            self.old[code] = names
        self.villages = {code: self._villages(code) for code in sorted(self.by)}

    def _villages(self, code):
        """The commune's centre, one village per old commune and a few hamlets, spread out."""
        r = geo.rng("villages", code)
        cell, c = self.inner[code], self.center[code]
        size = math.sqrt(cell.area)
        out = [(c, self.by[code]["name"], 1.0)]
        names = self.old[code] + [None] * 3
        near_roads = self.roads.intersection(cell)
        for n, name in enumerate(names):
            best = None
            for _ in range(60):
                p = self._any(r, cell)
                if near_roads.length > 500 and r.uniform() < 0.7:
                    q = near_roads.interpolate(r.uniform(0, near_roads.length)) if near_roads.geom_type == "LineString" else r.choice(np.array(near_roads.geoms)).interpolate(r.uniform(), normalized=True)
                    p = (q.x + r.normal(0, 180), q.y + r.normal(0, 180))
                if not self.free(code, p):
                    continue
                d = min(math.dist(p, v[0]) for v in out)
                score = min(d, 0.35 * size) - 0.15 * math.dist(p, c)
                if best is None or score > best[0]:
                    best = (score, p)
            if best:
                out.append((best[1], name, 0.42 if name else 0.18))
        return out

    def _any(self, r, cell):
        x0, y0, x1, y1 = cell.bounds
        for _ in range(200):
            p = (r.uniform(x0, x1), r.uniform(y0, y1))
            if cell.contains(Point(p)):
                return p
        q = cell.representative_point()
        return (q.x, q.y)

    def free(self, code, p) -> bool:
        pt = Point(p)
        return self.inner[code].contains(pt) and not shapely.intersects(self.water, pt) and not shapely.intersects(self.avoid, pt)

    def spot(self, r, code, village, spread, taken, gap=140.0):
        """A free point about a village, drawn towards the roads."""
        c = village[0]
        for n in range(400):
            s = spread * (1 + n / 60)
            p = (c[0] + r.normal(0, s), c[1] + r.normal(0, s))
            if r.uniform() < 0.45:
                q = nearest_points(self.roads, Point(p))[0]
                d = math.dist(p, (q.x, q.y))
                if 60 < d < 1500:
                    t = 1 - (r.uniform(40, 160) / d)
                    p = (p[0] + (q.x - p[0]) * t, p[1] + (q.y - p[1]) * t)
            if self.free(code, p) and all(math.dist(p, q) > gap for q in taken):
                taken.append(p)
                return p
        p = self._any(r, self.inner[code])
        taken.append(p)
        return p

    def ward(self, code) -> str:
        c = self.by[code]
        return ("phường " if c["type"] == "Phường" else "xã ") + c["name"]

    def at(self, p):
        """The commune whose cell holds the plane point."""
        pt = Point(p)
        for code in sorted(self.cells):
            if self.cells[code].contains(pt):
                return code
        return min(sorted(self.cells), key=lambda k: self.cells[k].distance(pt))


def _bare(name):
    for t in ("Thị trấn ", "Phường ", "Xã ", "Thị xã "):
        if name.startswith(t):
            return name[len(t):]
    return name


def quota(ground, total, least, power=0.45):
    """Largest-remainder split of a total over communes; wards and towns weigh more."""
    codes = sorted(ground.by)
    weight = {}
    for k in codes:
        c = ground.by[k]
        a = ground.cells[k].area / 1e6
        weight[k] = (a ** power) * (1.5 if c["type"] == "Phường" else 1.0) * (0.6 + 0.4 * min(4, len(ground.old[k]) + 1) / 2)
    spare = total - least * len(codes)
    share = {k: spare * weight[k] / sum(weight.values()) for k in codes}
    out = {k: least + int(share[k]) for k in codes}
    rest = total - sum(out.values())
    for k in sorted(codes, key=lambda k: (-(share[k] % 1), k))[:rest]:
        out[k] += 1
    return out


def schools(ground):
    counts = quota(ground, SCHOOLS, 4)
    out = []
    for code in sorted(counts):
        r = geo.rng("schools", code)
        n = counts[code]
        levels = ["mam_non", "tieu_hoc", "thcs"]
        share = {k: v * n for k, v in LEVEL_SHARE}
        while len(levels) < n:
            got = {k: levels.count(k) for k, _ in LEVEL_SHARE}
            levels.append(max(LEVEL_SHARE, key=lambda q: share[q[0]] - got[q[0]] + 0.3 * geo.noise(code, len(levels), q[0]))[0])
        taken, used = [], set()
        villages = ground.villages[code]
        size = math.sqrt(ground.cells[code].area)
        per = {k: 0 for k, _ in LEVEL_SHARE}
        for k, level in enumerate(sorted(levels, key=[q[0] for q in LEVEL_SHARE].index)):
            m = per[level]
            per[level] += 1
            named = [v for v in villages if v[1]]
            if m < len(named):
                v, base = named[m], named[m][1]
            else:
                v = villages[int(r.integers(0, len(villages)))]
                pool = FLOWERS if level == "mam_non" else HEROES
                base = pool[int(r.integers(0, len(pool)))]
            name = f"{LEVEL_NAME[level]} {base}"
            for suffix in ("", " A", " B", " C", " D", " E", " F", " G", " H"):
                if name + suffix not in used:
                    name += suffix
                    break
            used.add(name)
            p = ground.spot(r, code, v, min(650.0, 0.07 * size), taken)
            lo, hi = PUPILS[level]
            out.append({"id": f"school-{code}-{k + 1:02d}", "name": name, "level": level, "pupils": int(r.integers(lo // 5, hi // 5) * 5), "commune": code, "p": p})
    return out


CENTRES = [("25459", "Tân Ninh"), ("25645", "Hòa Thành"), ("25585", "Châu Thành"), ("25552", "Dương Minh Châu"), ("25516", "Tân Châu"), ("25486", "Tân Biên"),
           ("25654", "Gò Dầu"), ("25681", "Bến Cầu"), ("25708", "Trảng Bàng"), ("27694", "Tân An"), ("27787", "Kiến Tường"), ("27721", "Tân Hưng"), ("27757", "Vĩnh Hưng"),
           ("27823", "Mộc Hóa"), ("27826", "Tân Thạnh"), ("27865", "Thạnh Hóa"), ("27898", "Đức Huệ"), ("27931", "Đức Hòa"), ("27991", "Bến Lức"), ("28036", "Thủ Thừa"),
           ("28075", "Tân Trụ"), ("28108", "Cần Đước"), ("28159", "Cần Giuộc"), ("28210", "Châu Thành (Tầm Vu)")]
HOSPITALS = [("25459", "Bệnh viện Đa khoa Tây Ninh", 700), ("25459", "Bệnh viện Y dược cổ truyền Tây Ninh", 150), ("25645", "Bệnh viện Phục hồi chức năng Tây Ninh", 120),
             ("25459", "Bệnh viện Đa khoa tư nhân Tân Ninh (mẫu)", 150), ("25630", "Bệnh viện Đa khoa tư nhân Long Hoa (mẫu)", 200), ("25708", "Bệnh viện Đa khoa tư nhân Trảng Bàng (mẫu)", 120),
             ("27694", "Bệnh viện Đa khoa Long An", 900), ("27694", "Bệnh viện Y học cổ truyền Long An", 150), ("27715", "Bệnh viện Tâm thần Long An", 100), ("27931", "Bệnh viện Đa khoa khu vực Hậu Nghĩa", 450),
             ("28159", "Bệnh viện Đa khoa khu vực Cần Giuộc", 300), ("27787", "Bệnh viện Đa khoa khu vực Đồng Tháp Mười", 250), ("27991", "Bệnh viện Đa khoa tư nhân Bến Lức (mẫu)", 150), ("28108", "Bệnh viện Đa khoa khu vực Cần Đước", 200)]


def clinics(ground):
    out, taken = [], {k: [] for k in ground.by}

    def add(code, name, level, beds, village, spread):
        n = sum(o["commune"] == code for o in out) + 1
        r = geo.rng("clinic", code, n)
        p = ground.spot(r, code, village, spread, taken[code], 200.0)
        out.append({"id": f"clinic-{code}-{n:02d}", "name": name, "level": level, "beds": beds, "commune": code, "p": p})

    for code in sorted(ground.by):
        add(code, f"Trạm Y tế {ground.ward(code)}", "tram_y_te", 5, ground.villages[code][0], 250.0)
    for code, name in CENTRES:
        add(code, f"Trung tâm Y tế {name}", "ttyt", 60 + int(geo.rng("beds", code).integers(0, 15)) * 10, ground.villages[code][0], 450.0)
    for code, name, beds in HOSPITALS:
        add(code, name, "benh_vien", beds, ground.villages[code][0], 600.0)
    posts = []
    for code in sorted(ground.by):
        for k, v in enumerate(v for v in ground.villages[code][1:] if v[1]):
            posts.append((k, -ground.cells[code].area, code, v))
    posts.sort(key=lambda q: q[:3])
    for k, _, code, v in posts[: CLINICS - len(out)]:
        add(code, f"Điểm trạm Y tế {v[1]}", "tram_y_te", 3, v, 250.0)
    assert len(out) == CLINICS, len(out)
    out.sort(key=lambda o: o["id"])
    return out


def stations(ground, rivers, lake_m, outline_m):
    """Air, surface-water and water-level stations of the fact table."""
    out = {"air": [], "water": [], "level": []}
    line = {}
    for name, p in rivers:
        if name:
            g = geo.to_m(shapely.LineString(p))
            line[name] = g if name not in line else line[name].union(g)
    for f in inputs.facts("stations.csv"):
        p = Point(geo.xy(float(f["lon"]), float(f["lat"])))
        if f["on"] == "lake":
            p = nearest_points(lake_m.buffer(-250).intersection(outline_m.buffer(-250)), p)[0]
        elif f["on"]:
            cell = ground.cells[f["commune"]].buffer(-60)
            inside = line[f["on"]].intersection(cell)
            p = nearest_points(line[f["on"]] if inside.is_empty else inside, p)[0]
        if f["on"] == "" and f["position"] == "published":
            lon, lat = float(f["lon"]), float(f["lat"])
        else:
            lon, lat = geo.lonlat(p.x, p.y)
        code = ground.at((p.x, p.y))
        out[f["layer"]].append({**f, "commune": code, "lon": lon, "lat": lat})
    return out


def outlets(ground, parks, total, kind):
    """Waste-water outlets or stacks inside the parks that stand; large parks have more."""
    live = [p for p in parks if p["status"] != "planned"]
    share = {p["id"]: math.sqrt(p["area"]) for p in live}
    if kind == "stack":
        live = sorted(live, key=lambda p: -p["area"])[:22]
    s = sum(share[p["id"]] for p in live)
    n = {p["id"]: 1 + int((total - len(live)) * share[p["id"]] / s) for p in live}
    for p in sorted(live, key=lambda p: -p["area"]):
        if sum(n.values()) < total:
            n[p["id"]] += 1
    while sum(n.values()) < total:
        n[live[sum(n.values()) % len(live)]["id"]] += 1
    plants = ["Dệt may", "Giày da", "Thực phẩm", "Cao su", "Hóa chất", "Giấy", "Cơ khí", "Bao bì", "Chế biến mì", "Điện tử", "Nhựa", "Gỗ", "Thức ăn chăn nuôi", "Dược phẩm"]
    out = []
    for p in sorted(live, key=lambda p: int(p["id"][2:])):
        r = geo.rng(kind, p["id"])
        taken = []
        inner = p["geom_m"].buffer(-60)
        for k in range(n[p["id"]]):
            for _ in range(300):
                x0, y0, x1, y1 = inner.bounds
                q = (r.uniform(x0, x1), r.uniform(y0, y1))
                if inner.contains(Point(q)) and all(math.dist(q, t) > 110 for t in taken):
                    break
            taken.append(q)
            if kind == "ww":
                what = "Nhà máy xử lý nước thải tập trung" if k == 0 else f"{plants[int(r.integers(0, len(plants)))]} {k}"
                site = p["name"] if k == 0 else f"{what} – {p['name']}"
                name = f"Nước thải {p['name']}" if k == 0 else f"Nước thải {what} – {p['name']}"
            else:
                what = ["Lò hơi", "Lò sấy", "Lò đốt", "Lò nấu"][int(r.integers(0, 4))]
                site = p["name"]
                name = f"Ống khói {what.lower()} {k + 1} – {p['name']}"
            code = ground.at(q)
            out.append({"id": f"{kind}-{p['id'][2:]}-{k + 1:02d}", "name": name, "site": site, "commune": code, "p": q})
    assert len(out) == total, (kind, len(out))
    return out
