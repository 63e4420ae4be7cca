"""An offline folder that is not in order is refused with one sentence before any box is asked: run for real."""

import subprocess
from pathlib import Path


def test_a_missing_offline_folder_is_refused(refusal, tmp_path):
    assert "make it again with `make offline-bundle`" in refusal(folder=tmp_path / "nowhere")


def test_an_altered_wheel_is_refused(refusal, own_offline):
    wheel = next(own_offline.glob("wheels/*/waitress-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    sentence = refusal(folder=own_offline)
    assert wheel.name in sentence
    assert "another SHA-256" in sentence


def test_a_bundle_of_a_stranger_is_refused(refusal, own_offline):
    [key] = own_offline.glob("keys/*.pub")
    key.unlink()
    resum(own_offline)
    assert "holds no such key" in refusal(folder=own_offline)


def test_a_folder_without_a_bundle_is_refused(refusal, own_offline):
    [bundle] = own_offline.glob("bundles/*.cxrbundle")
    bundle.unlink()
    resum(own_offline)
    assert "holds 0 bundles and must hold one" in refusal(folder=own_offline)


def resum(folder: Path) -> None:
    """Pin the files of a folder anew, as somebody would who altered it on purpose."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    names.remove("SHA256SUMS")
    sums = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "SHA256SUMS").write_text(sums)
