"""`cxrbox selftest`: golden films on this machine, and what is said of a bundle that does not answer them."""

import json
import shutil

import numpy as np
import pytest
from cxrbox.maps import correlate_maps
from cxrbox.reading import GOLDEN_TOLERANCE, LEAST_GOLDEN_CORRELATION, make_reader, open_reader
from cxrbox.settings import Settings
from cxrbundle.bundle import load_bundle
from cxrbundle.phantom import draw_phantom
from spoiled_bundle import replace_golden


@pytest.fixture
def copied(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


def golden_maps(folder) -> np.ndarray:
    """Return the class maps of the golden films as a converter would keep them."""
    reader = make_reader(Settings(bundle=folder, threads=1, allow_unsigned=True))
    return np.array([reader.infer(draw_phantom(int(seed))).maps for seed in reader.bundle.golden.seeds], np.float16)


def test_the_shipped_bundle_passes_and_says_on_what(cxrbox, bundle_folder):
    done = cxrbox("selftest", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    golden = load_bundle(bundle_folder).golden
    assert [film["seed"] for film in report["films"]] == golden.seeds.tolist()
    assert all(film["passed"] and film["difference"] < GOLDEN_TOLERANCE / 3 for film in report["films"])
    assert all(film["milliseconds"] > 0 for film in report["films"])
    assert report["passed"] and report["trust"] == "shipped" and report["backend"].startswith("cpu ")
    assert report["tolerance"] == {"difference": GOLDEN_TOLERANCE, "map_correlation": LEAST_GOLDEN_CORRELATION}


def test_people_get_a_line_for_each_golden_film(cxrbox, bundle_folder):
    done = cxrbox("selftest")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[-1].endswith("passed")
    assert len(lines) == len(load_bundle(bundle_folder).golden.seeds) + 5


def test_an_altered_bundle_is_refused(cxrbox, copied):
    body = copied / "body.tflite"
    content = bytearray(body.read_bytes())
    content[len(content) // 2] ^= 1
    body.write_bytes(content)
    done = cxrbox("selftest", "--bundle", copied, "--allow-unsigned")
    assert done.returncode == 2 and done.stdout == ""
    assert "body.tflite is not the file its manifest names" in done.stderr


@pytest.mark.parametrize("shift", [2 * GOLDEN_TOLERANCE, float("nan")])
def test_the_film_whose_logits_are_off_is_named(cxrbox, copied, shift):
    logits = load_bundle(copied).golden.logits.copy()
    logits[3, 5] += np.float32(shift)
    replace_golden(copied, logits=logits)
    done = cxrbox("selftest", "--bundle", copied, "--allow-unsigned")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("FAILED: golden film 3")
    done = cxrbox("selftest", "--bundle", copied, "--allow-unsigned", "--json")
    report = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert [film["seed"] for film in report["films"] if not film["passed"]] == [3] and not report["passed"]


def test_class_maps_are_compared_where_the_bundle_has_them(cxrbox, copied):
    maps = golden_maps(copied)
    replace_golden(copied, maps=maps)
    report = json.loads(cxrbox("selftest", "--bundle", copied, "--allow-unsigned", "--json").stdout)
    assert report["passed"] and all(film["map_correlation"] > 0.999 for film in report["films"])
    maps[4] = maps[4, :, :, ::-1]
    replace_golden(copied, maps=maps)
    done = cxrbox("selftest", "--bundle", copied, "--allow-unsigned")
    assert done.returncode == 1 and done.stdout.splitlines()[-1].endswith("FAILED: golden film 4")
    with pytest.raises(RuntimeError, match=r"golden film 4 .* with maps correlated by 0\.9.*it reads no film"):
        open_reader(Settings(bundle=copied, threads=1, allow_unsigned=True))


def test_maps_are_alike_whatever_stands_in_their_means():
    maps = np.random.default_rng(0).normal(size=(14, 7, 7))
    assert correlate_maps(maps, 3 * maps + np.arange(14)[:, None, None]) == pytest.approx(1)
    assert correlate_maps(maps, -maps) == pytest.approx(-1)
    assert np.isnan(correlate_maps(maps, np.zeros_like(maps)))
