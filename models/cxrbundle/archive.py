"""A bundle as one file, NAME-VERSION.cxrbundle: a zip whose every byte follows from the files in it.

Nothing is compressed, for the bytes of a compressor change with its release, and an archive that is not compressed
is no larger unpacked than packed. Only an archive that packing its content gives again, byte for byte, is read: so
links, gaps, comments, hidden entries and other tricks of the format are refused without knowing each of them.
"""

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrbundle.errors import ArchiveError
from cxrbundle.manifest import MANIFEST, PLAIN_NAME, SIGNATURE

SUFFIX = ".cxrbundle"
MOST_FILES = 32
# The earliest time that a zip can state: a bundle's own time stands in its manifest.
LONG_AGO = (1980, 1, 1, 0, 0, 0)
UNIX = 3
# How each entry of a zip's directory starts (APPNOTE.TXT, section 4.3.12).
DIRECTORY_ENTRY = b"PK\x01\x02"


def pack_files(files: dict[str, bytes]) -> bytes:
    """Return the files of a bundle as one archive, the manifest first; the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files, key=lambda name: (name != MANIFEST, name != SIGNATURE, name)):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system = UNIX
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def unpack_files(content: bytes, path: Path) -> dict[str, bytes]:
    """Return the files of an archive; nothing is written.

    Parameters
    ----------
    content : bytes
        The archive.
    path : Path
        Where it comes from, for the error.

    Raises
    ------
    ArchiveError
        If it is no archive that `pack_files` wrote.
    """
    # The directory is counted before it is read: each of its entries costs twenty times its bytes in memory.
    if content.count(DIRECTORY_ENTRY) > MOST_FILES:
        raise ArchiveError(f"{path} holds more than {MOST_FILES} files, which no bundle does; pack the bundle again")
    with _archive_errors(path):
        archive = zipfile.ZipFile(io.BytesIO(content))
    _check_entries(archive.infolist(), len(content), path)
    with _archive_errors(path):
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    if pack_files(files) != content:
        raise ArchiveError(f"{path} is not packed as `cxrconvert pack` packs it; pack the bundle again")
    return files


def _check_entries(entries: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    """Raise ArchiveError for an entry that is not safe to read, before any is."""
    seen = set()
    for entry in entries:
        if not PLAIN_NAME.fullmatch(entry.filename):
            raise ArchiveError(f"{path} holds {entry.filename!r}, which is no plain file name; pack the bundle again")
        if entry.filename in seen:
            raise ArchiveError(f"{path} holds {entry.filename!r} twice; pack the bundle again")
        seen.add(entry.filename)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ArchiveError(f"{path} is compressed, which a bundle is not; pack it with `cxrconvert pack`")
    if sum(entry.file_size for entry in entries) > size:
        raise ArchiveError(f"{path} says that it holds more bytes than it has; pack the bundle again")


@contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    """Turn what zipfile raises into an ArchiveError: on a hostile file that is any of a dozen kinds."""
    try:
        yield
    except Exception as err:
        raise ArchiveError(f"{path} is no sound bundle file ({err}); copy it again") from err
