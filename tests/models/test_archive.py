"""The single file of a bundle: the same bytes each time, and no trick of the zip format is read."""

import hashlib
import io
import stat
import struct
import zipfile

import pytest
from cxrbundle.archive import pack_files, unpack_files
from cxrbundle.bundle import load_bundle
from cxrbundle.errors import ArchiveError, BundleError, ManifestError, TamperedError
from cxrbundle.package import MOST_BYTES, read_package
from tiny_bundle import tiny_files, write_files

FILES = {"b.txt": b"two", "manifest.json": b"{}", "a.txt": b"one", "signature.json": b"me"}


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def refused(tmp_path):
    """Return a function that reads an archive and returns the one sentence with which it is refused."""

    def refuse(content: bytes, kind: type = ArchiveError) -> str:
        path = tmp_path / "tiny-1.0.cxrbundle"
        path.write_bytes(content)
        with pytest.raises(BundleError) as caught:
            read_package(path)
        assert type(caught.value) is kind
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


def test_a_folder_and_its_single_file_are_the_same_bundle(tmp_path):
    folder = write_files(tmp_path / "tiny", tiny_files())
    packed = tmp_path / "tiny-1.0.cxrbundle"
    packed.write_bytes(pack_files(read_package(folder).files))
    assert read_package(packed).files == read_package(folder).files
    assert load_bundle(packed).digest == load_bundle(folder).digest


def test_the_bytes_are_the_same_on_every_machine_and_in_any_order():
    packed = pack_files(FILES)
    assert pack_files(dict(reversed(FILES.items()))) == packed
    # A Python that writes other bytes would no longer read what was packed before.
    assert hashlib.sha256(packed).hexdigest() == "01c08f3517a33e103a365609ef57cb01427cd4cee1d6f6f233cc9c8b317898fb"
    assert zipfile.ZipFile(io.BytesIO(packed)).namelist() == ["manifest.json", "signature.json", "a.txt", "b.txt"]


def test_unpacking_gives_the_files_again(tmp_path):
    assert unpack_files(pack_files(FILES), tmp_path) == FILES


@pytest.mark.parametrize("name", ["/etc/passwd", "../evil", "a/../../evil", "folder/", "C:\\evil", ".hidden", "a\nb"])
def test_a_name_that_is_a_path_is_refused(refused, name):
    assert "no plain file name" in refused(zipped((name, b"x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(refused):
    assert "'card.md' twice" in refused(zipped(("card.md", b"x"), ("card.md", b"y")))


def test_a_compressed_archive_is_refused_unread(refused):
    assert "is compressed" in refused(zipped(("body.tflite", bytes(50_000_000)), method=zipfile.ZIP_DEFLATED))


def test_files_that_share_their_bytes_are_refused(refused):
    """A bomb of the kind that needs no compression: every entry of the directory names the same bytes."""
    content = zipped(("a", bytes(5000)), ("b", b""))
    directory = content.index(b"PK\x01\x02", 5000)
    second = content.index(b"PK\x01\x02", directory + 4)
    bomb = bytearray(content)
    struct.pack_into("<II", bomb, second + 20, 5000, 5000)
    assert "more bytes than it has" in refused(bytes(bomb))


def test_more_files_than_a_bundle_has_are_refused(refused):
    assert "more than 32 files" in refused(zipped(*((f"f{number}", b"") for number in range(33))))


def test_an_archive_larger_than_a_bundle_is_refused(refused):
    assert "larger than" in refused(bytes(MOST_BYTES + 1))


def test_a_link_is_refused(refused):
    link = zipfile.ZipInfo("card.md", (1980, 1, 1, 0, 0, 0))
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "not packed as" in refused(zipped((link, b"/etc/passwd")))


@pytest.mark.parametrize(
    "dress",
    [
        lambda content: content + b"trailing",
        lambda content: b"leading" + content,
        lambda content: content[:-2] + struct.pack("<H", 7) + b"comment",
    ],
)
def test_bytes_round_a_sound_archive_are_refused(refused, dress):
    assert refused(dress(pack_files(tiny_files())))


def test_the_time_stamps_of_another_packer_are_refused(refused):
    assert "not packed as" in refused(zipped(*tiny_files().items()))


def test_an_encrypted_archive_is_refused(refused):
    content = bytearray(pack_files(tiny_files()))
    for at in (6, content.index(b"PK\x01\x02") + 8):
        content[at] |= 1
    assert "no sound bundle file" in refused(bytes(content))


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_refused(refused, content):
    refused(content, ManifestError if content.startswith(b"PK\x05") else ArchiveError)


def test_a_file_that_the_manifest_does_not_name_is_refused(refused):
    assert "holds evil.py, not named" in refused(pack_files(tiny_files() | {"evil.py": b"x"}), TamperedError)


def test_a_file_that_is_missing_is_named(refused):
    files = tiny_files()
    del files["head.npz"]
    assert "lacks head.npz" in refused(pack_files(files), TamperedError)


def test_a_file_of_another_content_is_named(refused):
    assert "body.tflite" in refused(pack_files(tiny_files() | {"body.tflite": b"altered"}), TamperedError)


def test_an_archive_without_manifest_is_refused(refused):
    assert "holds no manifest.json" in refused(pack_files({"card.md": b"x"}), ManifestError)


def test_a_path_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ArchiveError, match=r"nowhere cannot be read \(No such file or directory\); name the folder or"):
        read_package(tmp_path / "nowhere")
