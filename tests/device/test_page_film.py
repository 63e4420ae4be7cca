"""The page of one film: before and after, refusal, override, identity, and who read it."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cxrbox.store import Store
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS
from cxrbundle.shipped import shipped_bundle
from page_browser import DESKTOP, PHONE, LonePage, open_page, post
from page_films import PROVENANCE, lay_photograph, lay_refusal, lay_result, take
from playwright.sync_api import expect
from running_box import free_port

FORM = "application/x-www-form-urlencoded"
GLARE = "glare hides the film (top left); tilt the lamp until the bright spot is gone"
CAPTURE = {
    "corners": [[200.0, 100.0], [600.0, 100.0], [600.0, 500.0], [200.0, 500.0]],
    "size": [800, 600],
    "rotation": 90,
    "mirrored": "ask",
    "negative": True,
    "steps": ["cut the film out of the photograph", "turned it by 90 degrees clockwise"],
    "overridden": None,
}


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """Return a page alone."""
    box = LonePage(tmp_path_factory.mktemp("film"), free_port())
    box.films.mkdir()
    box.start()
    yield box
    box.stop()


@pytest.fixture
def store(lone):
    """Return the store of the page."""
    store = Store(lone.state)
    yield store
    store.close()


@pytest.fixture(scope="module")
def page(lone):
    with open_page(lone, **DESKTOP) as page:
        page.goto(lone.url)
        yield page


def test_a_photograph_is_shown_before_and_after_with_where_the_film_was_found(lone, store, page):
    film = lay_result(store, take(store, "camera"), capture=CAPTURE)
    lay_photograph(store, film, 800, 600)
    page.goto(f"{lone.url}/films/{film}")
    photo, outline = page.locator("#photo").bounding_box(), page.locator(".capture polygon").bounding_box()
    assert outline["x"] - photo["x"] == pytest.approx(photo["width"] / 4, abs=3)
    assert outline["width"] == pytest.approx(photo["width"] / 2, abs=6)
    assert outline["height"] == pytest.approx(photo["height"] * 2 / 3, abs=6)
    after = page.locator("figure", has_text="as it was read")
    expect(after).to_contain_text("cut the film out of the photograph; turned it by 90 degrees clockwise.")
    expect(page.locator(".banner", has_text="Left and right could not be told")).to_be_visible()
    expect(page.locator(".banner", has_text="capture gate")).to_have_count(0)


def test_what_was_read_at_a_persons_word_says_so(lone, store, page):
    film = lay_result(store, take(store, "camera"), capture=CAPTURE | {"overridden": "glare", "mirrored": "yes"})
    page.goto(f"{lone.url}/films/{film}")
    expect(page.locator(".banner", has_text="(glare); a person wanted it read all the same")).to_be_visible()
    expect(page.locator(".banner", has_text="The film was mirrored")).to_be_visible()
    expect(page.locator(".banner", has_text="Left and right")).to_have_count(0)


def test_a_refused_photograph_is_read_all_the_same_if_a_person_wants_it_and_only_once(lone, store, page):
    film = lay_refusal(store, take(store, "camera"), "glare", GLARE)
    page.goto(f"{lone.url}/films/{film}")
    expect(page.locator(".refusal")).to_have_text(f"{GLARE.capitalize()}.")
    page.get_by_text("Read it all the same").first.click()
    page.get_by_label("Who wants it read, and why").fill("Nurse A: the patient has left")
    page.get_by_role("button", name="Read it all the same").click()
    expect(page.locator(".badge.waiting")).to_be_visible()
    assert store.film(film)["overridden"] and store.film(film)["state"] == "queued"
    [entry] = [entry for entry in store.ledger() if entry.kind == "override" and entry.film == film]
    assert entry.facts["note"] == "Nurse A: the patient has left"
    lay_refusal(store, store.claim().id, "glare", GLARE)
    # The page shows by itself that the film is not waiting any more.
    expect(page.locator("main")).to_contain_text("could not be read")
    expect(page.get_by_role("button", name="Read it all the same")).to_have_count(0)
    assert post(lone, f"/films/{film}/override", b"note=again")[0] == 409


@pytest.mark.parametrize("code", ["damaged", "lateral_view", "no_film"])
def test_no_other_refusal_can_be_overridden(lone, store, code):
    film = lay_refusal(store, take(store), code, "it cannot be read; send another")
    assert "Read it all the same" not in lone.get(f"/films/{film}").decode()
    status, _, text = post(lone, f"/films/{film}/override", b"note=please", Content_Type=FORM)
    assert status == 409 and "cannot be read all the same" in text and not store.film(film)["overridden"]


def test_an_override_without_a_note_or_from_another_site_is_refused(lone, store):
    film = lay_refusal(store, take(store, "camera"), "blurred", "the picture is blurred; hold still")
    assert post(lone, f"/films/{film}/override", b"note=+", Content_Type=FORM)[0] == 400
    assert post(lone, f"/films/{film}/override", b"note=x", Content_Type=FORM, Origin="http://evil.example")[0] == 403
    assert store.film(film)["state"] == "refused"


def test_a_person_says_whose_film_it_is_and_the_history_stays(lone, store, page):
    film = lay_result(store, take(store))
    page.goto(f"{lone.url}/films/{film}")
    expect(page.locator(".identity p")).to_contain_text("nobody said yet")
    page.get_by_text("Say whose film it is").click()
    page.get_by_label("Code of the patient").fill(" NKT-2041 ")
    page.keyboard.press("Enter")
    expect(page.locator(".identity p")).to_have_text("Patient: NKT-2041 (typed)")
    page.get_by_text("Change").click()
    page.get_by_role("button", name="It is unknown").click()
    expect(page.locator(".identity p")).to_contain_text("somebody said so")
    page.get_by_text("Change").click()
    expect(page.locator(".history li")).to_have_count(2)
    expect(page.locator(".history li").first).to_contain_text("NKT-2041")
    assert [one["kind"] for one in store.identities(film)] == ["typed", "unknown"] and store.find_fault() is None


@pytest.mark.parametrize(
    "body", [b"kind=typed&code=+", b"kind=typed&code=" + b"x" * 65, b"kind=dicom&code=1", b"kind=typed"]
)
def test_an_identity_that_is_none_is_refused_in_one_sentence(lone, store, body):
    film = lay_result(store, take(store))
    status, _, text = post(lone, f"/films/{film}/identity", body, Content_Type=FORM)
    assert status == 400 and "Back to the film" in text and store.film(film)["identity"] is None


def test_the_code_of_a_patient_is_shown_as_text(lone, store, page):
    film = lay_result(store, take(store))
    store.set_identity(film, "<b>x</b>", "typed")
    page.goto(lone.url)
    expect(page.locator(f"#film-{film} .patient")).to_have_text("<b>x</b>")


def test_a_removed_original_is_said_and_the_result_stays(lone, store, page):
    film = lay_result(store, take(store))
    store.remove_original(film, "age")
    page.goto(f"{lone.url}/films/{film}")
    expect(page.locator(".removed")).to_contain_text("The original was removed")
    expect(page.locator(".findings tbody tr")).to_have_count(14)
    expect(page.locator("[data-reload]")).to_have_count(0)


def test_unstable_findings_and_a_clock_that_was_not_trusted_are_said(lone, store, page):
    film = lay_result(store, take(store), clock_trusted=False)
    store.add_stability(film, ["Hernia"])
    page.goto(f"{lone.url}/films/{film}")
    expect(page.locator("tr[data-finding=Hernia]")).to_contain_text("unstable")
    expect(page.locator(".unstable")).to_have_count(1)
    expect(page.locator(".model")).to_contain_text("clock not trusted")
    page.get_by_text("How this was read").click()
    for words in ("cxr-test 1", "cpu ai-edge-litert", "d" * 64, "not trusted: the times here may be wrong"):
        expect(page.locator(".provenance")).to_contain_text(words)


def test_the_result_appears_by_itself_and_nobodys_typing_is_lost(lone, store, page):
    film = take(store)
    page.goto(f"{lone.url}/films/{film}")
    expect(page.locator(".badge.waiting")).to_be_visible()
    page.get_by_text("Say whose film it is").click()
    page.get_by_label("Code of the patient").fill("NKT")
    lay_result(store, film)
    page.get_by_role("link", name="There is news of this film").click()
    expect(page.locator(".findings tbody tr")).to_have_count(14)
    film = take(store)
    page.goto(f"{lone.url}/films/{film}")
    lay_result(store, film)
    expect(page.locator(".findings tbody tr")).to_have_count(14, timeout=10_000)


def test_a_finding_is_chosen_with_the_keyboard_alone(lone, store, page):
    film = lay_result(store, take(store))
    page.goto(f"{lone.url}/films/{film}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.locator("a.pick", has_text="Hernia").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#which")).to_have_text("Hernia")


def test_a_list_of_films_with_every_finding_flagged_fits_a_phone(lone, store, page):
    film = lay_result(store, take(store))
    store.add_stability(film, list(FINDINGS))
    page.set_viewport_size(PHONE["viewport"])
    page.goto(lone.url)
    expect(page.locator(f"#film-{film} .short")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    page.set_viewport_size(DESKTOP["viewport"])


def undrawn_film(store: Store) -> tuple[int, Path]:
    """Return a film that was read, and where its picture is missing."""
    film = lay_result(store, take(store))
    picture = store.picture_path(store.film(film)["sha256"])
    while store.take_request("picture"):
        pass
    return film, picture.rename(picture.with_suffix(".later"))


def test_a_picture_that_is_not_drawn_is_asked_for_and_shown_as_soon_as_it_is(lone, store, page):
    film, later = undrawn_film(store)
    page.goto(f"{lone.url}/films/{film}")
    expect(page.get_by_text("The picture is being drawn.")).to_be_visible()
    assert store.take_request("picture") == {"film": film}
    later.rename(later.with_suffix(".jpg"))
    expect(page.locator("#picture")).to_be_visible()


def test_a_picture_that_comes_while_somebody_types_throws_nothing_away(lone, store, page):
    film, later = undrawn_film(store)
    page.goto(f"{lone.url}/films/{film}")
    page.get_by_text("Say whose film it is").click()
    page.locator("#code").fill("MRN 7")
    later.rename(later.with_suffix(".jpg"))
    expect(page.get_by_role("link", name="There is news of this film: show it")).to_be_visible()
    assert page.locator("#code").input_value() == "MRN 7"


def test_what_is_unstable_and_what_counts_no_more_reach_a_page_that_is_open(lone, store, page):
    film = lay_result(store, take(store))
    page.goto(f"{lone.url}/films/{film}")
    expect(page.get_by_text("Which findings are unstable has not been looked at yet.")).to_be_visible()
    store.add_stability(film, ["Mass"])
    expect(page.locator("tr[data-finding=Mass] .unstable")).to_be_visible()
    expect(page.locator(".unstable")).to_have_count(1)
    page.locator("tr[data-finding=Hernia] a").click()
    expect(page.locator("tr.chosen")).to_have_attribute("data-finding", "Hernia")
    store.withdraw(store.film(film)["entry"] - 1, PROVENANCE["backend"])
    expect(page.get_by_text("It is being read again.")).to_be_visible()


def test_who_wanted_a_film_read_all_the_same_is_said(lone, store, page):
    film = lay_refusal(store, take(store), "glare", GLARE)
    store.override(film, "Dr B, nobody else can see it")
    assert store.claim().id == film
    lay_result(store, film)
    page.goto(f"{lone.url}/films/{film}")
    expect(page.get_by_text("“Dr B, nobody else can see it”")).to_be_visible()
    page.goto(lone.url)
    expect(page.locator(f"#film-{film}").get_by_text("read all the same")).to_be_visible()
    assert b",True," in lone.get("/export.csv")


def test_what_counts_no_more_is_said_while_the_film_waits_and_when_it_was_read_again(lone, store, page):
    film = lay_result(store, take(store))
    assert store.withdraw(store.film(film)["entry"] - 1, PROVENANCE["backend"]) == 1
    page.goto(f"{lone.url}/films/{film}")
    banner = page.get_by_text("What was said of this film before counts no more")
    expect(banner).to_contain_text("It is being read again.")
    expect(page.locator(".model")).to_have_count(0)
    assert store.claim().id == film
    lay_result(store, film)
    expect(banner).to_contain_text("It was read again, as shown here.")
    expect(page.locator("table.findings")).to_be_visible()


def test_a_picture_that_cannot_be_drawn_is_said_and_no_more_waited_for(lone, store, page):
    film, _ = undrawn_film(store)
    page.goto(f"{lone.url}/films/{film}")
    expect(page.get_by_text("The picture is being drawn.")).to_be_visible()
    assert lone.json(f"/api/films/{film}")["undrawable"] is False
    store.put_status("pictures", {"undrawable": [film]})
    expect(page.get_by_text("the film that was kept is damaged")).to_be_visible()
    expect(page.get_by_text("The picture is being drawn.")).to_have_count(0)
    assert lone.json(f"/api/films/{film}")["undrawable"] is True


def test_a_program_has_a_picture_drawn_by_asking_for_the_film_or_for_the_picture(lone, store):
    film, later = undrawn_film(store)
    assert lone.json(f"/api/films/{film}")["drawn"] is False
    assert store.take_request("picture") == {"film": film}
    with pytest.raises(urllib.error.HTTPError) as missing:
        lone.get(f"/films/{film}/picture.jpg")
    assert missing.value.code == 404 and b"ask again in a moment" in missing.value.read()
    assert store.take_request("picture") == {"film": film}
    later.rename(later.with_suffix(".jpg"))
    assert lone.get(f"/films/{film}/picture.jpg").startswith(b"\xff\xd8")
    assert lone.json(f"/api/films/{film}")["drawn"] is True and store.take_request("picture") is None


def test_a_page_that_asks_again_and_again_leaves_one_request_and_writes_nothing_more(store):
    watching = Store(store.state)

    def written() -> int:
        return watching._db.execute("PRAGMA data_version").fetchone()[0]

    store.ask("picture", {"film": 1})
    before = written()
    store.ask("picture", {"film": 1})
    assert written() == before
    store.ask("picture", {"film": 2})
    assert written() != before
    watching.close()
    assert [store.take_request("picture") for _ in range(3)] == [{"film": 1}, {"film": 2}, None]


def test_requests_that_nobody_takes_do_not_pile_up(store):
    store.ask("picture", {"film": 1})
    store._db.execute("UPDATE requests SET at = '2026-01-01T00:00:00.000+00:00'")
    store.ask("picture", {"film": 2})
    assert store._db.execute("SELECT request FROM requests").fetchall()[0]["request"] == '{"film": 2}'
    assert store.take_request("picture") == {"film": 2}


def test_whose_film_it_is_reaches_a_page_that_is_open_and_nobodys_typing_is_lost(lone, store, page):
    film = lay_result(store, take(store))
    page.goto(f"{lone.url}/films/{film}")
    store.set_identity(film, "AAA-1", "typed")
    expect(page.locator(".identity strong")).to_have_text("AAA-1")
    page.locator(".identity").get_by_text("Change").click()
    page.locator("#code").fill("BBB")
    store.set_identity(film, "AAA-2", "typed")
    expect(page.get_by_role("link", name="There is news of this film: show it")).to_be_visible()
    assert page.locator("#code").input_value() == "BBB"


def test_whose_film_it_is_reaches_the_open_page_of_a_refused_film_as_well(lone, store, page):
    film = lay_refusal(store, take(store), "glare", GLARE)
    page.goto(f"{lone.url}/films/{film}")
    store.set_identity(film, "CCC-1", "typed")
    expect(page.locator(".identity strong")).to_have_text("CCC-1")


def test_a_film_that_came_under_another_name_as_well_says_so_where_it_is_seen(lone, store, page):
    """Two patients' files with one content are a mix-up that nobody could see."""
    film = lay_result(store, take(store))
    name = store.film(film)["name"]
    page.goto(lone.url)
    expect(page.locator(f"#film-{film}")).to_be_visible()
    store.add_film("ward b/PATIENT-B.png", "2", store.film(film)["sha256"], 9, "folder")
    expect(page.locator(f"#film-{film} .also")).to_have_text("also sent as ward b/PATIENT-B.png")
    page.goto(f"{lone.url}/films/{film}")
    expect(page.get_by_text("Also sent as ward b/PATIENT-B.png: the same content, so one film.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{name} film {film}")


def test_the_file_that_came_can_be_fetched_and_no_browser_shows_it(lone, store, page):
    film = lay_result(store, take(store))
    store._db.execute("UPDATE films SET name = 'ward/Müller.png' WHERE id = ?", (film,))
    page.goto(f"{lone.url}/films/{film}")
    with page.expect_download() as download:
        page.get_by_role("link", name="the file that came").click()
    assert download.value.suggested_filename == f"film-{film} Müller.png"
    content = store.original_path(store.film(film)["sha256"]).read_bytes()
    assert Path(download.value.path()).read_bytes() == content
    with urllib.request.urlopen(f"{lone.url}/films/{film}/original") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    store.remove_original(film, "age")
    with pytest.raises(urllib.error.HTTPError) as gone:
        lone.get(f"/films/{film}/original")
    assert gone.value.code == 404 and b"is not kept" in gone.value.read()


def test_a_result_of_another_model_is_not_shown_beside_this_ones_card(lone, store, page):
    own = load_bundle(shipped_bundle()).digest
    now, then = (lay_result(store, take(store), bundle_sha256=digest) for digest in (own, "0" * 64))
    page.goto(f"{lone.url}/films/{now}")
    expect(page.locator(".hint a", has_text="card")).to_have_count(1)
    page.goto(f"{lone.url}/films/{then}")
    expect(page.locator(".hint a", has_text="card")).to_have_count(0)
    expect(page.get_by_text("they are of a model that this box reads with no more")).to_be_visible()
