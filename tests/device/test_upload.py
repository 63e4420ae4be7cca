"""Films sent to the page: over HTTP, and from a phone."""

import hashlib
import io
import json
import os
import subprocess
import time

import cv2
import pytest
from cxrbox.errors import RefusedError
from cxrbox.store import Store
from cxrbox.taking import FORGOTTEN_SECONDS, Copies, clear_leftovers, queue_forgotten, take_film, take_still
from cxrbundle.phantom import draw_phantom
from page_browser import PHONE, LonePage, open_page, post_files
from page_films import lay_refusal, lay_result
from playwright.sync_api import expect
from running_box import RunningBox, free_port, is_root


def film(seed: int) -> bytes:
    return cv2.imencode(".png", draw_phantom(seed))[1].tobytes()


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """Return a page alone: films stay in the queue."""
    box = LonePage(tmp_path_factory.mktemp("upload"), free_port())
    box.films.mkdir()
    box.start()
    yield box
    box.stop()


def send(box, **files) -> list[dict]:
    status, _, text = post_files(box, "/api/films", files)
    assert status == 200, text
    return json.loads(text)["films"]


def test_a_film_from_a_phone_is_taken_in_read_and_shown(box, tmp_path):
    (tmp_path / "image.png").write_bytes(film(1))
    with open_page(box, **PHONE) as page:
        page.goto(f"{box.url}/upload")
        expect(page.get_by_text("Take a photograph of a film")).to_be_visible()
        page.get_by_label("Choose films").set_input_files(tmp_path / "image.png")
        page.wait_for_url("**/films/1")
        expect(page.locator(".findings tbody tr")).to_have_count(14, timeout=20_000)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    [known] = box.list_films()
    assert known["source"] == "upload" and known["name"] == "image.png" and known["state"] == "read"


def test_the_form_works_without_javascript_for_several_films(lone, tmp_path):
    (tmp_path / "one.png").write_bytes(film(2))
    (tmp_path / "letter.txt").write_text("dear colleague")
    with open_page(lone, java_script_enabled=False) as page:
        page.goto(f"{lone.url}/upload")
        page.get_by_label("Choose films").set_input_files([tmp_path / "one.png", tmp_path / "letter.txt"])
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#outcomes li")).to_have_count(2)
        expect(page.locator("#outcomes")).to_contain_text("one.png taken in")
        expect(page.locator("#outcomes .fault")).to_contain_text("save the film as DICOM, PNG, JPEG, TIFF or BMP.")


def test_films_are_dropped_on_the_page_and_each_is_told_of(lone):
    with open_page(lone) as page:
        page.goto(f"{lone.url}/upload")
        page.evaluate(
            """(film) => {
                const files = new DataTransfer();
                files.items.add(new File([Uint8Array.from(film)], "dropped.png"));
                files.items.add(new File(["dear colleague"], "letter.png"));
                window.dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
            }""",
            list(film(3)),
        )
        expect(page.locator("#outcomes li").first).to_have_text("dropped.png taken in")
        expect(page.locator("#outcomes .fault")).to_contain_text("no film that is known here")
        expect(page.locator("#outcomes a")).to_have_attribute("href", "/films/" + str(lone.list_films()[0]["id"]))


def test_a_film_that_is_chosen_while_another_is_sent_waits_for_it(lone, tmp_path):
    """On a phone, a second one is taken before the first has arrived; neither may be lost, nor the page left."""
    for seed in (31, 32):
        (tmp_path / f"{seed}.png").write_bytes(film(seed))
    held = []
    with open_page(lone, **PHONE) as page:
        page.route("**/api/films", lambda route: held.append(route))
        page.goto(f"{lone.url}/upload")
        page.get_by_label("Choose films").set_input_files(tmp_path / "31.png")
        expect(page.locator("#outcomes li")).to_have_count(1)
        page.get_by_label("Choose films").set_input_files(tmp_path / "32.png")
        assert len(held) == 1
        held[0].continue_()
        expect(page.locator("#outcomes li")).to_have_count(2)
        held[1].continue_()
        expect(page.locator("#outcomes").get_by_text("taken in")).to_have_count(2)
        # One alone that the box had already is said to be so, in place of its page.
        page.unroute("**/api/films")
        page.goto(f"{lone.url}/upload")
        page.get_by_label("Choose films").set_input_files(tmp_path / "31.png")
        expect(page.locator("#outcomes").get_by_text("the box had this film already")).to_be_visible()


def test_what_becomes_of_each_film_is_told_where_it_was_sent(lone, tmp_path):
    for seed in (41, 42):
        (tmp_path / f"{seed}.png").write_bytes(film(seed))
    store = Store(lone.state)
    with open_page(lone) as page:
        page.goto(f"{lone.url}/upload")
        page.get_by_label("Choose films").set_input_files([tmp_path / "41.png", tmp_path / "42.png"])
        expect(page.locator("#outcomes").get_by_text("taken in")).to_have_count(2)
        while waiting := store.claim():
            if store.film(waiting.id)["name"] == "41.png":
                lay_result(store, waiting.id, "uncertain")
                store.picture_path(waiting.sha256).unlink()
            else:
                lay_refusal(store, waiting.id, "blank", "the film is blank; send it again")
        lines = page.locator("#outcomes li")
        expect(lines.filter(has_text="41.png")).to_contain_text("read: uncertain")
        expect(lines.filter(has_text="42.png").locator(".fault")).to_have_text(
            "Refused: The film is blank; send it again."
        )
    assert store.take_request("picture") is None, "no picture is drawn before other films are read"
    store.close()


def test_what_becomes_of_a_film_is_told_once_the_connection_is_back(lone, tmp_path):
    (tmp_path / "51.png").write_bytes(film(51))
    (tmp_path / "letter.txt").write_text("no film")
    store = Store(lone.state)
    with open_page(lone) as page:
        page.goto(f"{lone.url}/upload")
        # A film alone would lead to its page.
        page.get_by_label("Choose films").set_input_files([tmp_path / "51.png", tmp_path / "letter.txt"])
        expect(page.locator("#outcomes").get_by_text("taken in")).to_be_visible()
        page.context.set_offline(True)
        expect(page.locator("#lost")).to_be_visible()
        while waiting := store.claim():
            lay_result(store, waiting.id)
        page.wait_for_timeout(3000)
        page.context.set_offline(False)
        expect(page.locator("#outcomes li").first).to_contain_text("read: flagged")
        expect(page.locator("#lost")).to_be_hidden()
    store.close()


def test_the_same_content_leads_to_the_known_film(lone):
    [first], [second] = send(lone, **{"a.png": film(4)}), send(lone, **{"b.png": film(4)})
    assert first["new"] and not second["new"] and first["film"] == second["film"]
    status, url, _ = post_files(lone, "/upload", {"c.png": film(4)})
    assert status == 200 and url == f"{lone.url}/films/{first['film']}"
    assert hashlib.sha256(film(4)).hexdigest() == lone.json(f"/api/films/{first['film']}")["sha256"]


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty"), (b"dear colleague", "unknown_format"), (b"%PDF-1.7", "unknown_format")]
)
def test_what_is_no_film_is_refused_at_once_and_not_kept(lone, content, code):
    before = len(lone.list_films())
    [outcome] = send(lone, **{"x.png": content})
    assert outcome["film"] is None and outcome["refusal"]["code"] == code and ";" in outcome["refusal"]["reason"]
    assert len(lone.list_films()) == before and not list((lone.state / "incoming").iterdir())


def test_a_file_beyond_the_limit_is_refused(lone, monkeypatch, tmp_path):
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(256 * 2**20 + 1)
    store = Store(tmp_path / "state")
    with huge.open("rb") as content, pytest.raises(ValueError, match="larger than 256 MB") as refusal:
        take_film(store, content, "huge.png", "upload")
    assert refusal.value.code == "file_too_large" and not list(store.incoming.iterdir())
    store.close()


def test_the_folders_in_a_name_are_dropped(lone):
    [outcome] = send(lone, **{"C:/fakepath/ward 3.png": film(5)})
    assert outcome["name"] == "ward 3.png"


def test_nothing_is_sent_where_there_is_no_file(lone):
    assert post_files(lone, "/upload", {})[0] == 400


@pytest.mark.parametrize("path", ["/upload", "/api/films"])
@pytest.mark.parametrize("origin", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}])
def test_another_site_cannot_send_films(lone, path, origin):
    before = len(lone.list_films())
    status, _, text = post_files(lone, path, {"x.png": film(6)}, **origin)
    assert status == 403 and "box's own page" in text and len(lone.list_films()) == before


def test_a_request_that_the_browser_knows_to_be_from_elsewhere_is_refused(lone):
    assert post_files(lone, "/upload", {"x.png": film(6)}, Sec_Fetch_Site="cross-site")[0] == 403


def test_uploads_can_be_switched_off(tmp_path):
    box = LonePage(tmp_path, free_port())
    box.films.mkdir()
    box.start("--no-from-upload")
    assert b"from_upload = true" in box.get("/upload")
    assert post_files(box, "/upload", {"x.png": film(7)})[0] == 403
    box.stop()


@pytest.fixture
def small_disk(tmp_path):
    """Return a box whose state folder lies on a real disk of 24 MiB."""
    if not is_root():
        pytest.skip("only root may mount a small disk")
    box = RunningBox(tmp_path, free_port())
    box.films.mkdir()
    box.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "cxrbox-test", str(box.state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield box
    if box.process and box.process.poll() is None:
        box.stop()
    subprocess.run(["umount", str(box.state)], check=True)


def test_a_full_disk_is_told_in_one_sentence_and_nothing_half_is_kept(small_disk):
    box = small_disk
    box.start("--retention-free-mb", "0")
    box.wait_until(lambda: box.json("/api/health"))
    [outcome] = send(box, **{"before.png": film(8)})
    box.wait_for("before.png")
    ballast = box.state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
    # The first is small enough for memory, the second must be written down before it is looked at.
    for content in (film(9)[:300_000], film(9) + bytes(3 << 20)):
        status, _, text = post_files(box, "/api/films", {"x.png": content})
        assert status == 507 and "disk of the box is full" in json.loads(text)["error"]["message"]
    assert "disk of the box is full" in post_files(box, "/upload", {"x.png": film(9)})[2]
    assert "The disk is full" in box.get("/").decode()
    assert [one["id"] for one in box.list_films()] == [outcome["film"]]
    assert not list((box.state / "incoming").iterdir())
    ballast.unlink()
    assert send(box, **{"after.png": film(9)})[0]["new"]
    assert box.wait_for("after.png")[0]["state"] == "read"


def test_a_still_of_the_camera_is_taken_in_once(tmp_path):
    store = Store(tmp_path / "state")
    assert take_still(store, film(10)) and not take_still(store, film(10))
    [known] = store.list_films(5)
    assert known["source"] == "camera" and known["name"].startswith("scan 20")
    assert store.original_path(known["sha256"]).read_bytes() == film(10)
    store.close()


def test_a_copy_that_is_not_kept_is_gone_and_each_part_clears_up_after_itself(tmp_path):
    store = Store(tmp_path / "state")
    path = tmp_path / "film.png"
    path.write_bytes(film(11))
    with path.open("rb") as content, Copies(store, "upload") as copies:
        copy = copies.copy(content)
        assert copy.path.read_bytes() == film(11) and copy.size == len(film(11))
    assert not list(store.incoming.iterdir())
    for name in ("upload-1", "folder-1"):
        (store.incoming / name).touch()
    clear_leftovers(store, "upload")
    assert [one.name for one in store.incoming.iterdir()] == ["folder-1"]
    store.close()


def test_an_original_that_no_film_refers_to_is_queued_or_where_it_is_damaged_removed(tmp_path):
    store = Store(tmp_path / "state")
    known = take_film(store, io.BytesIO(film(1)), "known.png", "upload").sha256
    # Killed between the two steps: kept, and not queued.
    with Copies(store, "camera") as copies:
        forgotten, damaged, recent = (copies.copy(io.BytesIO(film(seed))) for seed in (2, 3, 4))
        copies.keep([forgotten, damaged, recent])
    store.original_path(damaged.sha256).write_bytes(b"damaged")
    long_ago = time.time() - 2 * FORGOTTEN_SECONDS
    for sha256 in (known, forgotten.sha256, damaged.sha256):
        os.utime(store.original_path(sha256), (long_ago, long_ago))
    for _ in range(2):
        list(queue_forgotten(store))
    assert {one["sha256"] for one in store.all_films()} == {known, forgotten.sha256} == store.kept()
    assert store.counts()["queued"] == 2 and store.original_path(recent.sha256).is_file()
    assert not store.original_path(damaged.sha256).exists()
    store.close()


def test_an_original_that_came_back_while_it_was_removed_is_kept_like_any_other(tmp_path):
    store = Store(tmp_path / "state")
    taken = take_film(store, io.BytesIO(film(1)), "one.png", "upload")
    store.add_refusal(store.claim().id, RefusedError("blank", "the film is blank"))
    store.remove_original(1, "age")
    path = store.original_path(taken.sha256)
    path.write_bytes(film(1))
    os.utime(path, (0, 0))
    list(queue_forgotten(store))
    assert store.kept() == {taken.sha256} and [one["state"] for one in store.all_films()] == ["refused"]
    store.close()
