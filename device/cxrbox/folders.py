"""Folders that a command is to write to."""

from pathlib import Path

from cxrbox.errors import ConfigError


def make_folder(folder: Path) -> Path:
    """Make a folder, where it is not there, and return it; raise ConfigError where something else stands in its way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as err:
        raise ConfigError(f"{folder} cannot be made a folder ({err.strerror}); name another") from err
    return folder
