"""GeoJSON files, one feature a line, written atomically and always the same bytes."""
from __future__ import annotations

import json
import os
import pathlib
import unicodedata

import geo


def feature(fid: str, geom, props: dict) -> dict:
    clean = {}
    for k, v in props.items():
        if v is None or v == "":
            continue
        clean[k] = unicodedata.normalize("NFC", v) if isinstance(v, str) else v
    return {"type": "Feature", "id": fid, "properties": clean, "geometry": geometry(geom)}


def geometry(g) -> dict:
    g = geo.wound(g)
    t = g.geom_type
    if t == "Point":
        c = pt(g.coords[0])
    elif t == "LineString":
        c = path(g.coords)
    elif t == "MultiLineString":
        c = [path(q.coords) for q in g.geoms]
    elif t == "Polygon":
        c = rings(g)
    elif t == "MultiPolygon":
        c = [rings(q) for q in g.geoms]
    else:
        raise ValueError(t)
    return {"type": t, "coordinates": c}


def pt(c):
    return [round(float(c[0]), 6) + 0.0, round(float(c[1]), 6) + 0.0]


def path(coords):
    out = []
    for c in coords:
        q = pt(c)
        if not out or out[-1] != q:
            out.append(q)
    return out


def rings(p):
    return [path(p.exterior.coords), *(path(r.coords) for r in p.interiors)]


def write(folder: pathlib.Path, name: str, features: list[dict], limit: int = 2_000_000) -> int:
    ids = [f["id"] for f in features]
    assert len(ids) == len(set(ids)), f"{name}: ids repeat"
    assert all(i.isascii() for i in ids), name
    rows = [json.dumps(f, ensure_ascii=False, separators=(",", ":")) for f in features]
    text = '{"type":"FeatureCollection","features":[\n' + ",\n".join(rows) + "\n]}\n"
    data = text.encode("utf-8")
    assert len(data) < limit, f"{name}: {len(data)} bytes"
    folder.mkdir(parents=True, exist_ok=True)
    tmp = folder / f".{name}.tmp"
    tmp.write_bytes(data)
    os.replace(tmp, folder / f"{name}.geojson")
    return len(data)
