"""Installs the peers through the package managers' own clients and says what is there, in which version.

Debian's packages come with `.ci/system-packages bench` before; what is missing then is named in the table.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from engine import Missing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "bench"
DATA = WORK / "data"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PYTHON = WORK / "venv" / "bin" / "python"
MARTIN = "1.14.0"


def call(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise Missing(f"{Path(str(command[0])).name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def enter_venv():
    """Goes on in the venv's Python, made first where there is none. Each peer of requirements.txt is installed for
    itself where all together cannot be."""
    wanted = (HERE / "peers" / "requirements.txt").read_text()
    stamp = WORK / "venv" / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("── Python peers")
        WORK.mkdir(parents=True, exist_ok=True)
        if not PYTHON.exists():
            call([sys.executable, "-m", "venv", WORK / "venv"])
        pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            call([*pip, "-r", HERE / "peers" / "requirements.txt"])
        except Missing:
            for line in wanted.split():
                try:
                    call([*pip, line])
                except Missing as why:
                    print(f"   {line}: {why}")
        stamp.write_text(wanted)
    if Path(sys.prefix).resolve() != (WORK / "venv").resolve():
        sys.stdout.flush()
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def build():
    print("── ours (Rust, release)")
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "-p", "bench", "-p", "toancanhctl"], cwd=ROOT, check=True
    )


def npm():
    """Node resolves packages from where the script stands, so the script goes beside them."""
    folder = WORK / "node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "peers" / "package.json").read_text()
    if not (folder / "installed").exists() or (folder / "installed").read_text() != wanted:
        print("── npm peers")
        shutil.copy(HERE / "peers" / "package.json", folder)
        call(["npm", "install", "--no-fund", "--no-audit", "--loglevel=error"], cwd=folder)
        (folder / "installed").write_text(wanted)
    shutil.copy(HERE / "peers" / "node_peer.mjs", folder)
    return folder


def python_version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def crate_versions():
    lock = (ROOT / "Cargo.lock").read_text()
    found = {}
    for name in ("rstar", "geo", "geo-index"):
        # Newest last; only one version of each is named by the bench's own manifest.
        versions = re.findall(rf'name = "{name}"\nversion = "([^"]+)"', lock)
        found[name] = max(versions, key=lambda text: [int(part) for part in text.split(".")])
    return found


def martin(full):
    """From source, which takes long: only for the full bench, and only when asked for."""
    program = WORK / "cargo" / "bin" / "martin"
    if not program.exists():
        if not full:
            raise Missing("takes long to build: FULL=1 does it")
        print("── martin (builds from source)")
        features = ["--no-default-features", "--features", "mbtiles"]
        target = WORK / "cargo" / "build"
        call(
            ["cargo", "install", f"martin@{MARTIN}", "--locked", *features, "--root", WORK / "cargo"],
            env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        )
        shutil.rmtree(target, ignore_errors=True)
    return program


def peers(full):
    """The commands of the engines (or why there is none) and the versions of all peers."""
    commands = {"rust": [TARGET / "release" / "bench", "serve", DATA]}
    versions = {**crate_versions()}
    for name, packages, extra in [
        ("shapely", ["shapely", "pyproj"], []),
        ("duckdb", ["duckdb", "duckdb-ext-spatial"], [WORK / "duckdb"]),
        ("postgis", ["psycopg"], [WORK / "postgis"]),
    ]:
        absent = [package for package in packages if not python_version(package)]
        commands[name] = [PYTHON, HERE / "peers" / f"{name}_peer.py", DATA, *extra]
        if absent:
            commands[name] = Missing(f"pip could not install {', '.join(absent)}")
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        commands["postgis"] = Missing("no PostgreSQL server is installed (Debian package postgresql-15-postgis-3)")
    try:
        folder = npm()
        commands["node"] = ["node", "--max-old-space-size=12288", folder / "node_peer.mjs", DATA]
        for name in json.loads((folder / "package.json").read_text())["dependencies"]:
            versions[name] = json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        versions["node"] = call(["node", "--version"]).strip().lstrip("v")
    except (Missing, OSError) as why:
        commands["node"] = Missing(f"npm could not install: {why}")
    try:
        commands["martin"] = [PYTHON, HERE / "peers" / "martin_peer.py", martin(full), WORK / "tippecanoe.mbtiles"]
        versions["martin"] = MARTIN
    except Missing as why:
        commands["martin"] = why
    for package in ["shapely", "pyproj", "duckdb", "tippecanoe", "freestiler", "mapbox-vector-tile", "numpy"]:
        if version := python_version(package):
            versions[package] = version
    if shutil.which("ogr2ogr"):
        versions["ogr2ogr (GDAL)"] = call(["ogr2ogr", "--version"]).split(",")[0].removeprefix("GDAL ")
    return commands, versions
