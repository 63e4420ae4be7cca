"""The shipped bundle, and bundles that must be refused."""

import hashlib
import json
import shutil

import pytest
from cxrbundle.bundle import load_bundle
from cxrbundle.errors import ManifestError, TamperedError
from cxrbundle.labels import FINDINGS
from cxrbundle.package import read_package
from cxrbundle.signature import find_signer, key_id, read_public_key


@pytest.fixture
def copied(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


def rewrite(folder, change) -> None:
    """Change the manifest's JSON object in place."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_shipped_bundle_loads(bundle_folder):
    bundle = load_bundle(bundle_folder)
    assert bundle.manifest.labels == FINDINGS
    assert len(bundle.golden.seeds) >= 3
    assert sum(path.stat().st_size for path in bundle_folder.iterdir()) < 12 << 20


def test_the_shipped_bundle_is_signed_by_the_key_beside_it(bundle_folder, repository):
    key = repository / "models" / "keys" / "cxr-demo.pub"
    assert find_signer(read_package(bundle_folder), key) == key_id(read_public_key(key))


def test_the_card_says_what_the_model_is_not(bundle_folder):
    card = (bundle_folder / "card.md").read_text().lower()
    for words in ("not a diagnosis", "demonstration", "no clearance", "nih clinical center"):
        assert words in " ".join(card.split())


def test_no_file_of_a_bundle_is_a_pickle(bundle_folder):
    assert {path.suffix for path in bundle_folder.iterdir()} <= {".json", ".tflite", ".npz", ".md"}


@pytest.mark.parametrize("name", ["body.tflite", "head.npz", "golden.npz", "card.md"])
def test_a_changed_byte_is_found(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(TamperedError, match=name):
        load_bundle(copied)


def test_a_missing_file_is_named(copied):
    (copied / "head.npz").unlink()
    with pytest.raises(TamperedError, match=r"head\.npz"):
        load_bundle(copied)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"manifest\.json cannot be read"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(schema=99), "schema 99 is unknown"),
        (lambda m: m.pop("schema"), "schema None is unknown"),
        (lambda m: m.update(colour="red"), "unknown keys \\['colour'\\]"),
        (lambda m: m.pop("thresholds"), "missing keys \\['thresholds'\\]"),
        (lambda m: m.update(labels=m["labels"][::-1]), "labels must be the 14"),
        (lambda m: m.update(labels="all"), "labels must be the 14"),
        (lambda m: m.update(preprocessing="letterbox"), "preprocessing is 'letterbox'"),
        (lambda m: m.update(head_kind="vote"), "head_kind is 'vote'"),
        (lambda m: m.update(name="../evil"), "name is '../evil'"),
        (lambda m: m.update(body="other.tflite"), "body names 'other.tflite'"),
        (lambda m: m["files"].update({"../x": "0" * 64}), "no plain file name"),
        (lambda m: m["input"].update(layout="NCHW"), "uint8 in NCHW"),
        (lambda m: m["input"].update(scale=-1.0), "not a positive number"),
        (lambda m: m["input"].update(width=112), "square"),
        (lambda m: m["input"].update(height=2.5), "whole number"),
        (lambda m: m["calibration"]["Mass"].update(slope=-1), "calibration.Mass.slope"),
        (lambda m: m["calibration"]["Mass"].update(slope="steep"), "not a finite number"),
        (lambda m: m["calibration"].pop("Mass"), "one entry for each label"),
        (lambda m: m["thresholds"]["Mass"].update(uncertain=0.9, above=0.1), "does not hold"),
        (lambda m: m.update(thresholds=[]), "thresholds must be an object"),
    ],
)
def test_a_manifest_that_contradicts_the_contract_is_refused(copied, change, words):
    rewrite(copied, change)
    with pytest.raises(ManifestError, match=words):
        load_bundle(copied)


def test_a_manifest_that_is_no_json_is_refused(copied):
    (copied / "manifest.json").write_text("{")
    with pytest.raises(ManifestError, match="not JSON"):
        load_bundle(copied)


def test_a_head_that_is_no_plain_archive_is_refused(copied):
    (copied / "head.npz").write_bytes(b"no archive")
    rewrite(copied, lambda m: m["files"].update({"head.npz": hashlib.sha256(b"no archive").hexdigest()}))
    with pytest.raises(ManifestError, match="no plain numpy archive"):
        load_bundle(copied)
