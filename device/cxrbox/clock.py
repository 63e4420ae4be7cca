"""Is the time of this machine to be believed? A Pi has no clock of its own and may start in the past."""

import ctypes
from datetime import UTC, datetime
from pathlib import Path

# Set by systemd-timesyncd once it has spoken to a time server.
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
# No film was read by this release before this day. Raised with every release.
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
# What adjtimex(2) returns while the kernel's clock is not synchronised (STA_UNSYNC).
TIME_ERROR = 5
# Bytes; struct timex has 208 on 64-bit Linux.
TIMEX_SIZE = 512
# With Python's lock held: who gives it away for so short a question waits for the films that are read beside.
LIBC = ctypes.PyDLL(None)


def clock_trusted(now: datetime | None = None) -> bool | None:
    """Return whether the system's clock is synchronised and not before this release; None where nobody can tell.

    Parameters
    ----------
    now : datetime with a time zone, or None
        What the clock says; asked for where it is None.
    """
    if (now or datetime.now(UTC)) < RELEASED:
        return False
    return True if SYNCHRONISED.exists() else _kernel_synchronised()


def _kernel_synchronised() -> bool | None:
    """Return what the kernel says, which chrony and ntpd tell when they steer its clock."""
    try:
        answer = LIBC.adjtimex(ctypes.create_string_buffer(TIMEX_SIZE))
    except AttributeError:
        return None
    return None if answer < 0 else answer != TIME_ERROR
