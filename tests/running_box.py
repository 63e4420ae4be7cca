"""A real `cxrbox run` on a folder of its own, for tests that need one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass
class RunningBox:
    """A real `cxrbox run` on a folder of its own.

    Attributes
    ----------
    folder : Path
        Holds films/ (watched) and state/.
    """

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def films(self) -> Path:
        return self.folder / "films"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start the process; its log goes to a file beside the films."""
        command = [sys.executable, "-m", "cxrbox", "run", "--films", str(self.films), "--state", str(self.state)]
        with (self.folder / "box.log").open("a") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), *options], stderr=log, stdout=log)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "box.log").read_text()

    def kill(self) -> None:
        """Kill the supervising process as a power cut would: without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Stop the box as systemd would and return its exit status."""
        self.process.terminate()
        return self.process.wait(20)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read()

    def json(self, path: str) -> dict:
        return json.loads(self.get(path))

    def list_films(self) -> list[dict]:
        return self.json("/api/films")["films"]

    def wait_until(self, condition, seconds: float = 60):
        """Return what `condition()` returns once it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if result := condition():
                    return result
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            assert self.process.poll() is None, self.log
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; the box's log:\n{self.log}")

    def wait_for(self, *names: str, seconds: float = 60) -> list[dict]:
        """Return the films of these names once all are read or refused."""

        def finished():
            films = {film["name"]: film for film in self.list_films() if film["state"] in ("read", "refused")}
            return [films[name] for name in names] if set(names) <= set(films) else None

        return self.wait_until(finished, seconds)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_root() -> bool:
    """Return whether the tests run as root, who may read everything."""
    return os.geteuid() == 0
