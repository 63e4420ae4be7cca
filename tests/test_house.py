"""The house itself: what a wheel carries, and that no film is ever part of the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm"}


@pytest.mark.parametrize(
    ("part", "spared"),
    [
        ("cxrbox.supervise", {"numpy", "cv2", "flask"}),
        ("cxrbox.intake", {"numpy", "cv2", "flask"}),
        ("cxrbox.web.server", {"numpy", "cv2", "PIL"}),
        ("cxrbox.reader", {"pydicom", "gdcm", "flask", "torch", "tensorflow"}),
    ],
)
def test_a_part_takes_no_memory_for_what_it_does_not_do(part, spared):
    code = f"import sys, {part}; print(*({spared} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == ""


def test_an_installed_wheel_reads_a_film_with_the_bundle_it_carries(tmp_path, phantom_png):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(installed)
    code = (
        "import cxrbox, cxrbundle, sys; from cxrbox.__main__ import main;"
        f"assert all(m.__file__.startswith({str(installed)!r}) for m in (cxrbox, cxrbundle)); main()"
    )
    command = [sys.executable, "-c", code, "read", str(phantom_png(1))]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "not a diagnosis" in done.stdout


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return listed.stdout.splitlines()


def test_the_only_picture_in_the_repository_is_of_the_page():
    pictures = [name for name in tracked_files() if Path(name).suffix.lower() in PICTURES]
    assert pictures == ["device/pictures/page.png"]


def test_only_bundles_and_the_networks_of_the_capture_gate_are_large():
    large = [name for name in tracked_files() if (REPOSITORY / name).stat().st_size > 500_000]
    assert all(name.startswith(("models/bundles/", "device/cxrbox/capture/")) for name in large)
    assert sum((REPOSITORY / name).stat().st_size for name in large if name.startswith("device/")) < 3_000_000
