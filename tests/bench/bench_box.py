"""`make bench`: the whole box against what cannot be avoided, and against the paper's app; JSON, ratios of one run.

    python tests/bench/bench_box.py [--films 1000] > box.json

The films are drawn, 512 pixels, PNG, and where `../shared/cxr` is, there is a folder of real ones as well, 1024 pixels,
each of them several times. The bare rate is what a loop of decode, preprocess and invoke reaches in as many
processes as there are cores, one thread each: no queue, no database, no picture, no page. The paper's app is rebuilt as
people build it: Flask, an upload, torchvision's DenseNet-121 in float32 at 224 pixels (random weights cost the same as
trained ones), the top three of the sigmoids.
"""

import argparse
import http.client
import importlib
import io
import itertools
import json
import mmap
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from statistics import median

import cv2
from cxrbox.decoding.film import decode_film
from cxrbox.reading import open_reader
from cxrbox.settings import Settings
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "slow"))

from live_box import (
    LiveBox,
    cpu_seconds,
    environment,
    finished,
    free_port,
    note,
    peak_memory,
    proportional_memory,
    wait_until,
)

REAL_FILMS = Path(__file__).resolve().parents[3] / "shared" / "cxr" / "fullres"
CORES = len(os.sched_getaffinity(0))
# As the box is shipped, but for the disk space it keeps free, which is no matter of speed.
SHIPPED = ("--settle-seconds", "2", "--look-seconds", "0.3")
PAGES, PAGE_SECONDS, NOTICE_SECONDS = 20, 0.8, 3.0
FINISHED_ROW = re.compile(rb'id="film-(\d+)" class="(?:read|refused)"')
COLD_STARTS = 5
ONCE = "MiB at the end, shared pages counted once"
PNG_HEADER = 33  # bytes of the signature and the first chunk
PAPER_SIDE, PAPER_WARM_UP = 224, 3
HELD, BLOCK = 4 << 30, 1 << 20  # bytes


def hold_memory() -> mmap.mmap:
    """Have the host give a virtual machine its memory now; return what keeps it until it is closed.

    Some hosts give memory at the first touch, ten times as slowly as it is written, and take free blocks of it back: a
    copied film would cost what it costs on no Pi. One page in each block stays taken.
    """
    size = min(HELD, os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE // 2) // BLOCK * BLOCK
    held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, size, mmap.PAGESIZE):
        held[page] = 1
    for block in range(0, size, BLOCK):
        held.madvise(mmap.MADV_DONTNEED, block + mmap.PAGESIZE, BLOCK - mmap.PAGESIZE)
    return held


def draw_films(folder: Path, films: int) -> list[Path]:
    """Write drawn films and return their paths."""
    folder.mkdir()
    paths = [folder / f"{seed:05}.png" for seed in range(films)]
    for seed, path in enumerate(paths):
        cv2.imwrite(str(path), draw_phantom(seed))
    return paths


def copy_real_films(folder: Path, films: int) -> list[Path]:
    """Copy real films, each time with another comment, so that the box takes them for others; return their paths."""
    folder.mkdir()
    originals = [path.read_bytes() for path in sorted(REAL_FILMS.glob("*.png"))]
    paths = [folder / f"{number:05}.png" for number in range(films)]
    for number, path in enumerate(paths):
        path.write_bytes(comment(originals[number % len(originals)], str(number)))
    return paths


def comment(png: bytes, text: str) -> bytes:
    """Return a PNG with a comment (PNG 11.3.3.2) behind its header; all else stays as it was written."""
    chunk = b"tEXtComment\0" + text.encode()
    length, crc = len(chunk) - len(b"tEXt"), zlib.crc32(chunk)
    return png[:PNG_HEADER] + length.to_bytes(4) + chunk + crc.to_bytes(4) + png[PNG_HEADER:]


def read_bare(paths: Sequence[Path], together, seconds) -> None:
    """Decode, preprocess and invoke in a loop; tell how long that took, and how much processor time."""
    cv2.setNumThreads(1)
    reader = open_reader(Settings())
    side = reader.bundle.manifest.input.height
    together.wait()
    started, used = time.perf_counter(), time.process_time()
    for path in paths:
        reader.body(to_input(decode_film(path).grey, side))
    seconds.put((time.perf_counter() - started, time.process_time() - used))


def bare_rate(paths: Sequence[Path], processes: int) -> tuple[float, float]:
    """Return films per second of the bare loop in some processes, and milliseconds of processor time a film."""
    context = multiprocessing.get_context("spawn")
    together, seconds = context.Barrier(processes), context.Queue()
    shares = [paths[number::processes] for number in range(processes)]
    running = [context.Process(target=read_bare, args=(share, together, seconds)) for share in shares]
    for process in running:
        process.start()
    took, used = zip(*(seconds.get() for _ in running), strict=True)
    for process in running:
        process.join()
    return len(paths) / max(took), sum(used) * 1000 / len(paths)


def start_box(folder: Path) -> LiveBox:
    """Start a box on a new folder and wait until its page answers and its reader is ready."""
    folder.mkdir()
    box = LiveBox(folder, options=SHIPPED)
    box.start()
    wait_until(lambda: "reading with" in box.log.read_text() and answers(box), 60)
    return box


def answers(box: LiveBox) -> bool:
    """Return whether the page answers."""
    try:
        return bool(box.get("/api/health"))
    except OSError:
        return False


def read_folder(folder: Path, prepared: Path) -> dict:
    """Have a box read a folder of films at once; return its rates and the peak memory of its processes."""
    box, films = start_box(folder), len(list(prepared.iterdir()))
    try:
        shutil.copytree(prepared, box.films / ".coming")
        # A folder that came by a stick or the network lies on the disk; the box waits for the disk for its own alone.
        os.sync()
        started = time.time()
        (box.films / ".coming").rename(box.films / "exam")
        before = processor_time(box)
        done = wait_until(lambda: finished(box) == films, 600)
        used = {name: round((spent - before[name]) * 1000 / films, 1) for name, spent in processor_time(box).items()}
        outcomes = box.states()
        first, last = box.query("SELECT min(started_at), max(finished_at) FROM films")[0]
        [[reading]] = box.query("SELECT sum(milliseconds) FROM results")
        peaks = {name: round(peak_memory(pid) / 1024) for pid, name in box.processes().items()}
        together = sum(proportional_memory(pid) for pid in box.processes())
    finally:
        box.stop()
    begun, ended = (datetime.fromisoformat(time_).timestamp() for time_ in (first, last))
    return {
        "films": films,
        "in time": done,
        "outcomes": outcomes,
        "films/s from the folder to the last result": round(films / (ended - started), 1),
        "films/s from the first reading to the last result": round(films / (ended - begun), 1),
        "films in reading at once, on average": round(reading / 1000 / (ended - begun), 2),
        "processor ms a film": used | {"all": round(sum(used.values()), 1)},
        "peak MiB": peaks | {"all": sum(peaks.values())},
        ONCE: round(together / 1024),
    }


def processor_time(box: LiveBox) -> dict[str, float]:
    """Return the seconds of processor time of each part of a box so far."""
    return {name: cpu_seconds(pid) for pid, name in box.processes().items()}


def cold_start(folder: Path, film: Path) -> float:
    """Return the seconds from starting a box on a folder with one film, and no state, to its result."""
    folder.mkdir()
    box = LiveBox(folder, options=SHIPPED)
    shutil.copy(film, box.films)
    started = time.monotonic()
    box.start()
    try:
        while not finished(box):
            time.sleep(0.005)
        return time.monotonic() - started
    finally:
        box.stop()


class OpenPage(threading.Thread):
    """Asks for the rows and the notices as the script of an open page does.

    Attributes
    ----------
    seen : dict of int to float
        When the page first showed the result of a film, in seconds since 1970.
    shown : threading.Event
        Set once the page shows anything at all.
    """

    def __init__(self, port: int, over: threading.Event):
        super().__init__(daemon=True)
        self.port, self.over = port, over
        self.seen: dict[int, float] = {}
        self.shown = threading.Event()

    def run(self) -> None:
        """Ask until it is over."""
        time.sleep(random.uniform(0, PAGE_SECONDS))
        page = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        etags, next_notices = {"/rows": "", "/notices": ""}, 0.0
        while not self.over.wait(PAGE_SECONDS):
            for row in FINISHED_ROW.findall(self._ask(page, "/rows", etags)):
                self.seen.setdefault(int(row), time.time())
            if time.monotonic() >= next_notices:
                self._ask(page, "/notices", etags)
                next_notices = time.monotonic() + NOTICE_SECONDS
            self.shown.set()

    def _ask(self, page: http.client.HTTPConnection, path: str, etags: dict[str, str]) -> bytes:
        page.request("GET", path, headers={"If-None-Match": etags[path]} if etags[path] else {})
        answer = page.getresponse()
        etags[path] = answer.headers.get("ETag") or etags[path]
        return answer.read()


def watch_pages(folder: Path, paths: Sequence[Path]) -> dict:
    """Let films come one by one to a box with open pages; return how long a result takes to be seen in all of them."""
    box, over = start_box(folder), threading.Event()
    pages = [OpenPage(box.port, over) for _ in range(PAGES)]
    try:
        for page in pages:
            page.start()
        for page in pages:
            page.shown.wait(15)
        for number, path in enumerate(paths, 1):
            shutil.copy(path, box.films)
            wait_until(lambda wanted=number: all(len(page.seen) >= wanted for page in pages), 15)
            time.sleep(random.uniform(0, PAGE_SECONDS))
        stored = dict(box.query("SELECT id, finished_at FROM films"))
    finally:
        over.set()
        box.stop()
    delays = [
        max(page.seen[film] for page in pages) - datetime.fromisoformat(when).timestamp()
        for film, when in stored.items()
    ]
    return {
        "pages": PAGES,
        "films": len(delays),
        "s to the last page, p50": round(median(delays), 2),
        "s to the last page, max": round(max(delays), 2),
    }


def post(address: str, path: Path) -> bytes:
    """Send a film as a form does, and return the answer."""
    head = '--film\r\nContent-Disposition: form-data; name="film"; filename="film.png"\r\n\r\n'
    body = head.encode() + path.read_bytes() + b"\r\n--film--\r\n"
    origin = "/".join(address.split("/")[:3])
    headers = {"Content-Type": "multipart/form-data; boundary=film", "Origin": origin}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=60) as answer:
        return answer.read()


def upload_all(address: str, paths: Sequence[Path], clients: int) -> float:
    """Send films by some clients at once, each the next as soon as one was answered; return the seconds."""
    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(post, itertools.repeat(address), paths))
    return time.monotonic() - started


def box_by_upload(folder: Path, paths: Sequence[Path]) -> float:
    """Return films per second of the box where films are uploaded, to the last result."""
    box = start_box(folder)
    try:
        started = time.monotonic()
        upload_all(f"http://127.0.0.1:{box.port}/api/films", paths, CORES)
        wait_until(lambda: finished(box) == len(paths), 300)
        return len(paths) / (time.monotonic() - started)
    finally:
        box.stop()


def measure_paper_app(paths: Sequence[Path]) -> dict:
    """Return films per second (the better of one client and of one a core) and peak memory of the paper's app."""
    port = free_port()
    words = [sys.executable, __file__, "--paper-app", str(port)]
    # All cores for its network, as people run it, whatever this bench was started with.
    allowed = os.environ | {"OMP_NUM_THREADS": str(CORES)}
    app = subprocess.Popen(words, env=allowed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/predict"
    try:
        wait_until(lambda: listens(port), 120)
        upload_all(address, paths[:PAPER_WARM_UP], 1)
        used = cpu_seconds(app.pid)
        rates = {clients: len(paths) / upload_all(address, paths, clients) for clients in sorted({1, CORES})}
        return {
            "films": len(paths),
            "films/s": {f"{clients} clients": round(rate, 2) for clients, rate in rates.items()},
            "processor ms a film": round((cpu_seconds(app.pid) - used) * 1000 / len(paths) / len(rates), 1),
            "best": max(rates.values()),
            "peak MiB": round(peak_memory(app.pid) / 1024),
            ONCE: round(proportional_memory(app.pid) / 1024),
        }
    finally:
        app.terminate()
        app.wait()


def listens(port: int) -> bool:
    """Return whether something listens on a port."""
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
    except OSError:
        return False
    return True


def run_paper_app(port: int) -> None:
    """Serve the paper's app: one film a request, the three likeliest findings back."""
    import torch
    from cxrbundle.labels import FINDINGS
    from cxrtrain.networks.mend import import_torchvision
    from flask import Flask, jsonify, request
    from PIL import Image

    torchvision = import_torchvision()
    transforms = importlib.import_module("torchvision.transforms")
    network = torchvision.models.densenet121(weights=None)
    network.classifier = torch.nn.Linear(network.classifier.in_features, len(FINDINGS))
    network.eval()
    scale = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    prepare = transforms.Compose([transforms.Resize((PAPER_SIDE, PAPER_SIDE)), transforms.ToTensor(), scale])
    app = Flask(__name__)

    @app.post("/predict")
    def predict():
        film = Image.open(io.BytesIO(request.files["film"].read())).convert("RGB")
        with torch.no_grad():
            likelihoods = torch.sigmoid(network(prepare(film).unsqueeze(0)))[0]
        top = torch.topk(likelihoods, 3)
        return jsonify([[FINDINGS[place], float(value)] for value, place in zip(*top, strict=True)])

    app.run(port=port)


def timed(name: str, work: Callable[[], object]) -> object:
    """Do a part of the bench and say so."""
    note(f"{name} (load {os.getloadavg()[0]:.1f})")
    return work()


def measure_folder(folder: Path, paths: Sequence[Path]) -> dict:
    """Measure a folder of films against the bare loop, before and after, and against the paper's app."""
    bare, bare_ms = timed("bare, a process a core", lambda: bare_rate(paths, CORES))
    one, _ = timed("bare, one process", lambda: bare_rate(paths, 1))
    read = timed("a folder through the box", lambda: read_folder(folder, paths[0].parent))
    bare_again, bare_again_ms = timed("bare again", lambda: bare_rate(paths, CORES))
    paper = timed("the paper's app", lambda: measure_paper_app(paths[: max(20, len(paths) // 10)]))
    rate, bare = read["films/s from the folder to the last result"], (bare + bare_again) / 2
    bare_ms, box_ms = (bare_ms + bare_again_ms) / 2, read["processor ms a film"]["all"]
    return {
        "bare films/s": {
            f"{CORES} processes": round(bare, 1),
            "1 process": round(one, 1),
        },
        "bare, processor ms a film": round(bare_ms, 1),
        "folder": read,
        "folder / (cores x bare)": round(rate / bare, 3),
        "folder / bare of one process": round(rate / one, 3),
        "bare / folder, processor time": round(bare_ms / box_ms, 3),
        "paper's app": paper,
        "box / paper's app, films/s, folder": round(rate / paper["best"], 1),
        "paper's app / box, processor time": round(paper["processor ms a film"] / box_ms, 1),
        "box / paper's app, peak memory": round(read["peak MiB"]["all"] / paper["peak MiB"], 3),
        "box / paper's app, memory, shared pages counted once": round(read[ONCE] / paper[ONCE], 3),
    }


def measure(folder: Path, films: int) -> dict:
    """Measure all."""
    paths = draw_films(folder / "drawn", films)
    of_folders = {"drawn films, 512 pixels": measure_folder(folder / "folder", paths)}
    if REAL_FILMS.is_dir():
        real = copy_real_films(folder / "real", films)
        of_folders["real films, 1024 pixels"] = measure_folder(folder / "real folder", real)
    sent = timed("uploads through the box", lambda: box_by_upload(folder / "upload", paths))
    starts = timed("cold starts", lambda: [cold_start(folder / f"cold{n}", paths[n]) for n in range(COLD_STARTS)])
    pages = timed("open pages", lambda: watch_pages(folder / "pages", paths[: COLD_STARTS * 4]))
    best = of_folders["drawn films, 512 pixels"]["paper's app"]["best"]
    return of_folders | {
        "by upload, films/s": round(sent, 1),
        "box / paper's app, films/s, both by upload": round(sent / best, 1),
        "cold start to the first result, s": [round(seconds, 2) for seconds in starts],
        "cold start to the first result, s, p50": round(median(starts), 2),
        "a new result in open pages": pages,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--paper-app", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.paper_app:
        run_paper_app(options.paper_app)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told = environment()
    with tempfile.TemporaryDirectory() as folder, closing(hold_memory()):
        result = measure(Path(folder), options.films)
    print(json.dumps(told | result | {"load at the end": os.getloadavg()[0]}, indent=2))


if __name__ == "__main__":
    main()
