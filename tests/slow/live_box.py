"""A real box for the slow proofs: its processes can be found, killed and started again as systemd would."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

# `cxrbox run` is the embedded default; on the Pi the parts are services of their own.
WHOLE, SERVICES = ("run",), ("intake", "reader", "web")
# What systemd waits before it starts a service again (RestartSec, its default), in seconds.
RESTART_SECONDS = 0.1
QUICK = ("--settle-seconds", "0.05", "--look-seconds", "0.05", "--retention-free-mb", "0")


class LiveBox:
    """A box whose processes may be killed at any moment.

    Parameters
    ----------
    folder : Path
        Holds films/ (watched), state/ and box.log.
    commands : tuple of str
        What systemd starts: `WHOLE` or `SERVICES`.
    options : tuple of str
        Settings, as on the command line; the last of two wins.

    Attributes
    ----------
    ended : list of str
        Services that ended though nobody killed them, with their exit status.
    stopped : bool
        Whether it was stopped for good.
    """

    def __init__(self, folder: Path, commands: tuple[str, ...] = WHOLE, options: tuple[str, ...] = ()):
        self.films, self.state, self.log = folder / "films", folder / "state", folder / "box.log"
        self.films.mkdir(exist_ok=True)
        self.port, self.commands, self.options = free_port(), commands, (*QUICK, *options)
        self.running: dict[str, subprocess.Popen] = {}
        self.ended: list[str] = []
        self.stopped = False

    def start(self) -> None:
        """Start every service that does not run."""
        for command in self.commands:
            if command not in self.running:
                self.running[command] = self._start(command)

    def _start(self, command: str) -> subprocess.Popen:
        folders = ["--films", str(self.films), "--state", str(self.state), "--port", str(self.port)]
        words = [sys.executable, "-m", "cxrbox", command, "--config", "/dev/null", *folders, *self.options]
        with self.log.open("a") as log:
            return subprocess.Popen(words, stdout=log, stderr=log)

    def processes(self) -> dict[int, str]:
        """Return the names of all processes of the box by their number."""
        tops = [process.pid for process in self.running.values() if process.poll() is None]
        every = {pid for top in tops for pid in (top, *below(top))}
        return {pid: name for pid in sorted(every) if (name := part_name(pid))}

    def revive(self) -> None:
        """Start again what has ended, as systemd would."""
        for command, process in list(self.running.items()):
            if (status := process.poll()) is not None:
                if status != -signal.SIGKILL:
                    self.ended.append(f"{command}: {status}")
                time.sleep(RESTART_SECONDS)
                self.running[command] = self._start(command)

    def stop(self) -> dict[str, int]:
        """Stop all services as systemd would; return how each ended."""
        self.stopped = True
        for process in self.running.values():
            process.terminate()
        statuses = {command: process.wait(30) for command, process in self.running.items()}
        self.running.clear()
        return statuses

    def get(self, path: str) -> bytes:
        """Return what the page answers.

        Raises
        ------
        OSError
            If it does not answer, or with an error.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def upload(self, content: bytes) -> bytes:
        """Send a film to the page as its own form does, and return what it answers.

        Raises
        ------
        OSError
            If it does not answer, or with an error.
        """
        address, boundary = f"http://127.0.0.1:{self.port}", uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="film"; filename="film"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Origin": address}
        request = urllib.request.Request(f"{address}/api/films", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Return what the database says; nothing where there is no database yet."""
        path = self.state / "box.sqlite"
        if not path.exists():
            return []
        db = sqlite3.connect(path, timeout=20)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def states(self) -> dict[str, int]:
        """Return how many films are in each state; nothing while the database is being made."""
        try:
            return dict(self.query("SELECT state, count(*) FROM films GROUP BY state"))
        except sqlite3.OperationalError:
            return {}


def finished(box: LiveBox) -> int:
    """Return how many films are read or refused; a bundle may refuse what is only drawn."""
    states = box.states()
    return states.get("read", 0) + states.get("refused", 0)


def upload_until_answered(box: LiveBox, content: bytes) -> int:
    """Send a film to the page until that has taken it, or the box was stopped; return how often it was sent."""
    attempt = 1
    while not _taken(box, content) and not box.stopped:
        time.sleep(0.2)
        attempt += 1
    return attempt


def _taken(box: LiveBox, content: bytes) -> bool:
    try:
        box.upload(content)
    except urllib.error.HTTPError as err:
        if err.code < 500:
            raise
        return False
    except (OSError, http.client.HTTPException):
        return False  # the page was killed just then
    return True


def wait_until(condition, seconds: float, box: LiveBox | None = None) -> bool:
    """Wait until `condition()` is true and return whether that came in time; a box is kept running meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        if box:
            box.revive()
        time.sleep(0.05)
    return False


def below(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that they started."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            numbers = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in map(int, numbers):
            yield child
            yield from below(child)


def part_name(pid: int) -> str:
    """Return which part of the box a process is; empty where it is gone or none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if "cxrbox.bodies.tpu_process" in words:
        return "device process"
    if "cxrbox" not in words:
        return ""
    command = words[words.index("cxrbox") + 1]
    return "reader supervisor" if command == "reader" and "--supervised" not in words else command


def start_time(pid: int) -> float:
    """Return when a process was started, in seconds since 1970, to a hundredth."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    running = float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - running


def peak_memory(pid: int) -> int:
    """Return the largest resident size a process ever had, in KiB; 0 where it is gone."""
    return _kibibytes(pid, "status", "VmHWM:")


def proportional_memory(pid: int) -> int:
    """Return what a process takes now, in KiB, pages that several share counted in parts (PSS); 0 where it is gone."""
    return _kibibytes(pid, "smaps_rollup", "Pss:")


def _kibibytes(pid: int, file: str, name: str) -> int:
    """Return a line of a file that the kernel keeps about a process; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has had so far; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment() -> dict[str, object]:
    """Return what a figure cannot be understood without."""
    return {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], "python": sys.version.split()[0]}


def note(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)
