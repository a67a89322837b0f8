"""The engines' protocol, for Python peers: a request a line, a line of JSON back (see `src/main.rs`)."""

import json
import sys
import time
from itertools import islice
from pathlib import Path

SPELT_OUT = 200


def load(folder, name):
    with open(Path(folder) / name, encoding="utf-8") as file:
        return json.load(file)


def geometries(folder, name, count=None):
    """Shapely geometries of a layer in file order."""
    import shapely

    with open(Path(folder) / f"{name}.geojsonl", encoding="utf-8") as lines:
        return shapely.from_geojson([text[text.index('"geometry":') + 11 : -2] for text in islice(lines, count)])


def timed(work, *arguments):
    start = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - start, result


def hits(pairs_of_item_and_id):
    """The answer of a bulk question, as the other engines give it: two arrays, of items and of ids."""
    items, ids = pairs_of_item_and_id
    spelt_out = [[] for _ in range(SPELT_OUT)]
    for item, hit in zip(items.tolist(), ids.tolist()):
        if item < SPELT_OUT:
            spelt_out[item].append(hit)
    return {"hits": len(ids), "sum": int(ids.sum()), "ids": spelt_out}


def serve(engine):
    """`engine` has a method for each word of the protocol; it takes the request and returns a dictionary."""
    for text in sys.stdin:
        request = json.loads(text)
        try:
            answer = getattr(engine, request["do"])(request)
        except Exception as error:  # whatever a peer throws belongs into the table, not into a traceback
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
