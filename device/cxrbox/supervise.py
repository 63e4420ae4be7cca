"""`cxrbox run`: start the parts of the box, each a process of its own, and keep them running."""

import errno
import fcntl
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cxrbox.errors import AlreadyRunningError, ConfigError
from cxrbox.refusals import refuse
from cxrbox.retention import Keeper, open_with_room
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbox.watch import Watch

log = logging.getLogger(__name__)
PARTS = ("reader", "intake", "web")
# A part that ends so was told something it cannot work with; starting it again would not help.
EXIT_CONFIG = 2
# The state folder could not be written (a full disk, say): no fault of the film in hand.
EXIT_STATE = 3
STATE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
# A disk that was full is looked at again this often (seconds): whoever frees it does not wait long.
STATE_PAUSE = 5.0
# A part that ran for so long (seconds) has recovered: its next pause is short again.
RECOVERED = 60.0
STOP_SECONDS = 10.0
# The parts of a box that was killed need a moment to notice.
LOCK_SECONDS = 5.0


@dataclass
class Part:
    """One process of the box and when it may be started again."""

    name: str
    settings: Settings
    locks: Sequence[IO]
    process: subprocess.Popen | None = None
    watch: Watch | None = None
    pause: float = FIRST_PAUSE
    not_before: float = 0.0
    started: float = field(default=0.0)

    def start(self) -> None:
        """Start the process; its standard input is a pipe that tells it when this process is gone."""
        # -P: nothing is imported from the folder the box was started in.
        command = [sys.executable, "-P", "-m", "cxrbox", self.name, "--supervised", *self.settings.to_options()]
        # The part holds the locks as well: they are free only when the last part of a killed box has ended.
        held = [lock.fileno() for lock in self.locks]
        environment = dict(os.environ)
        # Where systemd watches, it hears the part itself.
        if "NOTIFY_SOCKET" not in environment:
            self.watch = Watch()
            environment["NOTIFY_SOCKET"] = self.watch.address
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=held, env=environment)
        self.started = time.monotonic()

    def ended(self) -> int | None:
        """Return the exit status if the process has ended since it was started."""
        return self.process.poll() if self.process else None

    def end_if_stuck(self) -> None:
        """Kill the process where it does not get on; it is started again as after any other end."""
        if self.process and self.watch and self.watch.is_stuck():
            log.warning("the %s does not get on and is ended", self.name)
            # Not waited for: what waits for a disk that hangs ends once that answers.
            self.process.kill()
            self._watch_no_more()

    def plan_restart(self, status: int) -> None:
        """Wait before the next start, longer after every quick end."""
        now = time.monotonic()
        longest = STATE_PAUSE if status == EXIT_STATE else LONGEST_PAUSE
        self.pause = FIRST_PAUSE if now - self.started > RECOVERED else min(self.pause * 2, longest)
        self.not_before = now + self.pause
        self.process = None
        self._watch_no_more()

    def _watch_no_more(self) -> None:
        if self.watch:
            self.watch.close()
            self.watch = None


def run_box(settings: Settings, stopped, names: Sequence[str] = PARTS) -> None:
    """Run parts of the box until `stopped()`.

    Raises
    ------
    AlreadyRunningError
        If another box works on the same state folder.
    ConfigError
        If a part cannot work with its settings.
    """
    store = open_with_room(settings.state, Store)
    # Parts that are services of their own leave it to a timer, which runs `cxrbox retain`.
    keeper = Keeper(settings, store) if names == PARTS else None
    with state_locks(settings, names) as locks:
        parts = [Part(name, settings, locks) for name in names]
        try:
            while not stopped():
                if keeper:
                    _keep_room(keeper)
                for part in parts:
                    _look_after(part, store)
                time.sleep(0.1)
        finally:
            _stop(parts)


def _keep_room(keeper: Keeper) -> None:
    """Remove originals that must not or cannot be kept; before the parts start, as a full disk has no room for them."""
    try:
        keeper.look_in_time()
    except (sqlite3.OperationalError, OSError) as err:
        log.warning("originals cannot be removed now (%s)", err)


def _look_after(part: Part, store: Store) -> None:
    """Start a part that should run; end it where it hangs; note how it ended."""
    part.end_if_stuck()
    status = part.ended()
    if status is not None:
        if status == EXIT_CONFIG:
            raise ConfigError(f"the {part.name} cannot start; its reason stands above")
        if part.name == "reader" and not _account_for_film(status, part.settings, store):
            return
        log.warning("the %s ended with status %d and is started again", part.name, status)
        part.plan_restart(status)
    if part.process is None and time.monotonic() >= part.not_before:
        # What an earlier reader had in hand waits again, or the next one would be blamed for it.
        if part.name == "reader" and not _written(store.requeue_interrupted):
            return
        part.start()


def _account_for_film(status: int, settings: Settings, store: Store) -> bool:
    """Decide what becomes of the film on which the reader ended; return False where that could not be written yet."""
    if status == -signal.SIGALRM:
        refusal = refuse("took_too_long", f"reading it took longer than {settings.film_seconds:g} s")
        return _written(lambda: store.count_crash(refusal))
    return status == EXIT_STATE or _written(store.count_crash)


def _written(write: Callable[[], None]) -> bool:
    """Write to the queue; return False, after a pause, where the disk does not let that happen yet."""
    try:
        write()
    except sqlite3.OperationalError as err:
        log.warning("the queue cannot be written yet (%s)", err)
        time.sleep(FIRST_PAUSE)
        return False
    return True


def _stop(parts: list[Part]) -> None:
    """End all parts, by force where they do not."""
    running = [part.process for part in parts if part.process]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def state_locks(settings: Settings, names: Sequence[str]) -> Iterator[list[IO]]:
    """Hold the state folder for these parts alone.

    Raises
    ------
    AlreadyRunningError
        If another box works on it.
    ConfigError
        If it may not be used.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    with ExitStack() as held:
        locks = []
        for name in names:
            # Not for writing: whoever made the file may be another user than the part.
            locks.append(held.enter_context(_open_lock(settings.state / f"{name}.lock")))
            _wait_for(locks[-1], deadline, settings)
        yield locks


def _open_lock(path: Path) -> IO:
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT, 0o644))
    except PermissionError as err:
        raise ConfigError(f"{path} may not be used ({err.strerror}); run it as the user of the box") from err


def _wait_for(lock: IO, deadline: float, settings: Settings) -> None:
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            raise AlreadyRunningError(
                f"another box works with the state folder {settings.state}; stop it or name another folder"
            )
        time.sleep(0.05)


def _try_lock(lock: IO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def die_with_parent() -> None:
    """End this process as soon as the one that started it is gone, whatever ended that one."""

    def wait_for_end_of_input() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
