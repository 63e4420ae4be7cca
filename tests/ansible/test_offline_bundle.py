"""The offline folder: what `make offline-bundle` gathers, and that nothing in it is taken on trust."""

import shutil
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture
def check(plays):
    """Return a function that checks a folder as the plays do."""

    def run(folder) -> subprocess.CompletedProcess:
        command = [sys.executable, plays / "offline" / "check.py", folder]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_the_same_folder_comes_out_again(build, own_offline):
    before = (own_offline / "SHA256SUMS").read_bytes()
    # A wheel that no box needs any more, and one that is missing.
    stray = own_offline / "wheels" / "bookworm-x86_64" / "left_over-1.0-py3-none-any.whl"
    stray.write_bytes(b"")
    assert build(own_offline).returncode == 0
    assert (own_offline / "SHA256SUMS").read_bytes() == before
    assert not stray.exists()


def test_sha256sum_itself_finds_the_folder_in_order(offline):
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=offline, check=True)


def test_the_packages_of_the_system_are_not_shadowed(offline):
    requirements = (offline / "requirements-box.txt").read_text()
    assert "cxrbox==" in requirements
    assert "numpy" not in requirements
    assert "opencv" not in requirements
    assert not list(offline.rglob("numpy*.whl"))


def test_every_wheel_is_pinned_by_its_hash(offline):
    requirements = (offline / "requirements-box.txt").read_text()
    pins = [line for line in requirements.splitlines() if "==" in line]
    wheels = list(offline.glob("wheels/bookworm-x86_64/*.whl"))
    assert len(pins) == len(wheels) == requirements.count("--hash=sha256:")


def test_the_units_of_this_copy_are_in_the_folder(offline, repository):
    here = {path.name for path in (repository / "systemd").glob("*.service")}
    assert here
    assert {path.name for path in (offline / "systemd").glob("*.service")} == here


def test_a_stranger_among_the_files_is_refused(check, own_offline):
    (own_offline / "wheels" / "stranger.whl").write_bytes(b"")
    done = check(own_offline)
    assert done.returncode == 1
    assert "stranger.whl is not listed in SHA256SUMS" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_file_is_refused(check, own_offline):
    (own_offline / "requirements-box.txt").unlink()
    assert "requirements-box.txt is missing" in check(own_offline).stderr


def test_another_unit_makes_another_release(build, check, offline, own_offline):
    unit = own_offline / "systemd" / "cxrbox.target"
    unit.write_text(unit.read_text() + "# altered\n")
    shutil.copytree(own_offline, own_offline.with_name("other"))
    assert "another SHA-256" in check(own_offline).stderr
    # Built anew it is what it was.
    assert build(own_offline).returncode == 0
    assert check(own_offline).stdout.replace(str(own_offline), "") == check(offline).stdout.replace(str(offline), "")


def test_a_bundle_that_the_keys_do_not_vouch_for_is_not_packed(build, offline, tmp_path):
    subprocess.run([sys.executable, "-m", "cxrconvert", "keygen", "-o", tmp_path / "other"], check=True)
    done = build(tmp_path / "folder", key=tmp_path / "other.pub")
    assert done.returncode == 1
    assert "holds no such key" in done.stderr


def test_a_wheel_that_wants_another_numpy_is_refused(plays, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(plays / "offline")
    import lanes
    import locked
    from folder import FolderError

    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", "Name: thing\nVersion: 1.0\nRequires-Dist: numpy>=2\n")
    locked.check_requirements([wheel], lanes.LANES["trixie"], "aarch64")
    with pytest.raises(FolderError, match=r"needs numpy>=2, and on bookworm there is 1\.24\.2"):
        locked.check_requirements([wheel], lanes.LANES["bookworm"], "aarch64")
