"""Rows of the table, kept by job, and what is made of them: Markdown and a picture."""

import json
from dataclasses import asdict, dataclass
from statistics import median

from install import HERE, WORK

HEAD = "| job | ours | peer | theirs | ratio (min–max) | target | met |\n|---|---|---|---|---|---|---|\n"
JOBS = ["ingest", "queries", "tiles", "overlay", "agree", "memory"]
TITLES = {
    "ingest": "Ingest: 93 MB of GeoJSON to a durable, indexed cache",
    "queries": "Queries: 1,000,000 points, 200,000 parcels",
    "tiles": "Vector tiles on demand, one thread",
    "overlay": "Polygon overlay: 28,679 pairs of a parcel and a zone",
    "agree": "Agreement with GEOS and PROJ on random questions and polygons",
    "memory": "Memory and calls: a home with 200,000 parcels and 1,000,000 points",
}


@dataclass
class Row:
    """`ratios` say how many times as fast as the peer ours was, pair by pair; for sizes, how many times as large."""

    what: str
    ours: str = "–"
    peer: str = "–"
    theirs: str = "–"
    ratios: list | None = None
    target: str = "–"
    met: bool | None = None
    note: str = ""

    def ratio(self):
        if not self.ratios:
            return "–"
        return f"{median(self.ratios):.3g} ({min(self.ratios):.3g}–{max(self.ratios):.3g})"

    def verdict(self):
        word = {True: "yes", False: "**no**", None: "–"}[self.met]
        return f"{word}; {self.note}" if self.note else word

    def markdown(self):
        cells = [self.what, self.ours, self.peer, self.theirs, self.ratio(), self.target, self.verdict()]
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"


def at_least(ratios, bound):
    return f"≥ {bound:g}×", bool(median(ratios) >= bound)


def figure(value, unit):
    digits = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 4
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {unit}"


def bound(what, value, unit, limit, *, most=True, note=""):
    """A row against a fixed limit; `most`: the value may be at most the limit."""
    met = value <= limit if most else value >= limit
    value, met = float(value), bool(met)
    target = f"{'≤' if most else '≥'} {figure(limit, unit)}"
    return Row(what, figure(value, unit), target=target, met=met, note=note)


class Table:
    """What was measured last, job by job, in `folder`; a job measured anew replaces its own part only."""

    def __init__(self, quick):
        self.quick = quick
        self.folder = WORK / ("results-quick" if quick else "results")
        self.folder.mkdir(parents=True, exist_ok=True)
        # A quick look must not overwrite the record.
        self.markdown_path = WORK / "RESULTS-quick.md" if quick else HERE / "RESULTS.md"
        self.picture_path = WORK / "results-quick.png" if quick else HERE / "results.png"

    def keep(self, job, rows, about):
        text = json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, ensure_ascii=False, indent=1)
        (self.folder / f"{job}.json").write_text(text)

    def read(self):
        for job in JOBS:
            path = self.folder / f"{job}.json"
            if path.exists():
                kept = json.loads(path.read_text())
                yield job, kept["about"], [Row(**row) for row in kept["rows"]]

    def render(self):
        parts = list(self.read())
        text = "# Bench\n\n"
        text += (
            "Made by `make bench`. A ratio says how many times as fast as the peer ours was, the median of pairs measured in"
            " turn (least–most); it stands only where both gave the same answer. For sizes it says how many times as large."
            " Bare times mean little: they are this machine's, on that day.\n"
        )
        if self.quick:
            text += "\n**A quick look: less work and fewer pairs than the record.**\n"
        for job, about, rows in parts:
            with_target = [row for row in rows if row.target != "–"]
            met = sum(row.met is True for row in with_target)
            text += f"\n## {TITLES[job]}\n\n"
            text += f"{about['date']} · {about['machine']} · {met} of {len(with_target)} targets met.\n\n"
            text += HEAD + "".join(row.markdown() for row in rows)
            text += "\n" + "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(about["versions"].items())) + ".\n"
        if not self.quick:
            text += "\n## What falls short, what was tried, and what is measured elsewhere\n\n" + (HERE / "shortfalls.md").read_text()
            text += "\n![Ratios beside their targets](results.png)\n"
        self.markdown_path.write_text(text)
        self.draw([(job, row) for job, _, rows in parts for row in rows])

    def draw(self, rows):
        """How far each ratio lies from its target, on a logarithmic axis: right of 1 the target is met."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        shown = []
        for job, row in rows:
            if row.ratios and row.target[:1] in "≥≤" and row.target.endswith("×"):
                goal = float(row.target[2:-1])
                # A size is met below its target.
                flip = -1 if row.target[0] == "≤" else 1
                shown.append((f"{row.what} / {row.peer.split()[0]}", [(r / goal) ** flip for r in row.ratios], goal, row))
        if not shown:
            return
        figure, axes = pyplot.subplots(figsize=(9, 0.34 * len(shown) + 1.2), dpi=110)
        for y, (_, values, _, row) in enumerate(reversed(shown)):
            colour = "#1b7f4d" if row.met else "#c0392b"
            axes.plot([min(values), max(values)], [y, y], color=colour, linewidth=2, alpha=0.5)
            axes.plot(median(values), y, "o", color=colour, markersize=6)
        axes.axvline(1, color="#333333", linewidth=1)
        axes.set_xscale("log")
        axes.set_yticks(range(len(shown)), [label for label, *_ in reversed(shown)], fontsize=8)
        axes.set_xlabel("ratio ÷ target: right of 1 is met", fontsize=9)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        figure.savefig(self.picture_path)
        pyplot.close(figure)

    def print(self, jobs):
        for job, _, rows in self.read():
            if job in jobs:
                print(f"\n{TITLES[job]}\n{HEAD}" + "".join(row.markdown() for row in rows))
