"""The process of the device is killed at random, again and again, while films are read."""

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tpu_faults import Trial, tpu_processes

# CXRBOX_KILLS=200 takes two to three minutes.
KILLS = int(os.environ.get("CXRBOX_KILLS", "20"))
READERS = 2


def kill_at_random(trial: Trial, over: threading.Event) -> None:
    """Kill the process while it reads, and every fourth time in whatever it does then: start, open, prove."""
    chance = random.Random(0)
    killed = 0
    while killed < KILLS:
        if killed % 4 and trial.status.degraded:
            time.sleep(0.005)
            continue
        time.sleep(chance.uniform(0, 0.05))
        for process in tpu_processes():
            os.kill(process, signal.SIGKILL)
            killed += 1
    over.set()


def read_on(trial: Trial, first: int, over: threading.Event) -> Counter[str]:
    """Read films from one thread until it is over and the device is back; count what answered them, all of it right."""
    read: Counter[str] = Counter()
    while not over.is_set() or trial.status.degraded:
        place = (first + read.total()) % len(trial.films)
        np.testing.assert_array_equal(trial.body(trial.films[place]), trial.answers[place])
        read[trial.body.backend.split()[0]] += 1
    return read


def test_no_answer_is_lost_or_doubled_when_the_process_is_killed_at_random(tmp_path):
    trial = Trial(tmp_path / "fault").serving()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    over = threading.Event()
    killer = threading.Thread(target=kill_at_random, args=(trial, over))
    killer.start()
    with ThreadPoolExecutor(READERS) as readers:
        read = sum(readers.map(lambda first: read_on(trial, first, over), range(READERS)), Counter())
    killer.join()
    print(f"{KILLS} kills, {trial.status.resets} of them in service; films read: {read}; all answers right")
    assert set(read) == {"cpu", "stand-in"} and trial.status.resets >= KILLS // 2
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    trial.close()
    assert tpu_processes() == []
