"""`cxrconvert diff`: what an update would change, on drawn films and on a folder of films."""

import argparse
import hashlib
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS
from cxrbundle.operating_point import Calibration, Thresholds, state
from cxrbundle.package import read_package
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.scores import likelihoods
from cxrconvert.bodies import TfliteBody
from cxrconvert.diff_command import add_diff_command
from cxrconvert.errors import BodyError, FilmsError, RunError


@pytest.fixture
def run_diff(capsys):
    """Return a function that runs `diff` with --json and returns what it says."""

    def run(*words, as_json: bool = True):
        parser = argparse.ArgumentParser()
        add_diff_command(parser.add_subparsers(required=True))
        arguments = parser.parse_args(["diff", *map(str, words), *(["--json"] if as_json else [])])
        capsys.readouterr()
        arguments.run(arguments)
        said = capsys.readouterr().out
        return json.loads(said) if as_json else said

    return run


@pytest.fixture
def other(bundle_folder, tmp_path):
    """Return a function that copies the shipped bundle with a manifest that was changed."""

    def write(name="other", **changes):
        folder = shutil.copytree(bundle_folder, tmp_path / name)
        manifest = replace(read_package(folder).manifest, **changes)
        (folder / "manifest.json").write_text(manifest.to_json())
        return folder

    return write


@pytest.fixture
def loud(bundle_folder, other):
    """The shipped bundle, but every likelihood of hernia is above its threshold."""
    thresholds = read_package(bundle_folder).manifest.thresholds
    return other("loud", thresholds=thresholds | {"Hernia": Thresholds(1e-9, 1e-8)})


@pytest.fixture
def silent(bundle_folder, other):
    """The shipped bundle, but no likelihood is above the threshold of any finding and none of mass is uncertain."""
    thresholds = {
        name: Thresholds(at.uncertain, 1.0) for name, at in read_package(bundle_folder).manifest.thresholds.items()
    }
    return other(version="2", thresholds=thresholds | {"Mass": Thresholds(1.0, 1.0)})


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    (folder / "ward").mkdir(parents=True)
    for name, seed in (("a.png", 1), ("ward/b.png", 2)):
        assert cv2.imwrite(str(folder / name), draw_phantom(seed))
    (folder / "letter.txt").write_text("dear colleague")
    return folder


def states_of(folder) -> list[list[str]]:
    """Return the state of every finding on every golden phantom, film by film, as the box works them out."""
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    body = TfliteBody(bundle.body, manifest.input.scale, manifest.input.zero_point)
    films = [to_input(draw_phantom(int(seed)), manifest.input.height) for seed in bundle.golden.seeds]
    chances = [likelihoods(bundle.head(body(film)).logits, manifest.calibrations) for film in films]
    return [[state(c, manifest.thresholds[name]) for c, name in zip(own, FINDINGS, strict=True)] for own in chances]


def test_nothing_changes_between_a_bundle_and_itself(run_diff, bundle_folder):
    said = run_diff(bundle_folder, bundle_folder)
    films = said["films"]
    assert films["count"] == 6 and films["folder"] is None and films["changed"] == []
    assert films["referral_rate"][0] == films["referral_rate"][1]
    for finding in said["findings"].values():
        assert finding["mean_likelihood_change"] == 0
        assert all(before == after for before, after in (v for v in finding.values() if isinstance(v, list)))


def test_shares_are_those_of_the_box(run_diff, bundle_folder):
    states = states_of(bundle_folder)
    said = run_diff(bundle_folder, bundle_folder)
    for at, finding in enumerate(FINDINGS):
        column = [film[at] for film in states]
        for key, word in (("share_above", "above"), ("share_uncertain", "uncertain")):
            assert said["findings"][finding][key] == [pytest.approx(column.count(word) / len(column), abs=1e-4)] * 2
    assert said["films"]["referral_rate"][0] == pytest.approx(np.mean(["above" in film for film in states]), abs=1e-4)


def test_thresholds_that_move_change_referrals(run_diff, bundle_folder, loud, silent):
    said = run_diff(loud, silent)
    assert said["films"]["referral_rate"] == [1, 0]
    assert len(said["films"]["changed"]) == 6
    assert {tuple(of["verdict"]) for of in said["films"]["changed"]} <= {("above", "uncertain"), ("above", "nothing")}
    mass = said["findings"]["Mass"]
    shipped = read_package(bundle_folder).manifest.thresholds["Mass"]
    assert mass["above_from"] == [pytest.approx(shipped.above), 1.0] and mass["uncertain_from"][1] == 1.0
    assert mass["share_uncertain"][1] == 0
    assert [bundle["title"].split()[1] for bundle in said["bundles"]] == [
        read_package(bundle_folder).manifest.version,
        "2",
    ]


def test_a_calibration_that_moves_is_told_in_likelihoods(run_diff, bundle_folder, other):
    own = read_package(bundle_folder).manifest
    calibration = own.calibration | {"Hernia": Calibration(own.calibration["Hernia"].slope, 10.0)}
    hernia = run_diff(bundle_folder, other(calibration=calibration))["findings"]["Hernia"]
    assert hernia["mean_likelihood_change"] > 0.5 and hernia["share_above"][1] == 1


def test_figures_are_those_of_the_manifests_or_none(run_diff, bundle_folder, other):
    said = run_diff(bundle_folder, other(conversion={}))
    metrics = load_bundle(bundle_folder).manifest.conversion["metrics"]
    assert said["findings"]["Mass"]["figures"][0]["auc"] == metrics["int8"]["Mass"]["auc"]
    assert said["mean_auc"] == [
        {key: metrics["int8"]["mean"][key] for key in ("auc", "auc_95")},
        {"auc": None, "auc_95": None},
    ]


def test_a_folder_of_films_is_read_with_both(run_diff, bundle_folder, silent, films):
    said = run_diff(bundle_folder, silent, "--films", films)
    assert said["films"]["count"] == 2 and said["films"]["folder"] == str(films)
    assert {of["film"] for of in said["films"]["changed"]} <= {"a.png", "ward/b.png"}


def test_the_test_films_of_a_run_are_read(run_diff, bundle_folder, own):
    said = run_diff(bundle_folder, bundle_folder, "--films", own / "films", "--run", own / "run")
    assert said["films"]["count"] == 24


def test_people_read_tables(run_diff, bundle_folder, loud, silent):
    text = run_diff(loud, silent, as_json=False)
    manifest = read_package(bundle_folder).manifest
    auc = manifest.conversion["metrics"]["int8"]["Pleural_Thickening"]
    low, high = auc["auc_95"]
    assert text.startswith(f"# {manifest.title} (") and "golden phantoms" in text
    assert "of 6 films get another verdict." in text
    assert f"| Pleural thickening | {auc['auc']:.3f} ({low:.3f} to {high:.3f}) |" in text
    assert "- phantom " in text and f"{manifest.thresholds['Mass'].above:.3f} to 1.000" in text
    for leak in ("None", "{", "nan"):
        assert leak not in text


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        (["--films", "nowhere"], FilmsError, "nowhere is no folder"),
        (["--run", "run"], FilmsError, "--films must name the folder"),
        (["--films", "empty"], FilmsError, "has no film to compare on"),
        (["--films", "damaged"], FilmsError, r"a\.png cannot be decoded"),
        (["--films", "films", "--run", "empty"], RunError, r"films\.csv cannot be read"),
    ],
)
def test_films_that_cannot_be_read_are_named(run_diff, bundle_folder, films, monkeypatch, options, kind, words):
    monkeypatch.chdir(films.parent)
    (films.parent / "empty").mkdir()
    (films.parent / "damaged").mkdir()
    (films.parent / "damaged" / "a.png").write_text("no picture")
    with pytest.raises(kind, match=words):
        run_diff(bundle_folder, bundle_folder, *options)


def test_a_body_that_is_no_network_is_named(run_diff, bundle_folder, other):
    files = read_package(bundle_folder).manifest.files
    folder = other(files=files | {"body.tflite": hashlib.sha256(b"no network").hexdigest()})
    (folder / "body.tflite").write_bytes(b"no network")
    with pytest.raises(BodyError, match=r"body of cxr-demo-lite0 [0-9.]+ does not load"):
        run_diff(bundle_folder, folder)


def test_a_body_of_other_ends_is_named(run_diff, bundle_folder, other):
    features = read_package(bundle_folder).manifest.features
    folder = other(features=replace(features, zero_point=features.zero_point + 1))
    with pytest.raises(BodyError, match="has other ends than its manifest says"):
        run_diff(bundle_folder, folder)
