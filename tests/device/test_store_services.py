"""The parts of the box as services of their own, killed at random: what they share holds."""

import random
import signal
import subprocess
import sys
import time

import pytest
from cxrbox.store import Store
from running_box import free_port

PARTS = ("intake", "reader", "web")


class Services:
    """The three parts, each a process of its own as systemd would start it."""

    def __init__(self, folder):
        self.films, self.state, self.port = folder / "films", folder / "state", free_port()
        self.films.mkdir()
        self.log = (folder / "services.log").open("a")
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, part: str) -> None:
        folders = ["--films", str(self.films), "--state", str(self.state)]
        quick = ["--port", str(self.port), "--settle-seconds", "0.05", "--threads", "1"]
        command = [sys.executable, "-m", "cxrbox", part, *folders, *quick]
        self.running[part] = subprocess.Popen(command, stderr=self.log, stdout=self.log)

    def kill(self, part: str) -> None:
        self.running[part].send_signal(signal.SIGKILL)
        self.running[part].wait()

    def stop(self) -> list[int]:
        for process in self.running.values():
            process.terminate()
        return [process.wait(20) for process in self.running.values()]

    def wait_until_read(self, films: int) -> None:
        deadline = time.monotonic() + 90
        store = Store(self.state)
        while store.counts()["read"] < films:
            assert time.monotonic() < deadline, (self.films.parent / "services.log").read_text()
            time.sleep(0.05)
        store.close()


@pytest.fixture
def services(tmp_path):
    services = Services(tmp_path)
    yield services
    services.stop()
    services.log.close()


def test_the_parts_work_as_services_of_their_own(services, phantom_png):
    for part in PARTS:
        services.start(part)
    phantom_png(1, services.films)
    services.wait_until_read(1)
    assert services.stop() == [0, 0, 0]


@pytest.mark.parametrize("part", PARTS)
def test_a_second_one_of_a_part_is_refused(services, cxrbox, part):
    services.start(part)
    lock, deadline = services.state / f"{part}.lock", time.monotonic() + 60
    while not lock.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = cxrbox(part, "--films", services.films, "--state", services.state)
    assert second.returncode == 2 and "another box works with the state folder" in second.stderr


def test_services_killed_at_random_lose_and_double_nothing_and_keep_the_ledger_sound(services, cxrbox, phantom_png):
    chance = random.Random(5)
    for part in PARTS:
        services.start(part)
    for seed in range(20):
        phantom_png(seed, services.films)
        time.sleep(chance.uniform(0.0, 0.7))
        part = chance.choice(PARTS)
        services.kill(part)
        services.start(part)
    services.wait_until_read(20)
    store = Store(services.state)
    results = [entry.film for entry in store.ledger() if entry.kind == "result"]
    assert sorted(results) == [film["id"] for film in store.all_films()] and len(results) == 20
    assert all(film["crashes"] == 0 for film in store.all_films())
    store.close()
    assert cxrbox("verify-log", "--state", services.state).returncode == 0
