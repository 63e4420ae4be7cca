"""Health as page, JSON and Prometheus text, and the notices above every page."""

import os
import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from cxrbox.retention import free_mb
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbox.web.health import last_backup, percentiles, read_temperature
from cxrbox.web.metrics import METRICS, prometheus_text
from cxrbox.web.notices import find_notices, tell_sticks
from cxrbundle.bundle import load_bundle
from page_browser import LonePage, open_page
from page_films import lay_refusal, lay_result, take
from playwright.sync_api import expect
from running_box import free_port
from spoiled_bundle import replace_golden

READER = {
    "bundle": "cxr-test 1",
    "backend": "cpu ai-edge-litert 2.3.0",
    "wanted": "edge-tpu",
    "degraded": False,
    "reason": "",
    "resets": 2,
    "last_reset": 1795401000.5,
    "expected_ms": 210,
    "unfit": "",
    "golden": {"when": 1795401600.0, "passed": True, "backend": "cpu ai-edge-litert 2.3.0"},
}
LOST = {"degraded": True, "reason": "The Edge TPU is gone; films are read on the processor, about 0.2 s each."}
SAMPLE = re.compile(r'([a-z_0-9]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+-]+)')


@pytest.fixture
def lone(tmp_path):
    """Return a page alone on a state folder with films and a reader that gave a sign of life."""
    box = LonePage(tmp_path, free_port())
    box.films.mkdir()
    store = Store(box.state)
    for _ in range(3):
        lay_result(store, take(store))
    lay_refusal(store, take(store), "damaged", "the file is damaged; copy it again")
    store.put_status("reader", READER)
    store.close()
    box.start("--retention-free-mb", "0")
    yield box
    box.stop()


def notices(tmp_path, status: dict | None = None, age: float = 0, **settings) -> dict[str, str]:
    """Return the codes and sentences of what is wrong, the clock left out: it is this machine's."""
    at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    statuses = {} if status is None else {"reader": READER | status | {"at": at}}
    found = find_notices(Settings(state=tmp_path, **{"retention_free_mb": 0} | settings), statuses)
    return {notice.code: notice.sentence for notice in found if notice.code != "clock"}


def test_nothing_is_noticed_where_nothing_is_wrong(tmp_path):
    assert notices(tmp_path) == notices(tmp_path, {}) == {}


def test_another_backend_than_wanted_is_noticed_in_its_own_words(tmp_path):
    assert notices(tmp_path, LOST) == {"degraded": LOST["reason"]}


def test_a_reader_that_is_silent_or_unfit_is_noticed(tmp_path):
    assert "has not answered since" in notices(tmp_path, LOST, age=200)["reader_silent"]
    assert notices(tmp_path, {"unfit": "it answers golden film 3 wrongly"}) == {
        "reader_unfit": "Films are not read: it answers golden film 3 wrongly."
    }


def test_intake_that_gave_no_sign_of_life_is_noticed(tmp_path):
    def codes(age: float) -> set[str]:
        at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
        settings = Settings(state=tmp_path, retention_free_mb=0)
        return {notice.code for notice in find_notices(settings, {"intake": {"at": at}})}

    assert ["intake_silent" in codes(age) for age in (10, 1000, -1000)] == [False, True, True]


def test_what_cannot_be_taken_in_is_noticed_in_the_words_of_intake(tmp_path):
    status = {"at": datetime.now(UTC).isoformat(), "troubles": ["a folder cannot be listed (Permission denied)"]}
    found = find_notices(Settings(state=tmp_path, retention_free_mb=0), {"intake": status})
    [sentence] = [notice.sentence for notice in found if notice.code == "intake_trouble"]
    assert sentence.startswith("Some films are not taken in yet: a folder cannot be listed (Permission denied). ")


def test_a_reader_or_intake_that_never_started_is_noticed_once_it_should_have(tmp_path):
    settings = Settings(state=tmp_path, retention_free_mb=0)
    codes = [{notice.code for notice in find_notices(settings, {}, seconds)} for seconds in (10, 1000)]
    assert [of & {"reader_silent", "intake_silent"} for of in codes] == [set(), {"reader_silent", "intake_silent"}]


def test_a_reader_that_cannot_start_tells_the_page_why(cxrbox, bundle_folder, tmp_path):
    bundle = shutil.copytree(bundle_folder, tmp_path / "bundle", ignore=shutil.ignore_patterns("signature.json"))
    replace_golden(bundle, logits=load_bundle(bundle).golden.logits + 5)
    done = cxrbox("reader", "--state", tmp_path / "state", "--bundle", bundle, "--allow-unsigned")
    assert done.returncode == 2
    store = Store(tmp_path / "state")
    found = find_notices(Settings(state=tmp_path / "state", retention_free_mb=0), store.statuses())
    assert "answers golden film" in {notice.code: notice.sentence for notice in found}["reader_unfit"]


def test_failed_golden_films_are_noticed_until_they_pass(tmp_path):
    failed = {"golden": READER["golden"] | {"passed": False}}
    assert "failed the golden films" in notices(tmp_path, failed)["golden_failed"]


def test_the_disk_is_noticed_long_before_it_is_full(tmp_path):
    free = free_mb(tmp_path)
    assert "is filling up" in notices(tmp_path, retention_free_mb=int(free / 1.5))["disk_low"]
    assert "are being removed" in notices(tmp_path, retention_free_mb=min(2 * free, 10**8))["disk_reserve"]


def test_percentiles_are_nearest_ranks():
    assert percentiles([]) == {"p50": None, "p95": None, "films": 0}
    assert percentiles([float(number) for number in range(100, 0, -1)]) == {"p50": 50, "p95": 95, "films": 100}
    assert percentiles([7.0]) == {"p50": 7, "p95": 7, "films": 1}


def test_the_hottest_sensor_is_told_and_none_where_there_is_none(tmp_path):
    assert read_temperature(tmp_path) is None
    for zone, content in enumerate(("45100", "61500", "broken")):
        (tmp_path / f"thermal_zone{zone}").mkdir()
        (tmp_path / f"thermal_zone{zone}" / "temp").write_text(content)
    assert read_temperature(tmp_path) == 61.5


def test_the_newest_whole_backup_is_the_last(tmp_path):
    assert last_backup(tmp_path / "not there") is None
    for number, name in enumerate(("b.tar.age", "a.tar.age", ".backup.x/backup")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        os.utime(path, (number, number))
    assert last_backup(tmp_path) == 1


def test_a_page_of_health_that_stands_open_stays_true(lone):
    store = Store(lone.state)
    with open_page(lone) as page:
        page.goto(f"{lone.url}/health")
        state = page.locator("#health section", has_text="Reader").locator("dd").first
        expect(state).not_to_contain_text("reads no film")
        store.put_status("reader", READER | {"unfit": "it answers golden film 3 wrongly"})
        expect(state).to_contain_text("reads no film", timeout=15_000)
        store.put_status("reader", READER)
        expect(state).not_to_contain_text("reads no film", timeout=15_000)
    store.close()


def test_a_stick_says_when_it_may_be_pulled(lone):
    store = Store(lone.state)
    with open_page(lone) as page:
        page.goto(lone.url)
        store.put_status("intake", {"sticks": [{"name": "KINGSTON", "films": None}]})
        expect(page.locator(".banner.note")).to_have_text(
            "Stick KINGSTON: Films are being taken in from it: leave it plugged in."
        )
        store.put_status("intake", {"sticks": [{"name": "KINGSTON", "films": 3}]})
        expect(page.locator(".banner.note")).to_have_text(
            "Stick KINGSTON: 3 films on it, all taken in. You may pull it."
        )
        store.put_status("intake", {"sticks": []})
        expect(page.locator(".banner.note")).to_have_count(0)
    store.close()


@pytest.mark.parametrize(("films", "words"), [(0, "No films on it"), (1, "1 film on it"), (12, "12 films on it")])
def test_the_films_of_a_stick_are_counted_in_words(films, words):
    assert words in tell_sticks([{"name": "A", "films": films}])[0]


def test_health_is_told_to_programs(lone):
    health = lone.json("/api/health")
    assert health["films"] == {"queued": 0, "reading": 0, "read": 3, "refused": 1}
    assert health["milliseconds"] == {"p50": 202, "p95": 203, "films": 3}
    assert health["reader"]["answers"] and health["reader"]["resets"] == 2
    assert health["disk"]["level"] == "ok" and health["uptime_seconds"] > 0
    assert {"release", "bundle", "bundle_trust", "clock", "temperature_celsius", "camera", "notices"} <= set(health)


def test_the_metrics_are_well_formed_and_say_what_health_says(lone):
    text = lone.get("/metrics").decode()
    assert text.endswith("\n")
    told, kinds, samples = set(), {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in told and line.split(" ", 3)[3]
            told.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in told and kind in ("gauge", "counter")
            kinds[name] = kind
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert name in kinds and (name, labels) not in samples
            samples[name, labels] = float(value)
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    assert samples["cxrbox_films", 'state="read"'] == 3 and samples["cxrbox_film_seconds_p50", None] == 0.202
    assert samples["cxrbox_device_resets_total", None] == 2 and samples["cxrbox_reader_up", None] == 1
    assert samples["cxrbox_golden_passed", None] == 1 and samples["cxrbox_reader_unfit", None] == 0
    # What is not there is left out: this box has no camera.
    assert {metric.name for metric in METRICS} - set(kinds) <= {
        "cxrbox_camera_working",
        "cxrbox_backup_timestamp_seconds",
        "cxrbox_temperature_celsius",
        "cxrbox_clock_trusted",
    }


def test_labels_are_escaped():
    health = {"release": 'a"b\\c\nd', "bundle": "x", "bundle_trust": "y"}
    health |= {"films": {}, "reader": {}, "notices": []}
    assert r'release="a\"b\\c\nd"' in prometheus_text(health)


def test_the_health_page_shows_the_same(lone):
    with open_page(lone) as page:
        page.goto(f"{lone.url}/health")
        for words in ("202 ms", "203 ms", "cpu ai-edge-litert 2.3.0", "edge-tpu", "passed on", "MiB free"):
            expect(page.locator("main")).to_contain_text(words)


def test_an_open_page_hears_that_the_device_is_lost_and_is_back(lone):
    store = Store(lone.state)
    with open_page(lone) as page:
        page.goto(lone.url)
        expect(page.locator(".banner[data-code=degraded]")).to_have_count(0)
        store.put_status("reader", READER | LOST)
        expect(page.locator(".banner[data-code=degraded]")).to_have_text(LOST["reason"], timeout=10_000)
        store.put_status("reader", READER)
        expect(page.locator(".banner[data-code=degraded]")).to_have_count(0, timeout=10_000)
    store.close()
