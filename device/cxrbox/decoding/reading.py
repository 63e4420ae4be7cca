"""Reading a file that may be a fifo, a folder, huge, or gone: once, bounded, and never blocking."""

import errno
import os
import stat
from pathlib import Path

from cxrbox.decoding.limits import MAX_BYTES
from cxrbox.errors import RefusedError
from cxrbox.refusals import refuse

# What a drive answers that was pulled out while it was read.
GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN}
# The path itself cannot name a file.
NO_SUCH_PATH = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}


def read_once(path: Path) -> bytes:
    """Return the content of a regular file of 1 byte to `MAX_BYTES`.

    Raises
    ------
    RefusedError
        With one of the codes about files. No error is chained: it would quote the path, and people name
        files after patients.
    """
    check_kind(_stat(path))
    try:
        return _read(path)
    except MemoryError:
        raise refuse("out_of_memory", "the film needs more memory than the box has free") from None
    except OSError as err:
        raise _unreadable(err) from None


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except ValueError:  # a path with a null character
        raise refuse("missing", "there is no such file") from None
    except OSError as err:
        if err.errno == errno.ELOOP or (err.errno == errno.ENOENT and path.is_symlink()):
            raise refuse("broken_link", "the file is a shortcut that leads nowhere") from None
        if err.errno in NO_SUCH_PATH:
            raise refuse("missing", "there is no such file") from None
        raise _unreadable(err) from None


def check_kind(status: os.stat_result) -> None:
    """Refuse what is no regular file of 1 byte to `MAX_BYTES`."""
    if stat.S_ISDIR(status.st_mode):
        raise refuse("directory", "this is a folder, not a film")
    if not stat.S_ISREG(status.st_mode):
        raise refuse("not_a_file", "this is a device or a pipe, not a film")
    if status.st_size == 0:
        raise refuse("empty", "the file is empty")
    if status.st_size > MAX_BYTES:
        raise refuse("file_too_large", f"the file is larger than {MAX_BYTES // 2**20} MB")


def _read(path: Path) -> bytes:
    # The file may have been exchanged since it was looked at: O_NONBLOCK keeps a fifo from blocking, and the
    # open file is looked at again.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        check_kind(status)
        return file.read(status.st_size)


def _unreadable(err: OSError) -> RefusedError:
    if err.errno in GONE:
        return refuse("vanished", "the file went away while it was read")
    return refuse("unreadable", f"the file cannot be read ({err.strerror})")
