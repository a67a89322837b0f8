"""What all jobs share: pairs in turn, answers that must agree, rows."""

import re
import time
from statistics import median

from engine import Engines, Missing
from install import WORK
from table import Row, at_least, figure


class Disagreement(Exception):
    """Ours and a peer gave different answers; a ratio would mean nothing."""


class Bench:
    def __init__(self, job, quick, commands, versions):
        self.job, self.quick = job, quick
        logs = WORK / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.engines = Engines(commands, logs)
        self.known, self.used = versions, {}
        self.rows = []

    def close(self):
        self.engines.close()

    def pick(self, whole, quick):
        return quick if self.quick else whole

    def use(self, *packages):
        """Notes versions for the table; gives the first as words behind a peer's name."""
        for package in packages:
            if package in self.known:
                self.used[package] = self.known[package]

    def add(self, row):
        self.rows.append(row)
        print(f"   {row.what}: {row.ours} | {row.peer} {row.theirs} | {row.ratio()} | {row.target} {row.verdict()}", flush=True)

    def alternate(self, ours, peer, pairs):
        """Seconds of both, pair by pair; who begins changes, so that neither always meets the other's caches."""
        times = ([], [])
        for number in range(pairs):
            order = [(0, ours), (1, peer)]
            for which, work in order if number % 2 == 0 else reversed(order):
                times[which].append(work())
        return times

    def compare(self, what, peer, unit, ours, theirs, check, *, pairs, target=None, per=1e6, items=1, rate=False):
        """One row. `ours` and `theirs` give seconds; `check` raises `Disagreement` and returns a note.

        Shown is `per` × seconds ÷ items, or with `rate` items per second.
        """
        row = Row(what, peer=peer)
        try:
            # The check first: it also warms both.
            row.note = check() or ""
            ours_s, theirs_s = self.alternate(ours, theirs, pairs)
            show = (lambda s: items / s) if rate else (lambda s: s * per / items)
            row.ours = figure(show(median(ours_s)), unit)
            row.theirs = figure(show(median(theirs_s)), unit)
            row.ratios = [b / a for a, b in zip(ours_s, theirs_s)]
            if target:
                row.target, row.met = at_least(row.ratios, target)
        except (Missing, Disagreement) as why:
            self.fail(row, why, target)
            return
        self.add(row)

    def fail(self, row, why, target=None):
        # Addresses out of other programs' messages do not belong into a table that is kept.
        said = re.sub(r"\w+://\S+", "…", str(why))
        row.note = f"answers differ: {said}" if isinstance(why, Disagreement) else f"not measured: {said}"
        row.ratios = None
        if target:
            row.target = f"≥ {target:g}×"
            # Where ours is what fails or differs, the target is not met; a peer that is not there decides nothing.
            row.met = False if isinstance(why, Disagreement) else None
        self.add(row)


def close_to(what, ours, theirs, tolerance):
    """Raises unless equal to a relative tolerance."""
    ours, theirs = float(ours), float(theirs)
    scale = max(abs(ours), abs(theirs), 1e-300)
    if abs(ours - theirs) > tolerance * scale:
        raise Disagreement(f"{what} {ours!r}, theirs {theirs!r}")


def stopwatch(work):
    def timed():
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed
