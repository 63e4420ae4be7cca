"""The demonstration films: a real chest radiograph that the registry package pydicom-data carries."""

import importlib.util
import shutil
from pathlib import Path

from cxrbox.errors import ConfigError
from cxrbox.folders import make_folder

# A 15-bit MONOCHROME1 CR of the chest, in each encoding of the NEMA WG-04 samples.
PATTERN = "RG1_*"


def copy_demo_films(folder: Path) -> list[Path]:
    """Copy the demonstration films into a folder and return their paths there.

    Raises
    ------
    ConfigError
        If the package is not installed, or the folder cannot be made.
    """
    package = importlib.util.find_spec("data_store")
    if package is None:
        raise ConfigError("the demonstration films are not installed; run make setup, or name your own folder")
    make_folder(folder)
    found = sorted(path for path in Path(package.submodule_search_locations[0]).rglob(PATTERN) if path.is_file())
    return [Path(shutil.copy(path, folder)) for path in found]
