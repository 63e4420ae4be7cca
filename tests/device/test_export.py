"""`cxrbox export`: one row a film, for spreadsheets and programs."""

import csv
import io
import json
import subprocess
import sys

import pytest
from cxrbox.command_export import COLUMNS, csv_lines, export_rows
from cxrbox.refusals import refuse
from cxrbox.store import Store
from cxrbundle.labels import FINDINGS

READING = {
    "bundle": "cxr 1",
    "bundle_sha256": "b" * 64,
    "backend": "cpu",
    "code": "0.1.0",
    "clock_trusted": True,
    "findings": {name: {"state": "above", "likelihood": 0.75, "threshold": 0.5} for name in FINDINGS},
}


@pytest.fixture
def store(tmp_path):
    """Return a store with a film that was read, one that was refused, one that waits and a file that is none."""
    store = Store(tmp_path)
    for name in "abc":
        store.add_film(f"Doe Jane {name}.png", "1", name * 64, 10, "upload")
    store.add_result(store.claim().id, READING, b"maps", 12.5)
    store.add_refusal(store.claim().id, refuse("blank", "it is blank"))
    store.add_refused("letter.txt", "1", 5, refuse("unknown_format", "it is a letter"))
    yield store
    store.close()


def test_each_film_has_one_row_with_what_is_known_of_it(store, cxrbox, tmp_path):
    store.set_identity(1, "P-17", "typed")
    done = cxrbox("export", "--csv", "--state", tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["state"] for row in rows] == ["read", "refused", "queued", "refused"]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["identity"], rows[0]["identity_kind"], rows[0]["source"]) == ("P-17", "typed", "upload")
    assert (rows[0]["bundle"], rows[0]["Mass_state"], rows[0]["Hernia_likelihood"]) == ("cxr 1", "above", "0.75")
    assert (rows[1]["refusal_code"], rows[1]["Mass_state"]) == ("blank", "")
    assert [row["original_kept"] for row in rows] == ["True", "True", "True", "False"]


def test_json_says_the_same_with_types(store, cxrbox, tmp_path):
    done = cxrbox("export", "--json", "--state", tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 4 and rows == list(export_rows(store))
    assert rows[0]["Mass_likelihood"] == 0.75 and rows[0]["clock_trusted"] is True and rows[2]["bundle"] is None


def test_no_name_of_a_file_is_exported(store):
    assert "Doe" not in "".join(csv_lines(export_rows(store)))


def test_only_films_since_a_time_are_exported(store, cxrbox, tmp_path):
    store._db.execute("UPDATE films SET received_at = '2026-11-0' || id || 'T12:00:00.000+00:00'")
    done = cxrbox("export", "--json", "--state", tmp_path, "--since", "2026-11-02T13:00:00+01:00")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [2, 3, 4]
    done = cxrbox("export", "--json", "--state", tmp_path, "--since", "yesterday")
    assert done.returncode == 2 and "'yesterday' is no date" in done.stderr


def test_an_identity_is_no_formula_in_a_spreadsheet(store):
    store.set_identity(1, '=HYPERLINK("http://elsewhere")', "typed")
    [row, *_] = csv.DictReader(io.StringIO("".join(csv_lines(export_rows(store)))))
    assert row["identity"] == '\'=HYPERLINK("http://elsewhere")'


def test_a_removed_original_is_said_to_be_gone_and_the_result_stays(store):
    store.remove_original(1, "space")
    [row, *_] = export_rows(store)
    assert row["original_kept"] is False and row["Mass_state"] == "above"


def test_more_films_than_are_fetched_at_once_come_out_once_each(tmp_path):
    store = Store(tmp_path / "many")
    for number in range(450):
        store.add_refused(f"{number}", "1", 0, refuse("empty", "it is empty"))
    assert [row["id"] for row in export_rows(store)] == list(range(1, 451))
    store.close()


def test_a_reader_that_has_enough_ends_the_export_quietly(tmp_path):
    store = Store(tmp_path / "many")
    for number in range(300):
        store.add_refused(f"{number}", "1", 0, refuse("empty", "it is empty"))
    store.close()
    command = [sys.executable, "-m", "cxrbox", "export", "--csv", "--state", str(tmp_path / "many")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as export:
        assert export.stdout.readline().startswith("id,sha256,")
        export.stdout.close()
        assert export.stderr.read() == "" and export.wait(60) == 0
