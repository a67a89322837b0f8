"""Section 6 of the targets, the core's share: opening a large home, what it holds, what it does while nothing happens,
and calls as the window makes them, without the web view's own hop."""

import hashlib
import json

import numpy as np
from bench import Disagreement
from engine import Missing
from install import DATA, TARGET, WORK
from jobs.ingest import new_home, spent, take_in
from table import Row, bound

EXPECTED = {"parcels": 200_000, "points": 1_000_000}


def large_home():
    """Kept between runs, and made anew when the program that wrote it is another one."""
    home, stamp = WORK / "home-large", WORK / "home-large.stamp"
    program = hashlib.sha256((TARGET / "release" / "toancanhctl").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != program:
        stamp.unlink(missing_ok=True)
        new_home(home)
        for layer in EXPECTED:
            take_in(home, DATA / f"{layer}.geojsonl", layer)
        stamp.write_text(program)
    return home


def measure(bench):
    home = large_home()
    rounds = bench.pick(5, 2)
    try:
        told = [json.loads(spent([TARGET / "release" / "bench", "open", home, DATA])[2]) for _ in range(rounds)]
    except Missing as why:
        bench.add(Row("opening the home", target="≤ 1 s", met=False, note=str(why)))
        return
    if (layers := dict(told[0]["layers"])) != EXPECTED:
        raise Disagreement(f"the home holds {layers}")

    def middle(name):
        return float(np.median([one[name] for one in told]))

    bench.add(bound("opening the home", middle("open_s"), "s", 1))
    bench.add(bound("memory (PSS) once open", middle("opened_mb"), "MB", 400))
    note = f"the first answers took {middle('first_s') * 1e3:.0f} ms"
    bench.add(bound("memory (PSS) after a tile and a question of each layer", middle("used_mb"), "MB", 400, note=note))
    bench.add(bound("processor time while idle", middle("idle_percent"), "%", 1))
    for call, what in [("at", "call: what lies at a place"), ("near", "call: what is near")]:
        p99 = float(np.median([np.percentile(one[f"{call}_ms"], 99) for one in told]))
        p50 = float(np.median([np.percentile(one[f"{call}_ms"], 50) for one in told]))
        bench.add(bound(f"{what}, p99", p99, "ms", 2, note=f"JSON in, JSON out, without the web view; p50 {p50:.3f} ms"))


