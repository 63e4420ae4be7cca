"""Write a file so that it is complete or not there."""

import os
import tempfile
from pathlib import Path

from cxrconvert.errors import OutputError


def write_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file in one step, in place of one that is there.

    Parameters
    ----------
    path : Path
    content : bytes
    mode : int
        Permissions, less those that the process's umask takes away.

    Raises
    ------
    OutputError
        If it cannot be written; what was there before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as work:
            new = Path(work) / path.name
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
    except OSError as err:
        raise OutputError(f"{path} cannot be written ({err.strerror}); name another place") from err
