"""The site's own thresholds: per source, and for one bundle alone."""

import json

import pytest
from cxrbox.errors import ConfigError
from cxrbox.operating_points import load_operating_points, source_of
from cxrbox.reading import open_reader
from cxrbox.settings import Settings
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return load_bundle(bundle_folder)


@pytest.fixture
def site(tmp_path, bundle):
    """Return a function that writes a thresholds file and returns its path."""

    def write(text: str, digest: str = bundle.digest, name: str = "thresholds.toml"):
        path = tmp_path / name
        path.write_text(f'bundle_sha256 = "{digest}"\n{text}')
        return path

    return write


def test_without_a_file_the_thresholds_are_the_bundles(bundle):
    points = load_operating_points(None, bundle)
    assert points.at("camera") == points.at("dicom") == bundle.manifest.thresholds
    assert points.sha256("camera") == points.sha256("dicom")


def test_a_source_has_its_own_thresholds_and_keeps_the_bundles_for_the_rest(bundle, site):
    points = load_operating_points(site("[sources.camera.Mass]\nuncertain = 0.25\nabove = 0.5"), bundle)
    assert (points.at("camera")["Mass"].uncertain, points.at("camera")["Mass"].above) == (0.25, 0.5)
    assert points.at("camera")["Edema"] == bundle.manifest.thresholds["Edema"]
    assert points.at("dicom") == bundle.manifest.thresholds
    assert points.sha256("camera") != points.sha256("dicom") == load_operating_points(None, bundle).sha256("dicom")


def test_json_does_as_well(bundle, tmp_path):
    path = tmp_path / "thresholds.json"
    sources = {"dicom": {"Mass": {"uncertain": 0, "above": 1}}}
    path.write_text(json.dumps({"bundle_sha256": bundle.digest, "sources": sources}))
    assert load_operating_points(path, bundle).at("dicom")["Mass"].above == 1.0


def test_thresholds_made_for_another_bundle_are_refused_with_one_sentence(site, cxrbox, phantom_png):
    path = site("[sources.camera.Mass]\nuncertain = 0.25\nabove = 0.5", digest="ab" * 32)
    done = cxrbox("read", "--thresholds", path, phantom_png(1))
    assert done.returncode == 2 and done.stdout == ""
    assert "were made for another bundle (abababababab) than cxr-demo-lite0" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[sources.phone.Mass]\nuncertain = 0\nabove = 1", "there is no source 'phone'; the nearest is"),
        ("[sources.camera.Masss]\nuncertain = 0\nabove = 1", "no finding 'Masss'; the nearest is Mass"),
        ("[sources.camera.Mass]\nuncertain = 0.6\nabove = 0.5", "0 <= uncertain <= above <= 1"),
        ("[sources.camera.Mass]\nabove = 0.5", "must have uncertain and above"),
        ('[sources.camera.Mass]\nuncertain = "0"\nabove = 0.5', "must have uncertain and above"),
        ("[sources.camera.Mass]\nuncertain = nan\nabove = 0.5", "must have uncertain and above"),
        ("sources = 3", "sources must be a table"),
        ("[sources]\ncamera = 3", "camera must be a table"),
        ("[thresholds]", "thresholds is unknown"),
        ("[sources", "neither TOML nor JSON"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(bundle, site, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_operating_points(site(text), bundle)


def test_a_file_that_is_not_there_is_named(bundle, tmp_path):
    with pytest.raises(ConfigError, match=r"typo\.toml cannot be read"):
        load_operating_points(tmp_path / "typo.toml", bundle)


@pytest.mark.parametrize(
    ("decoded", "photographed", "judged_as"),
    [("picture", True, "camera"), ("picture", False, "scanner"), ("dicom", False, "dicom")],
)
def test_a_film_is_judged_by_how_it_became_a_picture(decoded, photographed, judged_as):
    assert source_of(decoded, photographed) == judged_as


def test_a_reading_is_held_against_the_thresholds_of_its_source(bundle_folder, site, phantom_png):
    always = "\n".join(f"[sources.camera.{finding}]\nuncertain = 0\nabove = 0" for finding in FINDINGS)
    reader = open_reader(Settings(bundle=bundle_folder, threads=1, thresholds=site(always)))
    scanned, photographed = reader.read(phantom_png(1)), reader.read(phantom_png(1), "camera")
    assert {of["state"] for of in photographed.findings.values()} == {"above"}
    assert {of["state"] for of in scanned.findings.values()} != {"above"}
    told = reader.describe(photographed)
    assert told["thresholds_for"] == "camera" and told["thresholds_sha256"] == reader.points.sha256("camera")
