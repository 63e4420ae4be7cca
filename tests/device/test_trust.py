"""Which bundles the box reads with, at the command line and on the page."""

import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cxrbox.settings import Settings
from cxrbox.trust import SHIPPED, UNSIGNED, open_package
from cxrbox.web import create_app
from cxrbundle.archive import pack_files
from cxrbundle.errors import TamperedError, UntrustedError
from cxrbundle.manifest import MANIFEST, SIGNATURE
from cxrbundle.package import read_package
from cxrbundle.signature import key_id, sign_manifest

KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
NAME = key_id(KEY.public_key())


@pytest.fixture
def copied(bundle_folder, tmp_path):
    """An unsigned copy of the shipped bundle."""
    return shutil.copytree(bundle_folder, tmp_path / "bundle", ignore=shutil.ignore_patterns(SIGNATURE))


@pytest.fixture
def signed(copied):
    (copied / SIGNATURE).write_bytes(sign_manifest((copied / MANIFEST).read_bytes(), KEY).to_json())
    return copied


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "site.pub").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return folder


def test_the_shipped_bundle_is_trusted_as_the_code_is(tmp_path):
    _, trust = open_package(Settings(trusted_keys=tmp_path))
    assert trust == SHIPPED


def test_a_link_to_a_bundle_elsewhere_is_not_shipped(copied, bundle_folder, tmp_path):
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / bundle_folder.name).symlink_to(copied)
    with pytest.raises(UntrustedError):
        open_package(Settings(bundle=tmp_path / "bundles" / bundle_folder.name))


def test_a_bundle_that_a_trusted_key_signed_is_read(signed, keys):
    assert open_package(Settings(bundle=signed, trusted_keys=keys))[1] == f"signed by {NAME}"


@pytest.mark.parametrize("which", ["copied", "signed"])
def test_what_nobody_vouches_for_needs_the_operator(request, tmp_path, which, caplog):
    bundle = request.getfixturevalue(which)
    with pytest.raises(UntrustedError, match=r"or allow it with --allow-unsigned$"):
        open_package(Settings(bundle=bundle, trusted_keys=tmp_path / "none"))
    allowed = Settings(bundle=bundle, trusted_keys=tmp_path / "none", allow_unsigned=True)
    assert open_package(allowed)[1] == UNSIGNED
    assert "is unsigned; the operator allows it" in caplog.text


def test_what_was_altered_after_signing_is_refused_whatever_is_allowed(signed, keys):
    manifest = signed / MANIFEST
    facts = json.loads(manifest.read_text())
    facts["thresholds"]["Mass"]["above"] = 0.9
    manifest.write_text(json.dumps(facts))
    with pytest.raises(TamperedError, match="was altered after"):
        open_package(Settings(bundle=signed, trusted_keys=keys, allow_unsigned=True))


def test_read_refuses_an_unsigned_bundle_in_one_sentence(cxrbox, copied, phantom_png):
    done = cxrbox("read", "--bundle", copied, phantom_png(1))
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(f"cxrbox: {copied} is not signed")


def test_read_takes_a_signed_single_file(cxrbox, signed, keys, phantom_png, tmp_path):
    packed = tmp_path / "copy.cxrbundle"
    packed.write_bytes(pack_files(read_package(signed).files))
    done = cxrbox("read", "--bundle", packed, "--trusted-keys", keys, "--json", phantom_png(1))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bundle_sha256"] == read_package(signed).digest


def test_the_box_ends_with_the_reason_if_it_trusts_nobody(cxrbox, copied, tmp_path):
    folders = ["--films", tmp_path / "f", "--state", tmp_path / "s"]
    done = cxrbox("run", "--bundle", copied, "--trusted-keys", tmp_path / "none", *folders, "--port", 1024)
    assert done.returncode == 2
    assert "is not signed" in done.stderr and "the reader cannot start" in done.stderr


def test_the_running_box_says_who_signed_its_bundle(idle_box, signed, keys, tmp_path):
    packed = tmp_path / "copy.cxrbundle"
    packed.write_bytes(pack_files(read_package(signed).files))
    idle_box.start("--bundle", str(packed), "--trusted-keys", str(keys))
    health = idle_box.wait_until(lambda: idle_box.json("/api/health"))
    assert health["bundle_trust"] == f"signed by {NAME}"
    about = idle_box.get("/about").decode()
    assert f"<strong>signed by {NAME}</strong>" in about and "NOT A DIAGNOSIS" in about


def test_the_page_of_the_shipped_bundle_says_so(box):
    assert box.json("/api/health")["bundle_trust"] == SHIPPED
    assert b"<strong>shipped</strong>" in box.get("/about")


def test_an_unsigned_bundle_is_never_silent(idle_box, copied):
    idle_box.start("--bundle", str(copied), "--allow-unsigned")
    assert idle_box.wait_until(lambda: idle_box.json("/api/health"))["bundle_trust"] == UNSIGNED
    assert f"<strong>{UNSIGNED}</strong>".encode() in idle_box.get("/about")
    idle_box.wait_until(lambda: "is unsigned; the operator allows it" in idle_box.log)


@pytest.mark.parametrize("path", ["/about", "/api/health"])
def test_the_page_alone_says_why_a_bundle_is_refused(copied, tmp_path, path):
    settings = Settings(bundle=copied, state=tmp_path / "state", trusted_keys=tmp_path / "none")
    answer = create_app(settings).test_client().get(path)
    assert answer.status_code == 503 and "is not signed" in answer.text


def test_a_bundle_without_card_is_said_so(copied, tmp_path):
    manifest = json.loads((copied / MANIFEST).read_text())
    del manifest["files"]["card.md"]
    (copied / MANIFEST).write_text(json.dumps(manifest))
    settings = Settings(bundle=copied, state=tmp_path / "state", allow_unsigned=True)
    answer = create_app(settings).test_client().get("/about")
    assert answer.status_code == 503 and "has no card" in answer.text
