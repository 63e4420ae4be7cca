"""`cxrbox read`: the same reading without the daemon."""

import hashlib
import json
import os

import pytest
from cxrbox.demo import copy_demo_films
from cxrbundle.labels import FINDINGS


def read_json(cxrbox, *films) -> tuple[int, list[dict]]:
    done = cxrbox("read", "--json", *films)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_one_object_a_line_with_all_findings(cxrbox, phantom_png):
    path = phantom_png(1)
    status, [answer] = read_json(cxrbox, path)
    assert status == 0
    assert {"file", "sha256", "bundle", "bundle_sha256", "backend", "code", "findings"} <= set(answer)
    assert (answer["corrections"], answer["remarks"]) == ([], [])
    assert answer["file"] == str(path)
    assert answer["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(answer["findings"]) == list(FINDINGS)
    for finding in answer["findings"].values():
        assert set(finding) == {"likelihood", "state", "threshold"}
        assert 0 <= finding["likelihood"] <= 1 and finding["state"] in ("below", "uncertain", "above")


def test_a_refusal_has_a_code_and_a_reason_and_the_others_are_read(cxrbox, phantom_png, tmp_path):
    letter = tmp_path / "letter.png"
    letter.write_text("dear colleague")
    status, answers = read_json(cxrbox, letter, phantom_png(2), tmp_path, tmp_path / "missing.png")
    assert status == 1
    assert [set(answer) & {"refused", "findings"} for answer in answers] == [
        {"refused"},
        {"findings"},
        {"refused"},
        {"refused"},
    ]
    assert [a["refused"]["code"] for a in answers if "refused" in a] == ["unknown_format", "directory", "missing"]
    assert all(a["refused"]["reason"] for a in answers if "refused" in a)


def test_people_get_a_line_that_says_what_it_is_not(cxrbox, phantom_png):
    done = cxrbox("read", phantom_png(3))
    assert done.returncode == 0 and "[not a diagnosis]" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_file_whose_name_is_no_text_is_read(cxrbox, phantom_png, tmp_path):
    path = phantom_png(5).rename(tmp_path / os.fsdecode(b"f\xfcr Anna.png"))
    for form in ([], ["--json"]):
        done = cxrbox("read", *form, path)
        assert done.returncode == 0 and "f\\" in done.stdout


def test_every_encoding_of_the_demonstration_film_reads_alike(cxrbox, tmp_path):
    films = copy_demo_films(tmp_path)
    status, answers = read_json(cxrbox, *films)
    assert status == 0 and len(answers) == 4
    for finding in FINDINGS:
        values = [answer["findings"][finding]["likelihood"] for answer in answers]
        assert max(values) - min(values) < 0.05, finding


def test_real_films_read_and_differ(cxrbox, shared_films):
    films = sorted((shared_films / "fullres").glob("*.png"))
    status, answers = read_json(cxrbox, *films)
    assert status == 0 and len(answers) == len(films)
    for finding in FINDINGS:
        assert len({answer["findings"][finding]["likelihood"] for answer in answers}) > len(films) // 4, finding


@pytest.mark.parametrize("bundle", ["nowhere", "."])
def test_a_bundle_that_cannot_be_used_is_one_sentence(cxrbox, phantom_png, tmp_path, bundle):
    done = cxrbox("read", "--bundle", tmp_path / bundle, phantom_png(4))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("cxrbox: ") and len(done.stderr.splitlines()) == 1
