"""`cxrbox compare`: what another bundle would change on the films that are kept."""

import io
import json
import shutil

import numpy as np
import pytest
from cxrbox.command_compare import compare, describe
from cxrbox.reading import make_reader, open_reader
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbundle.labels import FINDINGS
from spoiled_bundle import replace_file
from stored_films import keep_phantoms, read_queue

SEEDS = range(5)


@pytest.fixture(scope="module")
def reader(bundle_folder):
    return open_reader(Settings(bundle=bundle_folder, threads=1))


@pytest.fixture(scope="module")
def store(tmp_path_factory, reader):
    store = Store(tmp_path_factory.mktemp("compare") / "state")
    keep_phantoms(store, *SEEDS)
    read_queue(store, reader)
    yield store
    store.close()


@pytest.fixture
def rebundled(bundle_folder, tmp_path):
    """Return a function that copies the shipped bundle with other thresholds for all findings."""

    def make(uncertain: float, above: float):
        copied = shutil.copytree(bundle_folder, tmp_path / "bundle")
        manifest = json.loads((copied / "manifest.json").read_text())
        manifest["version"] = "9.9.9"
        manifest["thresholds"] = {finding: {"uncertain": uncertain, "above": above} for finding in FINDINGS}
        (copied / "manifest.json").write_text(json.dumps(manifest))
        return copied

    return make


def read_states(store, reader) -> dict[int, dict[str, str]]:
    """Return the states that the reader gives each film, counted apart from `compare`."""
    films = list(store.all_films())
    return {
        film["id"]: {
            name: of["state"] for name, of in reader.read(store.original_path(film["sha256"])).findings.items()
        }
        for film in films
    }


def test_a_bundle_changes_nothing_against_itself(store, reader):
    report = compare(store, reader, reader)
    assert report["films"] == len(SEEDS) and report["changed_films"] == []
    assert report["referred"]["before"] == report["referred"]["after"]


def test_every_change_is_counted(store, reader, rebundled):
    new = make_reader(Settings(bundle=rebundled(0.0, 0.0), threads=1, allow_unsigned=True))
    report, then, now = compare(store, reader, new), read_states(store, reader), read_states(store, new)
    for finding in FINDINGS:
        changed = sum(then[film][finding] != now[film][finding] for film in then)
        above = sum(of[finding] == "above" for of in then.values())
        assert report["findings"][finding] == {"changed": changed, "above_before": above, "above_after": len(SEEDS)}
    referred = [film for film, of in then.items() if "above" in of.values()]
    assert report["referred"]["before"] == len(referred) and report["referred"]["after"] == len(SEEDS)
    assert report["referred"]["newly"] == sorted(set(then) - set(referred)) and report["referred"]["no_more"] == []
    assert report["changed_films"] == [film for film in then if then[film] != now[film]]


def test_people_get_the_referrals_first(store, reader, rebundled):
    new = make_reader(Settings(bundle=rebundled(1.0, 1.0), threads=1, allow_unsigned=True))
    report = compare(store, reader, new)
    lines = describe(report).splitlines()
    before = report["referred"]["before"]
    assert lines[0].endswith(f"9.9.9 on {len(SEEDS)} stored films")
    assert lines[1].startswith(f"{before} of {len(SEEDS)} referrals would change: ") and "0.0% referred" in lines[1]


def test_the_command_compares_two_bundles_and_changes_nothing(store, cxrbox, bundle_folder, rebundled):
    state, version = store.originals.parent, store.version()
    new = rebundled(0.2, 0.4)
    done = cxrbox("compare", bundle_folder, new, "--state", state, "--allow-unsigned", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["new"]["bundle"].endswith("9.9.9") and report["films"] == len(SEEDS)
    assert store.version() == version


def test_a_new_bundle_that_nobody_signed_is_refused(store, cxrbox, bundle_folder, rebundled):
    done = cxrbox("compare", bundle_folder, rebundled(0.2, 0.4), "--state", store.originals.parent)
    assert done.returncode == 2 and "--allow-unsigned" in done.stderr


def test_thresholds_of_the_site_stay_with_the_bundle_they_were_made_for(
    store, cxrbox, reader, bundle_folder, rebundled, tmp_path
):
    site = tmp_path / "thresholds.toml"
    lines = [f"[sources.scanner.{finding}]\nuncertain = 0\nabove = 0" for finding in FINDINGS]
    site.write_text("\n".join([f'bundle_sha256 = "{reader.bundle.digest}"', *lines]))
    done = cxrbox(
        *("compare", bundle_folder, rebundled(1.0, 1.0), "--state", store.originals.parent, "--json"),
        *("--allow-unsigned", "--thresholds", site),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["old"]["site_thresholds"], report["new"]["site_thresholds"]) == (["scanner"], [])
    assert (report["referred"]["before"], report["referred"]["after"]) == (len(SEEDS), 0)


def test_films_whose_originals_are_gone_are_counted_apart(reader, tmp_path):
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2)
    read_queue(store, reader)
    store.remove_original(1, "age")
    report = compare(store, reader, reader)
    assert (report["films"], report["not_kept"]) == (1, 1)
    assert "1 more were read" in describe(report)
    store.close()


def test_films_whose_originals_are_damaged_are_named_and_not_read(reader, tmp_path):
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2)
    read_queue(store, reader)
    original = store.original_path(store.film(2)["sha256"])
    original.write_bytes(store.original_path(store.film(1)["sha256"]).read_bytes())
    report = compare(store, reader, reader)
    assert (report["films"], report["damaged"]) == (1, [2])
    assert "films whose originals are damaged or gone: 2" in describe(report)
    store.close()


def test_films_that_would_be_refused_or_no_more_be_refused_are_named(store, reader, bundle_folder, tmp_path):
    """The new bundle's film check lets nothing pass, but what a person wants read all the same."""
    copied, packed = shutil.copytree(bundle_folder, tmp_path / "strict"), io.BytesIO()
    with np.load(copied / "film-check.npz") as arrays:
        gates = np.float32([[1e6, 2e6], arrays["gates"][1]])
        np.savez(packed, **{**arrays, "gates": gates})
    replace_file(copied, "film-check.npz", packed.getvalue())
    strict = make_reader(Settings(bundle=copied, threads=1, allow_unsigned=True))
    others = Store(tmp_path / "state")
    keep_phantoms(others, 1, 2)
    read_queue(others, strict)
    others.override(1, "Dr B wants it read")
    read_queue(others, strict)
    assert [film["state"] for film in others.all_films()] == ["read", "refused"]
    assert compare(others, strict, strict)["films"] == 1
    report = compare(others, strict, reader)
    assert report["refused"] == {"newly": [], "no_more": [2]} and report["not_kept"] == 0
    assert "films that are refused and would be read: 2" in describe(report)
    others.close()
    report = compare(store, reader, strict)
    assert report["refused"] == {"newly": [film["id"] for film in store.all_films()], "no_more": []}
    assert report["films"] == report["not_kept"] == 0
    assert "films that are read and would be refused: 1, 2, 3, 4, 5" in describe(report)
