"""Read mutated films in a process bounded as the reader is: no crash of what watches it, no hang, no endless memory.

    python tests/slow/mutate_files.py --files 10000 > mutations.json

Whole files of every kind that is read (drawn films, pydicom's test files, the public films of ../shared/cxr/dicom) are
spoiled by flipped bits, cuts, foreign blocks and fields at their extremes. A worker reads each as the daemon does, from
the file to its findings, within the reader's memory and time; where it dies it is started again with the next film.
Progress goes to stderr, the result as JSON to stdout; exit status 1 where a film ended otherwise than read or refused.
`--file N` reads one file again, and says what becomes of it. Then the first of them (`--box`) lie in the folder of a
real box: it must finish them all, and none of its processes may end.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from live_box import LiveBox, environment, finished, note, peak_memory, wait_until
from spoil import spoil, whole_files

PROCESSES = ("run", "intake", "reader", "web")
BOX_SECONDS = 300.0


def work(first: int, last: int, film_seconds: float, memory_mb: int) -> None:
    """Read the spoiled films of these numbers; a line of JSON on standard output before and after each."""
    import cv2
    from cxrbox.errors import RefusedError
    from cxrbox.header_identity import read_patient_id
    from cxrbox.reader import _bound_memory
    from cxrbox.reading import open_reader
    from cxrbox.settings import Settings

    cv2.setNumThreads(1)
    reader, seeds = open_reader(Settings(threads=1)), whole_files()
    path = Path(tempfile.mkdtemp(prefix="mutate-", dir=os.environ["MUTATE_FOLDER"])) / "film"
    _bound_memory(memory_mb)
    for number in range(first, last):
        kind, content = spoil(seeds, number)
        path.write_bytes(content)
        print(json.dumps({"begin": number, "kind": kind}), flush=True)
        started = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, film_seconds)
        try:
            reading = reader.read(path)
            if reading.source == "dicom":
                read_patient_id(path)
            outcome = "read"
        except RefusedError as refusal:
            outcome = refusal.code
        except MemoryError:
            outcome = "out_of_memory"
        signal.setitimer(signal.ITIMER_REAL, 0)
        spent = (time.perf_counter() - started) * 1000
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"outcome": outcome, "ms": round(spent, 1), "peak_kib": peak}), flush=True)


class Watch:
    """Keeps a worker going and counts what becomes of the films.

    Attributes
    ----------
    outcomes : Counter
        Of all films: "read", a code of a refusal, or "died: ...".
    deaths : list of dict
        Each film that ended its worker.
    """

    def __init__(self, options: argparse.Namespace, folder: str):
        self.options, self.folder = options, folder
        self.outcomes: Counter = Counter()
        self.by_kind: defaultdict[str, Counter] = defaultdict(Counter)
        self.deaths: list[dict] = []
        self.times: list[tuple[float, int]] = []
        self.peak_kib = self.workers = 0

    def run(self, first: int, last: int) -> None:
        """Have the films of these numbers read."""
        started = time.monotonic()
        while first < last:
            first = self._run_worker(first, last)
            note(f"{first} films in {time.monotonic() - started:.0f} s, {len(self.deaths)} ended their worker")

    def _run_worker(self, first: int, last: int) -> int:
        """Run one worker until it ends; return the number of the next film."""
        words = [sys.executable, __file__, "--worker", str(first), "--files", str(last)]
        words += ["--film-seconds", str(self.options.film_seconds), "--memory-mb", str(self.options.memory_mb)]
        errors = Path(self.folder, "errors")
        self.workers += 1
        with errors.open("w") as stderr:
            worker = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=stderr, text=True, env=os.environ | {"MUTATE_FOLDER": self.folder}
            )
            at = self._listen(worker.stdout, first)
            _, status, used = os.wait4(worker.pid, 0)
            worker.returncode = os.waitstatus_to_exitcode(status)
        self.peak_kib = max(self.peak_kib, used.ru_maxrss)
        if worker.returncode == 0:
            return last
        self._note_death(at, worker.returncode, errors.read_text(errors="replace"))
        return at["begin"] + 1

    def _listen(self, lines: Iterator[str], first: int) -> dict:
        """Count what a worker says; return the film it had in hand when it ended."""
        at = {"begin": first, "kind": "before the first film"}
        for line in lines:
            said = json.loads(line)
            if "begin" in said:
                at = said | {"at": time.monotonic()}
                if said["begin"] % 500 == 0:
                    note(f"film {said['begin']}: {dict(self.outcomes)}, peak {self.peak_kib >> 10} MiB")
            else:
                self._count(at["kind"], said["outcome"])
                self.times.append((said["ms"], at["begin"]))
                self.peak_kib = max(self.peak_kib, said["peak_kib"])
        return at

    def _note_death(self, at: dict, status: int, errors: str) -> None:
        reason = signal.Signals(-status).name if status < 0 else f"exit {status}"
        if status == -signal.SIGALRM:
            reason = "over the deadline"
        self._count(at["kind"], f"died: {reason}")
        spent = time.monotonic() - at.get("at", time.monotonic())
        said = errors.strip().splitlines()[-1:]
        death = {"file": at["begin"], "kind": at["kind"], "how": reason, "seconds": round(spent, 1), "said": said}
        self.deaths.append(death)

    def _count(self, kind: str, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self.by_kind[kind][outcome] += 1

    def report(self) -> dict:
        """Return what was counted."""
        times = sorted(self.times) or [(0.0, -1)]
        return {
            "outcomes": dict(self.outcomes.most_common()),
            "by kind": {kind: dict(counts.most_common()) for kind, counts in sorted(self.by_kind.items())},
            "workers": self.workers,
            "deaths": self.deaths,
            "ms p50": times[len(times) // 2][0],
            "ms p99": times[len(times) * 99 // 100][0],
            "slowest, ms and file": times[-3:],
            "peak MiB": self.peak_kib >> 10,
        }


def through_box(folder: Path, files: int) -> dict:
    """Let a real box take spoiled films in and read them; return what became of them and of its processes."""
    box, seeds = LiveBox(folder), whole_files()
    contents = {spoil(seeds, number)[1] for number in range(files)}
    for number, content in enumerate(sorted(contents)):
        (box.films / f"film {number}").write_bytes(content)
    box.start()
    try:
        wait_until(lambda: set(box.processes().values()) == set(PROCESSES), BOX_SECONDS)
        before = box.processes()
        done = wait_until(lambda: finished(box) >= len(contents), BOX_SECONDS)
        after = box.processes()
        return {
            "different files": len(contents),
            "finished": finished(box),
            "outcomes": dict(box.query("SELECT coalesce(refusal_code, state), count(*) FROM films GROUP BY 1")),
            "every process still the same": before == after,
            "peak MiB": {name: peak_memory(pid) >> 10 for pid, name in after.items()},
            "page answers": b"<" in box.get("/"),
            "sound": done and before == after,
        }
    finally:
        box.stop()


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--box", type=int, default=1000, help="so many of them go through a real box as well")
    parser.add_argument("--file", type=int, help="read this one alone")
    parser.add_argument("--film-seconds", type=float, default=60.0, help="as of `cxrbox`: what a film may take")
    parser.add_argument("--memory-mb", type=int, default=1024, help="as of `cxrbox`: what the reader may allocate")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker, options.files, options.film_seconds, options.memory_mb)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told, started = environment(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(options, folder)
        watch.run(*((0, options.files) if options.file is None else (options.file, options.file + 1)))
        seconds = round(time.monotonic() - started)
        box = through_box(Path(folder), options.box) if options.box and options.file is None else {"sound": True}
    limits = {"film_seconds": options.film_seconds, "memory_mb": options.memory_mb}
    print(json.dumps(told | limits | {"seconds": seconds} | watch.report() | {"a real box": box}, indent=2))
    sys.exit(0 if box["sound"] and not watch.deaths else 1)


if __name__ == "__main__":
    main()
