"""`cxrconvert pack`, `keygen`, `sign` and `verify`: from a folder to a file that says who vouches for it."""

import argparse
import json
import os
import pty
import shutil
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cxrbundle.bundle import load_bundle
from cxrbundle.errors import BundleError, TamperedError, UntrustedError
from cxrbundle.manifest import SIGNATURE
from cxrbundle.package import read_package
from cxrconvert.errors import OutputError, SigningKeyError
from cxrconvert.keys import PASSPHRASE
from cxrconvert.pack import add_pack_command, pack_bundle
from cxrconvert.sign_command import add_sign_commands, sign_bundle, verify_bundle


def run_command(*words) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    add_pack_command(commands)
    add_sign_commands(commands)
    arguments = parser.parse_args([str(word) for word in words])
    arguments.run(arguments)


@pytest.fixture
def bundle(bundle_folder, tmp_path):
    """An unsigned copy of the shipped bundle."""
    return shutil.copytree(bundle_folder, tmp_path / "bundle", ignore=shutil.ignore_patterns("signature.json"))


@pytest.fixture
def key(tmp_path):
    run_command("keygen", "-o", tmp_path / "keys" / "site.2026")
    return tmp_path / "keys" / "site.2026.pem"


def spoil(bundle) -> None:
    content = bytearray((bundle / "head.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "head.npz").write_bytes(content)


def test_the_same_bundle_gives_the_same_bytes(bundle, tmp_path, capsys):
    run_command("pack", bundle, "-o", tmp_path / "first")
    [packed] = (tmp_path / "first").iterdir()
    assert capsys.readouterr().out.strip() == str(packed)
    manifest = load_bundle(bundle).manifest
    assert packed.name == f"{manifest.name}-{manifest.version}.cxrbundle"
    os.utime(bundle / "card.md", (0, 0))
    (bundle / "card.md").chmod(0o600)
    (bundle / "diary.txt").write_text("mine")
    assert pack_bundle(bundle, tmp_path / "second").read_bytes() == packed.read_bytes()
    assert load_bundle(packed).digest == load_bundle(bundle).digest


def test_packing_a_packed_bundle_gives_it_again(bundle, tmp_path):
    packed = pack_bundle(bundle, tmp_path / "first")
    assert pack_bundle(packed, tmp_path / "second").read_bytes() == packed.read_bytes()


def test_a_file_that_is_there_is_replaced_by_force_only(bundle, tmp_path):
    packed = pack_bundle(bundle, tmp_path / "out")
    packed.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        pack_bundle(bundle, tmp_path / "out")
    assert packed.read_text() == "mine"
    run_command("pack", bundle, "-o", tmp_path / "out", "--force")
    assert load_bundle(packed)


def test_a_damaged_bundle_is_not_packed_and_leaves_nothing(bundle, tmp_path):
    spoil(bundle)
    with pytest.raises(TamperedError, match=r"head\.npz"):
        pack_bundle(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder(bundle, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        pack_bundle(bundle, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_keys_are_two_files_and_only_the_owner_reads_the_private_one(key):
    assert sorted(path.name for path in key.parent.iterdir()) == ["site.2026.pem", "site.2026.pub"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert (key.parent / "site.2026.pub").read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")


def test_keys_that_are_there_are_not_replaced(key, tmp_path):
    before = key.read_bytes()
    with pytest.raises(OutputError, match="may have signed bundles"):
        run_command("keygen", "-o", tmp_path / "keys" / "site.2026")
    assert key.read_bytes() == before


@pytest.mark.parametrize("packed", [False, True])
def test_a_signed_bundle_is_verified_as_a_folder_and_as_one_file(bundle, key, tmp_path, capsys, packed):
    path = pack_bundle(bundle, tmp_path / "out") if packed else bundle
    files = read_package(path).files
    capsys.readouterr()
    run_command("sign", path, "--key", key)
    run_command("verify", path, "--trusted", key.parent)
    signed, verified = capsys.readouterr().out.splitlines()
    said = json.loads(read_package(path).files[SIGNATURE])
    assert signed == verified and signed.endswith(f"is signed by {said['key']}")
    assert {name: content for name, content in read_package(path).files.items() if name != SIGNATURE} == files
    assert stat.S_IMODE((path / SIGNATURE if path.is_dir() else path).stat().st_mode) & 0o444 == 0o444


def test_a_signed_folder_is_packed_with_its_signature(bundle, key, tmp_path):
    sign_bundle(bundle, key)
    packed = pack_bundle(bundle, tmp_path / "out")
    assert verify_bundle(packed, key.parent) == verify_bundle(bundle, key.parent)


def test_a_new_key_signs_over_an_old_one(bundle, key):
    sign_bundle(bundle, key)
    run_command("keygen", "-o", key.parent / "new")
    sign_bundle(bundle, key.parent / "new.pem")
    (key.parent / "site.2026.pub").unlink()
    assert verify_bundle(bundle, key.parent)


def test_verify_refuses_the_unsigned_the_altered_and_the_unknown(bundle, key, tmp_path):
    with pytest.raises(UntrustedError, match="is not signed"):
        run_command("verify", bundle, "--trusted", key.parent)
    sign_bundle(bundle, key)
    with pytest.raises(UntrustedError, match="holds no such key"):
        run_command("verify", bundle, "--trusted", tmp_path / "nowhere")
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(TamperedError, match="was altered after"):
        run_command("verify", bundle, "--trusted", key.parent)


def test_a_damaged_bundle_is_not_signed(bundle, key):
    spoil(bundle)
    with pytest.raises(BundleError, match=r"head\.npz"):
        run_command("sign", bundle, "--key", key)
    assert not (bundle / SIGNATURE).exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"cannot be read \(No such file or directory\)"),
        (b"no key", "is no private key, or is damaged"),
        (
            X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "is no Ed25519 key",
        ),
    ],
)
def test_a_private_key_that_is_none_is_refused(bundle, tmp_path, content, words):
    if content:
        (tmp_path / "odd.pem").write_bytes(content)
    with pytest.raises(SigningKeyError, match=rf"odd\.pem {words}"):
        sign_bundle(bundle, tmp_path / "odd.pem")
    assert not (bundle / SIGNATURE).exists()


def test_the_public_key_does_not_sign(bundle, key):
    with pytest.raises(SigningKeyError, match="is no private key"):
        sign_bundle(bundle, key.with_suffix(".pub"))


def test_a_passphrase_from_the_environment(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    run_command("keygen", "-o", tmp_path / "locked", "--encrypt")
    assert b"ENCRYPTED" in (tmp_path / "locked.pem").read_bytes()
    assert "is signed by" in sign_bundle(bundle, tmp_path / "locked.pem")
    monkeypatch.setenv(PASSPHRASE, "wrong")
    with pytest.raises(SigningKeyError, match="does not open with this passphrase"):
        sign_bundle(bundle, tmp_path / "locked.pem")
    monkeypatch.delenv(PASSPHRASE)
    with pytest.raises(SigningKeyError, match=f"needs a passphrase; put it into {PASSPHRASE}"):
        sign_bundle(bundle, tmp_path / "locked.pem")


def test_no_keys_are_left_where_no_passphrase_is_given(tmp_path, monkeypatch):
    monkeypatch.delenv(PASSPHRASE, raising=False)
    with pytest.raises(SigningKeyError, match="needs a passphrase"):
        run_command("keygen", "-o", tmp_path / "locked", "--encrypt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("again", "status"), [("correct horse", 0), ("correct hose", 1)])
def test_a_new_passphrase_is_asked_for_twice_at_a_terminal(tmp_path, again, status):
    code = (
        "import sys; from pathlib import Path; from cxrconvert.keys import make_keys\n"
        "from cxrconvert.errors import SigningKeyError\n"
        "try: make_keys(Path(sys.argv[1]), encrypt=True)\n"
        "except SigningKeyError as err: sys.exit(str(err))"
    )
    environment = {name: value for name, value in os.environ.items() if name != PASSPHRASE}
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", code, str(tmp_path / "locked")]
    # A session of its own has no controlling terminal, so the passphrase is read from standard input.
    asking = subprocess.Popen(
        command, stdin=follower, stderr=subprocess.PIPE, env=environment, start_new_session=True, bufsize=0
    )
    words = b""
    for prompt, typed in ((b"locked.pem: ", "correct horse"), (b"again: ", again)):
        # What is typed before the prompt is thrown away.
        while not words.endswith(prompt):
            letter = asking.stderr.read(1)
            assert letter, words
            words += letter
        os.write(leader, f"{typed}\n".encode())
    words += asking.communicate(timeout=60)[1]
    os.close(leader)
    os.close(follower)
    assert asking.returncode == status
    assert (tmp_path / "locked.pem").exists() == (status == 0)
    assert status == 0 or b"the two passphrases" in words
