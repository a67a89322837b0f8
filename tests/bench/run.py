"""`make bench [JOB=ingest|queries|tiles|overlay|agree|memory] [QUICK=1] [FULL=1]`: ours and each peer in turn.

Makes the data, installs the peers, builds ours, runs the jobs, and writes RESULTS.md and results.png beside this file; with
QUICK=1 less work and fewer pairs, written into target/bench/ instead. FULL=1 also builds the peer that takes long (martin).
"""

import argparse
import datetime
import importlib
import os
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import install  # noqa: E402
from table import JOBS  # noqa: E402


def machine():
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {pages / 2**30:.0f} GB, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", action="append", choices=JOBS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    install.enter_venv()

    import data
    from bench import Bench, Disagreement
    from engine import Missing
    from table import Row, Table

    if not (install.DATA / "made").exists():
        print("── the data (0.3 GB, half a minute)", flush=True)
    data.make(install.DATA)
    install.build()
    commands, versions = install.peers(options.full)
    table = Table(options.quick)
    jobs = options.job or JOBS
    for job in jobs:
        print(f"── {job}", flush=True)
        start = time.monotonic()
        bench = Bench(job, options.quick, commands, versions)
        try:
            importlib.import_module(f"jobs.{job}").measure(bench)
        except (Missing, Disagreement) as why:
            # What a row could not catch: ours itself cannot do the job.
            bench.add(Row(f"{job}, the rest", met=False, note=f"broke off: {why}"))
        finally:
            bench.close()
        about = {
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "versions": bench.used,
            "seconds": round(time.monotonic() - start),
        }
        table.keep(job, bench.rows, about)
        table.render()
    table.print(jobs)
    print(f"── {table.markdown_path.relative_to(install.ROOT)}")


if __name__ == "__main__":
    main()
