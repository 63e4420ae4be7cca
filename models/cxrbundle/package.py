"""The files of a bundle in memory, from its folder or its single file, each verified against the manifest."""

import errno
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from cxrbundle.archive import unpack_files
from cxrbundle.errors import ArchiveError, ManifestError, TamperedError
from cxrbundle.manifest import MANIFEST, SIGNATURE, Manifest, read_manifest

# Bytes of a whole bundle: five times what DenseNet-121 with the paper's head has.
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Package:
    """The verified files of a bundle; nothing but the manifest is parsed yet.

    Attributes
    ----------
    path : Path
        The folder or the single file.
    manifest : Manifest
    files : dict of str to bytes
        Every file by its name, with manifest.json and, where the bundle is signed, signature.json.
    """

    path: Path
    manifest: Manifest
    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 of manifest.json, which pins every other file."""
        return hashlib.sha256(self.files[MANIFEST]).hexdigest()


def read_package(path: Path) -> Package:
    """Read a bundle's folder or single file and verify the SHA-256 of every file in it.

    In a folder only what the manifest names is read, and signature.json; other files are not looked at. A single
    file holds nothing else.

    Raises
    ------
    ManifestError
        If the manifest cannot be used.
    ArchiveError
        If a single file is not one that `cxrconvert pack` wrote.
    TamperedError
        If a file is missing, is not the one the manifest names, or is not named there.
    """
    files = _read_folder(path) if _is_folder(path) else unpack_files(_read_single(path), path)
    if MANIFEST not in files:
        raise ManifestError(f"{path} holds no {MANIFEST}; pack the bundle again")
    manifest = read_manifest(files[MANIFEST], path / MANIFEST)
    _verify(path, manifest, files)
    return Package(path, manifest, files)


def _verify(path: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    """Raise TamperedError unless the files are exactly those that the manifest names."""
    if foreign := sorted(set(files) - set(manifest.files) - {MANIFEST, SIGNATURE}):
        raise TamperedError(f"{path} holds {', '.join(foreign)}, not named in its manifest; pack the bundle again")
    for name, digest in manifest.files.items():
        if name not in files:
            raise TamperedError(f"{path} lacks {name}, which its manifest names; copy the bundle again")
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise TamperedError(
                f"{path / name} is not the file its manifest names (SHA-256 differs); copy the bundle again"
            )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:  # told when it is read
        return False


def _read_single(path: Path) -> bytes:
    try:
        return _read_bounded(path, MOST_BYTES)
    except OSError as err:
        raise ArchiveError(
            f"{path} cannot be read ({err.strerror}); name the folder or the .cxrbundle file of a bundle"
        ) from err


def _read_folder(folder: Path) -> dict[str, bytes]:
    """Return the manifest of a folder, its signature where there is one, and the files that the manifest names."""
    try:
        files = {MANIFEST: _read_bounded(folder / MANIFEST, MOST_BYTES)}
    except OSError as err:
        raise ManifestError(
            f"{folder / MANIFEST} cannot be read ({err.strerror}); name the folder of a bundle"
        ) from err
    names = list(read_manifest(files[MANIFEST], folder / MANIFEST).files)
    if (folder / SIGNATURE).exists():
        names.append(SIGNATURE)
    for name in names:
        try:
            files[name] = _read_bounded(folder / name, MOST_BYTES - sum(map(len, files.values())))
        except OSError as err:
            raise TamperedError(f"{folder / name} cannot be read ({err.strerror}); copy the bundle again") from err
    return files


def _read_bounded(path: Path, most: int) -> bytes:
    """Return a file's bytes; raise OSError if it has more than `most` or is a pipe, a device or a folder."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a plain file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than the {MOST_BYTES} bytes of a bundle")
    return content
