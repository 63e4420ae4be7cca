"""Each wrong input is refused in a sentence that names it, and leaves nothing behind."""

import csv
from dataclasses import replace

import numpy as np
import onnx
import pytest
from cxrbundle.labels import FINDINGS
from cxrconvert.convert import convert
from cxrconvert.errors import ConvertError
from cxrconvert.films import read_films
from cxrconvert.settings import Settings
from tiny_run import SIZE, Network, change_json, save_head, write_table


def tiny_settings(own, name="cxr-test", **changes):
    """Settings of a conversion of the tiny run, whose films are too few for the gates."""
    return Settings(own / "run", own / "films", own / "out" / "bundle", name, "1", allow_failed_gates=True, **changes)


def no_run_json(own):
    (own / "run" / "run.json").unlink()


def half_a_run_json(own):
    (own / "run" / "run.json").write_text('{"network": ')


def other_labels(own):
    change_json(own / "run", labels=list(reversed(FINDINGS)))


def other_preprocessing(own):
    change_json(own / "run", preprocessing="letter-box-9")


def other_size(own):
    change_json(own / "run", input={"size": 2 * SIZE, "scale": 1 / 128, "zero_point": 127})


def inexact_scaling(own):
    change_json(own / "run", input={"size": SIZE, "scale": 1 / 100, "zero_point": 127.5})


def other_head_kind(own):
    change_json(own / "run", head_kind="oracle")


def head_of_other_width(own):
    save_head(own / "run", np.zeros((14, 7), np.float32))


def head_of_few_findings(own):
    save_head(own / "run", np.zeros((1, 24), np.float32))


def head_of_nan(own):
    save_head(own / "run", np.full((14, 24), np.nan, np.float32))


def columns_missing(own):
    write_table(own / "run" / "films.csv", [], ("Goitre", *FINDINGS[1:]))


def films_elsewhere(own):
    (own / "films" / "3.png").unlink()


def film_that_is_none(own):
    (own / "films" / "3.png").write_text("no picture")


def no_body(own):
    (own / "run" / "body.onnx").unlink()


def body_of_noise(own):
    (own / "run" / "body.onnx").write_bytes(b"no model")


def no_predictions(own):
    (own / "run" / "predictions.csv").unlink()


def predictions_of_other_films(own):
    path = own / "run" / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))


def predictions_of_other_findings(own):
    path = own / "run" / "predictions.csv"
    path.write_text(path.read_text().replace("Hernia", "Goitre"))


def body_with_sigmoid(own):
    net = Network()
    wide = net.conv("film", 24, 3, strides=[2, 2], pads=[0, 0, 1, 1])
    onnx.save(net.model(net.add("Sigmoid", wide)), own / "run" / "body.onnx")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_run_json, "run.json cannot be read"),
        (half_a_run_json, "run.json is not JSON"),
        (other_labels, "labels must be the 14"),
        (other_preprocessing, "preprocessing is 'letter-box-9'"),
        (other_size, "run.json says a size of 64"),
        (inexact_scaling, "train with a scaling that spans 0..255"),
        (other_head_kind, "head kind 'oracle' is unknown"),
        (head_of_other_width, "does not fit the 24 channels"),
        (head_of_few_findings, "not one for each of 14"),
        (head_of_nan, "weight holds NaN"),
        (columns_missing, "films.csv lacks the columns Atelectasis; name the folder"),
        (films_elsewhere, "1 of 72 films are not below"),
        (film_that_is_none, "3.png cannot be decoded"),
        (no_body, "body.onnx is no sound ONNX model"),
        (body_of_noise, "body.onnx is no sound ONNX model"),
        (no_predictions, "predictions.csv cannot be read"),
        (predictions_of_other_films, "lacks 3 of 24 films"),
        (predictions_of_other_findings, "must have the columns name, part and the 14 findings"),
        (body_with_sigmoid, "node 'node_sigmoid_1': operator Sigmoid"),
    ],
)
def test_refused(own, spoil, words):
    spoil(own)
    with pytest.raises(ConvertError, match=words.replace("(", r"\(")) as caught:
        convert(tiny_settings(own))
    assert "\n" not in str(caught.value)
    assert list((own / "out").iterdir()) == []


def test_the_order_of_the_columns_does_not_matter_and_films_outside_the_split_are_skipped(own):
    path = own / "run" / "films.csv"
    films = read_films(path, own / "films")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    left_out = [cell if name != "part" else "" for name, cell in zip(header, rows[0], strict=True)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([row[::-1] for row in (header, *rows, left_out)])
    assert "part" in header and len(films) == 72
    assert read_films(path, own / "films") == films


def test_too_few_calibration_films(own):
    with pytest.raises(ConvertError, match="4 calibration films are too few; draw 16"):
        convert(tiny_settings(own, calibration_films=4))


def test_a_name_that_the_box_would_refuse(own):
    with pytest.raises(ConvertError, match="--name is '../evil'; use letters".replace(".", r"\.")):
        convert(tiny_settings(own, name="../evil"))
    assert list((own / "out").iterdir()) == []


def test_a_folder_that_is_there_is_not_touched(own):
    (own / "out" / "diary.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(ConvertError, match="name another folder"):
            convert(Settings(own / "run", own / "films", own / "out", "cxr-test", "1", force=force))
    assert (own / "out" / "diary.txt").read_text() == "mine"


def test_a_bundle_is_replaced_by_force_only_if_the_new_one_is_good(own):
    settings = tiny_settings(own, name="first")
    convert(settings)
    before = (own / "out" / "bundle" / "manifest.json").read_bytes()
    (own / "films" / "70.png").rename(own / "70.png")
    with pytest.raises(ConvertError, match=r"70\.png"):
        convert(replace(settings, name="second", force=True))
    assert (own / "out" / "bundle" / "manifest.json").read_bytes() == before
    (own / "70.png").rename(own / "films" / "70.png")
    convert(replace(settings, name="second", force=True))
    assert b'"second"' in (own / "out" / "bundle" / "manifest.json").read_bytes()
    assert [path.name for path in (own / "out").iterdir()] == ["bundle"]
