"""Every command that reads a run, one after the other on the small run that `fit` made, through the entry point."""

import csv
import json
import shutil
import sys

import pytest
from cxrtrain.__main__ import main


@pytest.fixture
def cxrtrain(monkeypatch):
    """Return a function that runs the command in this process, where torch is loaded already."""

    def run(*arguments) -> None:
        monkeypatch.setattr(sys, "argv", ["cxrtrain", *map(str, arguments)])
        main()

    return run


@pytest.fixture
def own_run(run_folder, tmp_path):
    """Return a copy of the small run that may be written to."""
    return shutil.copytree(run_folder, tmp_path / "run")


def test_a_run_is_evaluated_explained_and_reported(cxrtrain, own_run, drawn_films, prepared_films):
    cxrtrain("evaluate", own_run, "--resamples", 20)
    assert 0 <= json.loads((own_run / "evaluation" / "evaluation.json").read_text())["mean"]["auc"] <= 1
    cxrtrain("explain", own_run, "--films", drawn_films, "--finding", "Effusion", "--limit", 2)
    assert list((own_run / "explanation").glob("*.png"))
    cxrtrain("report", own_run, "--films", prepared_films)
    page = (own_run / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 8 and "Fig. 3 of the paper" in page


def test_a_run_is_compared_with_itself(cxrtrain, run_folder, own_run, capsys):
    cxrtrain("compare", run_folder, own_run, "--json")
    assert json.loads(capsys.readouterr().out)


def test_the_presets_are_drawn(cxrtrain, prepared_films, tmp_path):
    cxrtrain("transforms", prepared_films, "-o", tmp_path)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {f"transforms-{preset}.png" for preset in ("none", "edge", "paper", "film")}


def test_the_labels_of_a_small_metadata_are_written(cxrtrain, drawn_films, tmp_path):
    with (drawn_films / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]
        )
        writer.writerows([row["original_file_name"], "No Finding", row["patient_id"], 40, "F", "PA"] for row in rows)
    cxrtrain("labels", tmp_path / "metadata.csv", "-o", tmp_path / "labels", "--split", "patient")
    assert json.loads((tmp_path / "labels" / "counts.json").read_text())["images"] == 64


def test_the_papers_f1_is_printed(cxrtrain, capsys):
    cxrtrain("paper-f1")
    assert ".384" in capsys.readouterr().out
