"""Section 4 of the targets: the 28,679 pairs of one of the first 20,000 parcels and a zone that meet, and unions."""

import numpy as np
from bench import Disagreement, close_to

PAIRS, PARCELS = 28_679, 20_000


def areas(bench, process, job, engine, n):
    return np.array(bench.engines[process].ask("answer", job=job, engine=engine, n=n)["areas"])


def prepare(bench, process, job):
    bench.engines[process].ask("prepare", job=job)


def measure(bench):
    bench.use("shapely", "pyproj", "geo", "@turf/intersect", "node")
    plane(bench)
    ellipsoid(bench)
    unions(bench)


def plane(bench):
    """Square degrees. Ours on one thread and on two, the areas alone and by way of the shapes, which is all that the peers
    can do; GEOS over whole arrays, geo and Turf pair by pair."""
    prepare(bench, "shapely", "overlay_plane")
    parcels = areas(bench, "shapely", "overlay_parcels", "", PAIRS)
    for process, engine, name, whole, quick, targets in [
        ("shapely", "", "Shapely (GEOS)", PAIRS, 6_000, {"ours": 1.5, "ours 2": 3}),
        ("rust", "geo", "geo (i_overlay)", PAIRS, 6_000, {"ours": None}),
        ("node", "", "Turf", 400, 200, {"ours": None}),
    ]:
        n = bench.pick(whole, quick)
        turns = [(job, *turn) for job in ("overlay_plane", "overlay_shapes") for turn in targets.items()]
        for job, ours, target in turns:

            def check():
                for one in {process, "rust"}:
                    prepare(bench, one, job)
                own = areas(bench, "rust", job, ours, n)
                theirs = areas(bench, process, job, engine, n)
                close_to("sum of areas", own.sum(), theirs.sum(), 1e-9)
                if process != "shapely":
                    return ""
                worst = float(np.max(np.abs(own - theirs) / parcels[:n]))
                if worst > 5e-8:
                    raise Disagreement(f"a pair is off by {worst:.1e} of its parcel")
                return f"sum within {abs(own.sum() / theirs.sum() - 1):.0e}, each pair within {worst:.0e} of its parcel"

            bench.compare(
                f"{'areas' if job == 'overlay_plane' else 'shapes'} of {n:,} intersections, {'two threads' if ours == 'ours 2' else 'one thread'}",
                name,
                "µs",
                lambda: bench.engines["rust"].ask("run", job=job, engine=ours, n=n)["seconds"],
                lambda: bench.engines[process].ask("run", job=job, engine=engine, n=n)["seconds"],
                check,
                pairs=bench.pick(5, 3),
                target=target,
                items=n,
            )


def ellipsoid(bench):
    """Square metres on WGS84; the peer cuts in the plane and measures the ring by geodesics."""
    n = bench.pick(PAIRS, 3_000)

    def check():
        own = areas(bench, "rust", "overlay_ellipsoid", "ours", n)
        theirs = areas(bench, "shapely", "overlay_ellipsoid", "", n)
        close_to("sum of areas", own.sum(), theirs.sum(), 1e-6)
        return f"sum within {abs(own.sum() / theirs.sum() - 1):.0e}"

    bench.compare(
        f"areas on the ellipsoid of {n:,} intersections",
        "Shapely + pyproj.Geod",
        "µs",
        lambda: bench.engines["rust"].ask("run", job="overlay_ellipsoid", engine="ours", n=n)["seconds"],
        lambda: bench.engines["shapely"].ask("run", job="overlay_ellipsoid", engine="", n=n)["seconds"],
        check,
        pairs=bench.pick(5, 1),
        items=n,
    )


def unions(bench):
    n = bench.pick(PARCELS, 5_000)
    for process, engine, name, tolerance in [
        ("shapely", "unary_union", "Shapely unary_union", 1e-9),
        ("shapely", "coverage_union", "Shapely coverage_union", 1e-9),
        # It rounds to one lattice of 32 bits for all that it is given.
        ("rust", "geo", "geo unary_union", 1e-7),
    ]:

        def check():
            own = areas(bench, "rust", "union_parcels", "ours", n)
            close_to("area", own.sum(), areas(bench, process, "union_parcels", engine, n).sum(), tolerance)

        bench.compare(
            f"union of {n:,} parcels",
            name,
            "ms",
            lambda: bench.engines["rust"].ask("run", job="union_parcels", engine="ours", n=n)["seconds"],
            lambda: bench.engines[process].ask("run", job="union_parcels", engine=engine, n=n)["seconds"],
            check,
            pairs=bench.pick(5, 3),
            per=1e3,
        )
