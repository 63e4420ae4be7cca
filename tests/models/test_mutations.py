"""Whatever is done to a bundle, it is refused with a BundleError; nothing else is ever raised."""

import json

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cxrbundle.archive import pack_files
from cxrbundle.bundle import build_bundle, load_bundle
from cxrbundle.errors import BundleError
from cxrbundle.film_check import KINDS
from cxrbundle.manifest import MANIFEST, SIGNATURE, read_manifest
from cxrbundle.package import read_package
from cxrbundle.signature import find_signer, sign_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_bundle import as_npz, check_arrays, golden_arrays, head_arrays, tiny_files, write_files

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
FILES = tiny_files()
SIGNED = FILES | {SIGNATURE: sign_manifest(FILES[MANIFEST], KEY).to_json()}
PACKED = pack_files(SIGNED)
# A part of the archive that each mutation is as likely to strike, however few bytes it has.
PARTS = [PACKED.index(SIGNED[name]) for name in SIGNED] + [0, PACKED.index(b"PK\x01\x02"), len(PACKED) - 22]
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutated")
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "site.pub").write_bytes(public)
    return folder


def read_as_the_box_does(path, keys) -> None:
    package = read_package(path)
    find_signer(package, keys)
    build_bundle(package)


@st.composite
def mutations(draw, content: bytes, parts: list[int]) -> bytes:
    """Draw an altered copy: bytes changed, cut out, doubled, put in, or the end cut off."""
    start = min(draw(st.sampled_from(parts)) + draw(st.integers(0, 200)), len(content) - 1)
    stop = min(start + draw(st.integers(1, 40)), len(content))
    kind = draw(st.sampled_from(["bit", "bytes", "cut", "double", "insert", "truncate"]))
    if kind == "bit":
        middle, stop = bytes([content[start] ^ 1 << draw(st.integers(0, 7))]), start + 1
    elif kind == "bytes":
        middle = draw(st.binary(min_size=stop - start, max_size=stop - start))
    elif kind == "double":
        middle = content[start:stop] * 2
    elif kind == "insert":
        middle, stop = draw(st.binary(min_size=1, max_size=40)), start
    else:
        middle, stop = b"", stop if kind == "cut" else len(content)
    return content[:start] + middle + content[stop:]


def test_the_bundle_is_sound_before_it_is_altered(place):
    (place / "sound.cxrbundle").write_bytes(PACKED)
    read_as_the_box_does(place / "sound.cxrbundle", place / "site.pub")
    read_as_the_box_does(write_files(place / "sound", SIGNED), place / "site.pub")


@MANY
@given(altered=mutations(PACKED, PARTS).filter(lambda altered: altered != PACKED))
def test_an_altered_single_file_is_refused(place, altered):
    (place / "altered.cxrbundle").write_bytes(altered)
    with pytest.raises(BundleError) as caught:
        read_as_the_box_does(place / "altered.cxrbundle", place / "site.pub")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SIGNED)
@settings(MANY, max_examples=40)
@given(data=st.data())
def test_an_altered_file_of_a_folder_is_refused(place, name, data):
    content = SIGNED[name]
    parts = sorted({0, len(content) // 2, max(len(content) - 200, 0)})
    altered = data.draw(mutations(content, parts).filter(lambda altered: altered != content))
    folder = write_files(place / "folder", SIGNED | {name: altered})
    with pytest.raises(BundleError) as caught:
        read_as_the_box_does(folder, place / "site.pub")
    assert "\n" not in str(caught.value)


@MANY
@given(content=st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: b"PK\x03\x04" + tail))
def test_any_bytes_are_refused(place, content):
    (place / "any.cxrbundle").write_bytes(content)
    with pytest.raises(BundleError):
        read_package(place / "any.cxrbundle")


ARRAYS = {
    "head": as_npz(**head_arrays()),
    "golden": as_npz(**golden_arrays()),
    "check": as_npz(**check_arrays()),
}


@pytest.mark.parametrize("name", ARRAYS)
@settings(MANY, max_examples=100)
@given(data=st.data())
def test_arrays_that_the_manifest_vouches_for_load_or_are_refused(place, name, data):
    content = ARRAYS[name]
    altered = data.draw(mutations(content, list(range(0, len(content), 97))))
    try:
        bundle = load_bundle(write_files(place / f"vouched-{name}", tiny_files(**{name: altered})))
    except BundleError:
        return
    assert bundle.head(np.zeros((2, 2, 3), np.float32)).logits.shape == (14,)
    with np.errstate(all="ignore"):
        assert bundle.film_check.score(np.zeros((2, 2, 3), np.float32)).kind in KINDS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def manifests(draw) -> bytes:
    """Draw a manifest in which one value, at any depth, is any other JSON value, is gone, or has a neighbour."""
    raw = json.loads(FILES[MANIFEST])
    node = raw
    while True:
        key = draw(st.sampled_from(sorted(node)))
        if not (isinstance(node[key], dict) and node[key] and draw(st.booleans())):
            break
        node = node[key]
    change = draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        node[key] = draw(JSON)
    elif change == "remove":
        del node[key]
    else:
        node[draw(st.text(max_size=8))] = draw(JSON)
    return json.dumps(raw).encode()


@MANY
@given(content=manifests())
def test_a_manifest_is_read_or_refused(place, content):
    try:
        manifest = read_manifest(content, place / MANIFEST)
    except BundleError:
        return
    assert manifest.labels and manifest.title and {manifest.body, manifest.head, manifest.golden} <= set(manifest.files)


@MANY
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_manifest_is_refused(place, content):
    with pytest.raises(BundleError):
        read_manifest(content, place / MANIFEST)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe{}", b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}", b" " * (1 << 20) + b"{}"]
)
def test_json_that_exhausts_its_reader_is_refused(place, content):
    with pytest.raises(BundleError):
        read_manifest(content, place / MANIFEST)


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_the_manifest_does_not_vouch_for_itself(place, name):
    raw = json.loads(FILES[MANIFEST])
    raw["files"][name] = "0" * 64
    with pytest.raises(BundleError, match="cannot be one of them"):
        read_manifest(json.dumps(raw).encode(), place / MANIFEST)
