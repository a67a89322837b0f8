"""Shapely (GEOS): STRtree in bulk, which is its quickest way, and overlay over whole arrays."""

import sys

import numpy as np
import shapely
from protocol import geometries, hits, load, serve, timed


class Shapely:
    def __init__(self, folder):
        self.folder = folder
        self.cache = {}

    def keep(self, name, make):
        if name not in self.cache:
            self.cache[name] = make()
        return self.cache[name]

    def drop(self, _request):
        self.cache.clear()
        return {}

    def parcels(self):
        return self.keep("parcels", lambda: geometries(self.folder, "parcels"))

    def coords(self):
        return self.keep("coords", lambda: shapely.get_coordinates(geometries(self.folder, "points")))

    def frame(self):
        frame = load(self.folder, "frame.json")
        return np.array([frame["kx"], frame["ky"]])

    def prepare(self, request):
        job = request["job"]
        if job.startswith(("overlay", "union")):
            pairs = np.array(load(self.folder, "pairs.json"))
            zones = geometries(self.folder, "zoning")
            united = geometries(self.folder, "parcels", 20_000)
            self.cache["overlay"] = united[pairs[:, 0]], zones[pairs[:, 1]], united
            return {}
        queries = load(self.folder, "queries.json")
        places = np.array(queries["pt"])
        if job == "bbox_points":
            tree, asked, options = self.coords(), shapely.box(*np.array(queries["bbox"]).T), {}
            tree = shapely.points(tree)
        elif job in ("bbox_boxes", "bbox_parcels"):
            tree, asked = self.parcels(), shapely.box(*np.array(queries["bbox"]).T)
            options = {"predicate": "intersects"} if job == "bbox_parcels" else {}
        elif job == "join":
            tree, asked, options = self.parcels(), shapely.points(np.array(load(self.folder, "join.json"))), {}
            options = {"predicate": "within"}
        elif job in ("nearest_1", "within"):
            frame = self.frame()
            tree, asked, options = shapely.points(self.coords() * frame), shapely.points(places * frame), {}
            if job == "within":
                radii = np.array(load(self.folder, "rad.json")) * frame[1]
                options = {"predicate": "dwithin", "distance": radii}
        else:
            raise ValueError(f"no job {job}")
        tree = shapely.STRtree(tree)
        tree.query(asked[0])  # GEOS builds on the first question
        self.cache[job] = tree, asked, options
        return {}

    def ask(self, request):
        tree, asked, options = self.cache[request["job"]]
        n = request["n"]
        options = {name: value[:n] if name == "distance" else value for name, value in options.items()}
        if request["job"] == "nearest_1":
            return timed(lambda: tree.query_nearest(asked[:n], all_matches=False))
        return timed(lambda: tree.query(asked[:n], **options))

    def overlay(self, request):
        left, right, united = self.cache["overlay"]
        job, engine, n = request["job"], request["engine"], request["n"]
        if job == "union_parcels":
            unite = {"unary_union": shapely.unary_union, "coverage_union": shapely.coverage_union_all}[engine]
            return timed(lambda: [shapely.area(unite(united[:n]))])
        if job == "overlay_parcels":
            return timed(lambda: shapely.area(left[:n]))
        if job in ("overlay_plane", "overlay_shapes"):
            return timed(lambda: shapely.area(shapely.intersection(left[:n], right[:n])))
        from pyproj import Geod

        ellipsoid = Geod(ellps="WGS84")

        def all_areas():
            shapes = shapely.orient_polygons(shapely.intersection(left[:n], right[:n]))
            return [abs(ellipsoid.geometry_area_perimeter(shape)[0]) for shape in shapes]

        return timed(all_areas)

    def run(self, request):
        if request["job"].startswith(("overlay", "union")):
            seconds, areas = self.overlay(request)
            return {"seconds": seconds, "sum": float(np.sum(areas))}
        return {"seconds": self.ask(request)[0]}

    def answer(self, request):
        if request["job"].startswith(("overlay", "union")):
            return {"areas": [float(area) for area in self.overlay(request)[1]]}
        return hits(self.ask(request)[1])

    def version(self, _request):
        return {"version": f"{shapely.__version__} / GEOS {'.'.join(map(str, shapely.geos_version))}"}


serve(Shapely(sys.argv[1]))
