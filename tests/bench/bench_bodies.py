"""What the process of the device costs a film, as JSON: the stand-in in its process against the same body in this one.

Both read the same films in turn, on one thread, so that a neighbour's load falls on both alike. The figure to watch is
the ratio; `way_ms` is what the way to the process and back adds, whatever the device takes.
"""

import json
import sys
import time
from statistics import median

from cxrbox.bodies.cpu import CpuBody
from cxrbox.bodies.tpu import Device, TpuBody
from cxrbundle.bundle import load_bundle
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.shipped import shipped_bundle

FILMS, ROUNDS, WARM_UP = 8, 40, 3


def milliseconds(body, film) -> float:
    """Return how long a body takes for a film."""
    started = time.perf_counter()
    body(film)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Measure and print."""
    bundle = load_bundle(shipped_bundle())
    films = [to_input(draw_phantom(seed), bundle.manifest.input.height) for seed in range(FILMS)]
    here = CpuBody(bundle, 1)
    started = time.perf_counter()
    there = TpuBody(Device("stand-in", bundle.body, bundle.manifest, threads=1))
    there.open()
    opened = time.perf_counter() - started
    rows = []
    for film in films * (WARM_UP + ROUNDS):
        rows.append((milliseconds(here, film), milliseconds(there, film), there.invoke_ms))
    there.close()
    there.wait()
    rows = rows[WARM_UP * FILMS :]
    result = {
        "bundle": bundle.title,
        "python": sys.version.split()[0],
        "films": len(rows),
        "here_ms": round(median(row[0] for row in rows), 3),
        "there_ms": round(median(row[1] for row in rows), 3),
        "way_ms": round(median(row[1] - row[2] for row in rows), 3),
        "there / here": round(median(row[1] / row[0] for row in rows), 3),
        "open_seconds": round(opened, 3),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
