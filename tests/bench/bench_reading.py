"""`make bench`: where the time of a reading goes, as JSON; medians of one run on this machine.

All parts are measured in turn on every film, so that a neighbour's load falls on all of them alike. The figure
to watch is the ratio: what the box adds to what cannot be avoided, decoding the film and running the body. The
result counts as stored when the database and the ledger are safe on the disk.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
from cxrbox.bodies.network import Network, find_runtime, to_features
from cxrbox.decoding.film import decode_film
from cxrbox.demo import copy_demo_films
from cxrbox.maps import pack_maps
from cxrbox.reading import Reader, open_reader
from cxrbox.results import draw_picture, fit_page
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbundle.bundle import sha256_file
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input

REPOSITORY = Path(__file__).resolve().parents[2]
FULL_SIZE_FILMS = REPOSITORY.parent / "shared" / "cxr" / "fullres"
ROUNDS = 8  # an even number: half of them measure the parts first
DRAWN = 20


def milliseconds(work: Callable[[], object]) -> tuple[float, object]:
    """Return how long a piece of work took, and what it gave."""
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


@dataclass(frozen=True)
class Bench:
    """What is measured: the box's reader and store, and the bare network."""

    reader: Reader
    store: Store
    bare: Network


def measure_parts(bench: Bench, path: Path) -> dict[str, float]:
    """Return the milliseconds of every part for one film, each done bare, as any program must do it."""
    decode, film = milliseconds(lambda: decode_film(path))
    preprocess, pixels = milliseconds(lambda: to_input(film.grey, bench.reader.bundle.manifest.input.height))
    invoke, codes = milliseconds(lambda: bench.bare.codes(pixels))
    head, _ = milliseconds(lambda: bench.reader.bundle.head(to_features(codes, bench.bare.ends[1])))
    picture = bench.store.picture_path("bench")
    draw, _ = milliseconds(lambda: draw_picture(picture, fit_page(film.grey)))
    return {"decode": decode, "preprocess": preprocess, "invoke": invoke, "head": head, "picture, afterwards": draw}


def measure_whole(bench: Bench, path: Path) -> dict[str, float]:
    """Return the milliseconds from a film in the queue to its result in the database and the ledger."""
    reader, store = bench.reader, bench.store
    store.add_film(path.name, "", f"{time.perf_counter_ns()}", 1)
    claim, film = milliseconds(store.claim)
    read, reading = milliseconds(lambda: reader.read(path))
    told, logits = reader.describe(reading), reading.logits.tolist()
    keep, _ = milliseconds(lambda: store.add_result(film.id, told, pack_maps(reading.maps), read, logits))
    return {"read": read, "claim and keep": claim + keep, "whole": claim + read + keep}


def measure_film(bench: Bench, path: Path, parts_first: bool) -> dict[str, float]:
    """Return the milliseconds of the parts of one film and of the whole; whichever is second finds warm caches."""
    if parts_first:
        return measure_parts(bench, path) | measure_whole(bench, path)
    whole = measure_whole(bench, path)
    return measure_parts(bench, path) | whole


def measure_films(bench: Bench, films: list[Path]) -> dict:
    """Return the medians over some films, each read several times."""
    for film in films[:3]:
        measure_film(bench, film, True)
    rows = [measure_film(bench, film, turn % 2 == 0) for turn in range(ROUNDS) for film in films]
    parts = {part: round(median(row[part] for row in rows), 3) for part in rows[0]}
    ratio = median(row["whole"] / (row["decode"] + row["invoke"]) for row in rows)
    return {"films": len(films), "milliseconds": parts, "film to stored result / (decode + invoke)": round(ratio, 3)}


def draw_films(folder: Path) -> list[Path]:
    """Write drawn films as PNG and return their paths."""
    folder.mkdir()
    paths = [folder / f"{seed}.png" for seed in range(DRAWN)]
    for seed, path in enumerate(paths):
        cv2.imwrite(str(path), draw_phantom(seed))
    return paths


def main() -> None:
    """Measure and print."""
    defaults = Settings()
    started = time.perf_counter()
    reader = open_reader(defaults)
    result: dict = {
        "bundle": reader.bundle.title,
        "backend": reader.body.backend,
        "python": sys.version.split()[0],
        "open_ms": round((time.perf_counter() - started) * 1000, 1),
    }
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        bench = Bench(
            reader, store, Network(find_runtime()[0].Interpreter(model_content=reader.bundle.body, num_threads=1))
        )
        demo = copy_demo_films(Path(folder) / "films")
        result["dicom, 15 bit, 1955 x 1841"] = measure_films(bench, demo)
        result["png, 8 bit, 512 x 512, drawn"] = measure_films(bench, draw_films(Path(folder) / "drawn"))
        pictures = sorted(FULL_SIZE_FILMS.glob("*.png"))
        if pictures:
            result["png, 8 bit, 1024 x 1024"] = measure_films(bench, pictures)
        result["database_bytes_per_film"] = round(
            (Path(folder) / "box.sqlite-wal").stat().st_size / max(1, sum(store.counts().values()))
        )
    result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result["bundle_sha256"] = sha256_file(defaults.bundle / "manifest.json")[:12]
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
