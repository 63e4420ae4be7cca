"""Signatures: whoever is not trusted, and whatever was altered, is refused."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cxrbundle.errors import KeyFileError, TamperedError, UntrustedError
from cxrbundle.manifest import MANIFEST, SIGNATURE
from cxrbundle.package import read_package
from cxrbundle.signature import find_signer, key_id, parse_signature, read_trusted_keys, sign_manifest
from tiny_bundle import tiny_files, write_files

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2))


def write_public(path, key) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def trusted(tmp_path):
    write_public(tmp_path / "keys" / "site.pub", KEY)
    return tmp_path / "keys"


@pytest.fixture
def signed(tmp_path):
    files = tiny_files()
    return write_files(tmp_path / "tiny", files | {SIGNATURE: sign_manifest(files[MANIFEST], KEY).to_json()})


def test_the_key_that_signed_is_named(signed, trusted):
    assert find_signer(read_package(signed), trusted) == key_id(KEY.public_key())
    assert find_signer(read_package(signed), trusted / "site.pub") == key_id(KEY.public_key())


def test_the_signature_is_what_the_documentation_says(signed):
    said = json.loads((signed / SIGNATURE).read_text())
    assert list(said) == ["key", "signature", "algorithm"]
    assert said["algorithm"] == "ed25519" and len(said["key"]) == 16
    assert SIGNATURE not in read_package(signed).manifest.files


def test_an_old_and_a_new_key_may_be_trusted_together(signed, trusted):
    write_public(trusted / "new.pub", OTHER)
    assert set(read_trusted_keys(trusted)) == {key_id(KEY.public_key()), key_id(OTHER.public_key())}
    assert find_signer(read_package(signed), trusted) == key_id(KEY.public_key())
    (trusted / "site.pub").unlink()
    with pytest.raises(UntrustedError, match="holds no such key"):
        find_signer(read_package(signed), trusted)


@pytest.mark.parametrize("keys", ["nowhere", "empty", "other"])
def test_a_key_that_is_not_trusted_is_refused(signed, tmp_path, keys):
    (tmp_path / "empty").mkdir()
    write_public(tmp_path / "other" / "other.pub", OTHER)
    with pytest.raises(
        UntrustedError, match=f"signed by the key {key_id(KEY.public_key())}, and .*{keys} holds no such"
    ):
        find_signer(read_package(signed), tmp_path / keys)


def test_an_unsigned_bundle_is_refused(tmp_path, trusted):
    with pytest.raises(UntrustedError, match="is not signed; sign it with"):
        find_signer(read_package(write_files(tmp_path / "tiny", tiny_files())), trusted)


def test_a_threshold_altered_after_signing_is_refused(signed, trusted):
    manifest = signed / MANIFEST
    manifest.write_text(manifest.read_text().replace('"above": 0.5', '"above": 0.6', 1))
    with pytest.raises(TamperedError, match="was altered after"):
        find_signer(read_package(signed), trusted)


def test_the_signature_of_another_bundle_is_refused(signed, trusted):
    (signed / SIGNATURE).write_bytes(sign_manifest(b"{}", KEY).to_json())
    with pytest.raises(TamperedError, match="was altered after"):
        find_signer(read_package(signed), trusted)


def test_a_signature_under_the_name_of_a_trusted_key_is_refused(signed, trusted):
    forged = sign_manifest((signed / MANIFEST).read_bytes(), OTHER).to_json()
    name, other = (key_id(key.public_key()).encode() for key in (KEY, OTHER))
    (signed / SIGNATURE).write_bytes(forged.replace(other, name))
    with pytest.raises(TamperedError, match="was altered after"):
        find_signer(read_package(signed), trusted)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content.replace(b": ", b":  ", 1),
        lambda content: content.replace(b"ed25519", b"none"),
        lambda content: content.replace(b'==", ', b'", '),
        lambda content: b'{"key": 5}',
        lambda content: b"[" * 100_000,
        lambda content: b'{"key": "0123456789abcdef", "signature": "' + b"A" * 85 + b'B==", "algorithm": "ed25519"}\n',
    ],
)
def test_a_signature_that_is_spelt_otherwise_is_refused(signed, tmp_path, spoil):
    with pytest.raises(TamperedError, match=r"signature\.json is not as"):
        parse_signature(spoil((signed / SIGNATURE).read_bytes()), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no key", "no public key in PEM"),
        (KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "no public key in PEM"),
        (
            X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "no Ed25519 key",
        ),
    ],
)
def test_a_file_of_the_trusted_keys_that_holds_none_is_named(signed, trusted, content, words):
    (trusted / "odd.pub").write_bytes(content)
    with pytest.raises(KeyFileError, match=rf"odd\.pub .*{words}"):
        find_signer(read_package(signed), trusted)


def test_a_key_that_cannot_be_read_is_named(signed, trusted):
    (trusted / "folder.pub").mkdir()
    with pytest.raises(KeyFileError, match=r"folder\.pub cannot be read \(Is a directory\)"):
        find_signer(read_package(signed), trusted)
