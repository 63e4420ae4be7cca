"""A state folder with films in it, read by the reader's own steps."""

from pathlib import Path

import cv2
from cxrbox.desk import Desk
from cxrbox.reading import Reader
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbundle.bundle import sha256_file
from cxrbundle.phantom import draw_phantom


def keep_file(store: Store, path: Path, source: str = "folder") -> None:
    """Take a file in as intake does."""
    sha256 = sha256_file(path)
    original = store.original_path(sha256)
    original.parent.mkdir(exist_ok=True)
    original.write_bytes(path.read_bytes())
    store.add_film(path.name, "1", sha256, path.stat().st_size, source)


def keep_phantoms(store: Store, *seeds: int) -> None:
    """Take drawn films in."""
    for seed in seeds:
        path = store.incoming / f"phantom-{seed}.png"
        assert cv2.imwrite(str(path), draw_phantom(seed))
        keep_file(store, path)
        path.unlink()


def read_queue(store: Store, reader: Reader, settings: Settings | None = None) -> None:
    """Read all films that wait."""
    desk = Desk(settings or Settings(), store, reader)
    while film := store.claim():
        desk.read(film)
    desk.close()
