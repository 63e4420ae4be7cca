"""The ledger: every result on record, and every way to tamper with it found out."""

import json
import sqlite3

import pytest
from cxrbox.errors import FilmError
from cxrbox.ledger import NO_HASH, canonical, find_fault, make_entry, sha256_text
from cxrbox.refusals import refuse
from cxrbox.store import Store

READING = {"bundle": "cxr 1", "backend": "cpu", "code_sha256": "c" * 64, "findings": {"Mass": {"state": "above"}}}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def kept(store):
    """Return a store with a film that was read, one that was refused, and an identity."""
    for name in "ab":
        store.add_film(f"Doe Jane {name}.png", "1", name * 64, 10)
    store.add_result(store.claim().id, READING, b"maps", 12.5, [0.123456789] * 14)
    store.add_refusal(store.claim().id, refuse("blank", "it is blank"))
    store.set_identity(1, "P-17", "typed")
    return store


def tamper(store: Store, statement: str, *triggers: str) -> None:
    """Change the file as somebody would who has it: without the triggers and other constraints."""
    store._db.execute("PRAGMA foreign_keys = OFF")
    for trigger in triggers:
        store._db.execute(f"DROP TRIGGER {trigger}")
    store._db.execute(statement)


def test_a_result_is_entered_with_all_that_led_to_it(kept):
    facts = kept.last_result(1).facts
    assert facts["film_sha256"] == "a" * 64 and facts["source"] == "folder"
    assert (facts["bundle"], facts["backend"], facts["code_sha256"]) == ("cxr 1", "cpu", "c" * 64)
    assert facts["logits"] == [0.12346] * 14 and facts["reading_sha256"] == sha256_text(json.dumps(READING))
    assert facts["received"] <= facts["started"] <= facts["finished"] <= facts["at"]
    assert "findings" not in facts


def test_every_outcome_has_one_entry_and_each_vouches_for_the_one_before(kept):
    entries = list(kept.ledger())
    assert [(e.number, e.kind, e.film) for e in entries] == [(1, "result", 1), (2, "refusal", 2), (3, "identity", 1)]
    assert entries[0].hash == sha256_text(NO_HASH + entries[0].text)
    assert entries[1].hash == sha256_text(entries[0].hash + entries[1].text)
    assert kept.find_fault() is None


def test_the_ledger_names_no_patient_and_no_file(kept):
    text = "".join(entry.text for entry in kept.ledger())
    assert "P-17" not in text and "Doe" not in text


def test_a_result_and_its_entry_are_kept_together_or_not_at_all(kept):
    kept.add_film("c.png", "1", "c" * 64, 10)
    film = kept.claim()
    with pytest.raises(ValueError, match="not JSON compliant"):
        kept.add_result(film.id, READING, b"maps", 1.0, [float("nan")] * 14)
    assert kept.film(film.id)["state"] == "reading" and kept.maps(film.id) is None
    assert len(list(kept.ledger())) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET hash = '' WHERE number = 1",
        "DELETE FROM ledger WHERE number = 3",
        "INSERT OR REPLACE INTO ledger VALUES (3, 'result', 1, '{}', '')",
        "INSERT INTO ledger VALUES (9, 'result', 1, '{}', '')",
        "UPDATE identities SET text = 'P-18'",
        "DELETE FROM identities",
    ],
)
def test_the_database_itself_refuses_to_change_what_is_on_record(kept, statement):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        kept._db.execute(statement)


@pytest.mark.parametrize(
    ("statement", "triggers", "entry"),
    [
        ("UPDATE ledger SET entry = replace(entry, 'cpu', 'tpu') WHERE number = 1", ["ledger_is_not_changed"], 1),
        ("UPDATE ledger SET film_id = 1 WHERE number = 2", ["ledger_is_not_changed"], 2),
        ("DELETE FROM ledger WHERE number = 2", ["ledger_is_not_cut"], 2),
        ("UPDATE results SET reading = replace(reading, 'above', 'below')", [], 1),
        ("UPDATE results SET maps = x'00'", [], 1),
        ("UPDATE films SET refusal_code = 'glare' WHERE id = 2", [], 2),
        ("UPDATE films SET sha256 = 'other' WHERE id = 1", [], 1),
        ("UPDATE identities SET text = 'P-18'", ["identities_are_not_changed"], 3),
        ("UPDATE results SET logits = replace(logits, '0.1', '0.2')", [], 1),
        ("UPDATE results SET milliseconds = 1", [], 1),
        ("UPDATE films SET received_at = '2020' WHERE id = 1", [], 1),
        ("UPDATE films SET finished_at = '2020' WHERE id = 2", [], 2),
        ("UPDATE films SET source = 'stick' WHERE id = 2", [], 2),
        ("UPDATE films SET identity = 'P-18' WHERE id = 1", [], 3),
        ("UPDATE films SET identity = NULL, identity_kind = 'unknown' WHERE id = 1", [], 3),
        ("UPDATE films SET identity = 'P-17', identity_kind = 'typed' WHERE id = 2", [], 0),
        ("DELETE FROM identities", ["identities_are_not_cut"], 3),
        ("DELETE FROM ledger WHERE number = 3", ["ledger_is_not_cut"], 3),
        ("UPDATE results SET unstable = '[\"Mass\"]'", [], 1),
        ("UPDATE results SET unstable = 'x'", [], 1),
        ("DELETE FROM films WHERE id = 2", [], 2),
        ("DELETE FROM results", [], 1),
        ("UPDATE results SET reading = '{'", [], 1),
        ("UPDATE results SET maps = 'text'", [], 1),
        ("UPDATE films SET refusal_reason = 'it is too dark' WHERE id = 2", [], 2),
        ("UPDATE films SET state = 'queued', entry = NULL WHERE id = 1", [], 1),
        ("UPDATE films SET state = 'reading' WHERE id = 1", [], 1),
    ],
)
def test_what_was_altered_past_the_database_is_found_at_its_entry(kept, statement, triggers, entry):
    tamper(kept, statement, *triggers)
    assert kept.find_fault().number == entry


def test_an_earlier_outcome_cannot_take_the_place_of_a_later_one(kept):
    before = kept.film(2)
    kept.override(2, "the surgeon, at once")
    assert kept.find_fault() is None, "it waits, and that is on record"
    kept.add_result(kept.claim().id, READING, b"maps", 12.5)
    assert kept.find_fault() is None
    earlier = "state", "refusal_code", "refusal_reason", "started_at", "finished_at", "overridden"
    tamper(
        kept, f"UPDATE films SET {', '.join(f'{name} = {before[name]!r}' for name in earlier)}, entry = 2 WHERE id = 2"
    )
    assert (kept.find_fault().number, kept.find_fault().reason) == (
        5,
        "film 2 stands as if it had not had this outcome last",
    )


def test_a_refusal_of_an_earlier_release_is_sound(kept):
    *_, last = kept.ledger()
    facts = {key: value for key, value in list(kept.ledger())[1].facts.items() if key != "reason_sha256"}
    again = make_entry(last, "refusal", 2, facts)
    values = again.number, again.kind, again.film, again.text, again.hash
    kept._db.execute("INSERT INTO ledger (number, kind, film_id, entry, hash) VALUES (?, ?, ?, ?, ?)", values)
    assert kept.find_fault().number == 4
    kept._db.execute("UPDATE films SET entry = 4 WHERE id = 2")
    assert kept.find_fault() is None


@pytest.mark.parametrize("text", ["x", "[]", "{}", "7"])
def test_an_entry_that_no_box_makes_is_a_fault_whatever_its_hash(kept, text):
    *_, last = kept.ledger()
    values = last.number + 1, "bundle", text, sha256_text(last.hash + text)
    kept._db.execute("INSERT INTO ledger (number, kind, entry, hash) VALUES (?, ?, ?, ?)", values)
    assert (kept.find_fault().number, kept.find_fault().reason) == (4, "it is none that a box enters")


def test_a_ledger_without_a_film_is_sound(store):
    store.note_bundle({"bundle": "cxr 1"})
    assert store.find_fault() is None


def test_what_is_unstable_cannot_be_taken_back_unseen(kept):
    kept.add_stability(1, ["Mass"])
    assert kept.find_fault() is None
    tamper(kept, "UPDATE results SET unstable = NULL")
    assert kept.find_fault().number == 4


def test_a_chain_that_was_cut_off_before_a_result_is_missed_by_its_film(kept):
    kept.add_film("c.png", "1", "c" * 64, 10)
    kept.add_result(kept.claim().id, READING, b"maps", 1.0)
    assert find_fault(kept.ledger()) is None
    tamper(kept, "DELETE FROM ledger WHERE number = 4", "ledger_is_not_cut")
    assert find_fault(kept.ledger()) is None
    assert (kept.find_fault().number, kept.find_fault().reason) == (4, "it is missing, film 3 had its result from it")


def test_an_entry_that_was_made_anew_breaks_the_next(kept):
    entries = list(kept.ledger())
    entries[1] = make_entry(entries[0], "refusal", 2, {"refusal": "damaged"})
    assert find_fault(entries).number == 3


def test_the_canonical_form_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": [1, 0.5], "a": "ä"}) == canonical({"a": "ä", "b": [1, 0.5]}) == '{"a":"\\u00e4","b":[1,0.5]}'


def test_verify_log_proves_the_chain_and_names_the_first_wrong_entry(kept, cxrbox, tmp_path):
    done = cxrbox("verify-log", "--state", tmp_path, "--json")
    assert done.returncode == 0
    last = list(kept.ledger())[-1]
    assert json.loads(done.stdout) == {"entries": 3, "last_hash": last.hash, "intact": True, "fault": None}
    assert last.hash in cxrbox("verify-log", "--state", tmp_path).stdout

    tamper(kept, "UPDATE ledger SET entry = replace(entry, 'blank', 'glare')", "ledger_is_not_changed")
    done = cxrbox("verify-log", "--state", tmp_path, "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["fault"]["entry"] == 2
    assert cxrbox("verify-log", "--state", tmp_path).stdout.startswith("entry 2 is the first that is wrong: ")


def test_identities_are_kept_with_their_history(kept):
    kept.set_identity(1, " P-18 ", "barcode")
    kept.set_identity(1, None, "unknown")
    assert [(one["kind"], one["text"]) for one in kept.identities(1)] == [
        ("typed", "P-17"),
        ("barcode", "P-18"),
        ("unknown", None),
    ]
    film = kept.film(1)
    assert (film["identity"], film["identity_kind"]) == (None, "unknown")
    assert kept.find_fault() is None


def test_the_same_identity_cannot_be_told_from_its_entries(kept):
    kept.set_identity(2, "P-17", "typed")
    hashes = {entry.facts["identity_sha256"] for entry in kept.ledger() if entry.kind == "identity"}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("film", "text", "kind"),
    [(99, "P-1", "typed"), (1, "", "typed"), (1, "P-1", "unknown"), (1, "P-1", "guessed"), (1, "P" * 65, "typed")],
)
def test_an_identity_that_cannot_be_is_refused_and_changes_nothing(kept, film, text, kind):
    with pytest.raises(FilmError):
        kept.set_identity(film, text, kind)
    assert kept.film(1)["identity"] == "P-17" and len(list(kept.ledger())) == 3


def test_the_header_names_whom_nobody_else_named(store):
    for name in "ab":
        store.add_film(f"{name}.dcm", "1", name * 64, 10)
    store.set_identity(1, "typed first", "typed")
    for _ in range(2):
        store.add_result(store.claim().id, READING, b"maps", 1.0, None, ("from the header", "dicom"))
    assert [store.film(1)["identity"], store.film(2)["identity"]] == ["typed first", "from the header"]
    assert store.film(2)["identity_kind"] == "dicom"


def test_an_override_is_on_record_and_queues_the_film_again(kept):
    kept.override(2, "Dr Roe: the glare is outside the lungs")
    film = kept.claim()
    assert (film.id, film.overridden) == (2, True)
    entry = list(kept.ledger())[-1]
    assert entry.kind == "override" and entry.facts["refusal"] == "blank"
    assert entry.facts["note"] == "Dr Roe: the glare is outside the lungs"
    kept.add_result(film.id, READING, b"maps", 1.0)
    assert kept.last_result(2).facts["overridden"] and kept.find_fault() is None


def test_only_a_refused_film_whose_original_is_kept_can_be_overridden(kept):
    kept.add_refused("letter.txt", "1", 5, refuse("unknown_format", "it is a letter"))
    for film in (1, 3, 99):
        with pytest.raises(FilmError):
            kept.override(film, "please")


def test_a_switch_of_the_bundle_is_on_record_once(store):
    one, other = {"bundle_sha256": "1" * 64, "trust": "shipped"}, {"bundle_sha256": "2" * 64, "trust": "shipped"}
    assert [store.note_bundle(facts) for facts in (one, one, other, one)] == [True, False, True, True]
    assert [entry.facts["bundle_sha256"][0] for entry in store.ledger()] == ["1", "2", "1"]


def test_a_reader_that_comes_too_late_changes_nothing(kept):
    kept.add_film("c.png", "1", "c" * 64, 10)
    late = kept.claim()
    kept.requeue_interrupted()
    assert kept.add_result(kept.claim().id, READING, b"maps", 1.0)
    assert not kept.add_result(late.id, READING | {"backend": "late"}, b"maps", 1.0)
    assert kept.film(3)["reading"]["backend"] == "cpu"
    assert [entry.film for entry in kept.ledger() if entry.kind == "result"] == [1, 3]


def test_a_damaged_database_is_one_sentence_that_quotes_nothing_of_it(kept, cxrbox, tmp_path):
    kept._db.execute("UPDATE films SET identity = CAST(x'4d454945522d313233ff' AS TEXT) WHERE id = 1")
    done = cxrbox("export", "--csv", "--state", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "cxrbox: the database of the state folder is damaged; put a backup in its place\n"
    kept.close()
    (tmp_path / "box.sqlite").write_bytes(b"no database" * 1000)
    for command in (("verify-log",), ("export", "--json"), ("retain",)):
        assert cxrbox(*command, "--state", tmp_path).stderr == done.stderr
