"""What the list shows: films first, what is none together, and nothing that moves under the finger."""

import pytest
from cxrbox.refusals import refuse
from cxrbox.web.rows import PAGE_LENGTH, list_rows
from page_browser import PHONE, LonePage, open_page, wait_in_page
from page_films import lay_result, take
from running_box import free_port

NO_FILM = refuse("unknown_format", "the file is no film that is known here")


@pytest.fixture
def lone(tmp_path, store):
    box = LonePage(tmp_path, free_port())
    box.films.mkdir()
    box.start()
    yield box
    box.stop()


def pass_over(store, *names: str) -> None:
    for name in names:
        store.add_refused(name, "1", 5, NO_FILM, "stick")


def test_the_program_on_a_patients_disc_takes_one_row(store):
    take(store, "stick", "KINGSTON/IM1.dcm")
    pass_over(store, *(f"KINGSTON/VIEWER/lib/{number}.dll" for number in range(60)), "KINGSTON/VIEWER/autorun.inf")
    take(store, "stick", "KINGSTON/IM2.dcm")
    rows, older = list_rows(store, None, each=False)
    assert [(row["name"].split("/")[-1], row.get("together"), row.get("below")) for row in rows] == [
        ("IM2.dcm", None, None),
        ("autorun.inf", 61, "KINGSTON/VIEWER"),
        ("IM1.dcm", None, None),
    ]
    assert older is None
    each, older = list_rows(store, None, each=True)
    assert len(each) == PAGE_LENGTH and not any(row.get("together") for row in each)
    rest, end = list_rows(store, older, each=True)
    assert len(rest) == 63 - PAGE_LENGTH and end is None


def test_a_few_files_that_are_no_films_are_told_each(store):
    pass_over(store, "a.pdf", "b.pdf", "c.heic")
    assert [row["name"] for row in list_rows(store, None, each=False)[0]] == ["c.heic", "b.pdf", "a.pdf"]


def test_what_was_refused_for_what_it_shows_is_told_each(store):
    for number in range(6):
        store.add_refused(f"{number}.png", "1", 5, refuse("file_too_large", "the file is too large"))
    assert len(list_rows(store, None, each=False)[0]) == 6


def test_the_next_page_begins_below_all_that_one_row_stands_for(store):
    for number in range(PAGE_LENGTH):
        take(store, "folder", f"early-{number}.png")
    pass_over(store, *(f"{number}.dll" for number in range(200)))
    for number in range(PAGE_LENGTH - 1):
        take(store, "folder", f"late-{number}.png")
    rows, older = list_rows(store, None, each=False)
    assert len(rows) == PAGE_LENGTH and rows[-1]["together"] == 200
    rest, end = list_rows(store, older, each=False)
    assert [row["name"] for row in rest] == [f"early-{number}.png" for number in reversed(range(PAGE_LENGTH))]
    assert end is None


def test_the_files_behind_a_row_are_a_click_away(lone, store):
    pass_over(store, *(f"VIEWER/{number}.dll" for number in range(9)))
    with open_page(lone) as page:
        page.goto(lone.url)
        page.get_by_role("link", name="9 files that are no films in VIEWER").click()
        assert page.locator("tr.refused").count() == 9
        pass_over(store, "VIEWER/late.dll")
        page.wait_for_timeout(1500)
        assert page.locator("tr.refused").count() == 9, "what is newer is on another page"


def test_films_are_found_by_their_patients_code_or_a_name(lone, store):
    first, second, third = (take(store, "folder", name) for name in ("Ward A/x.png", "y.png", "z_100%.png"))
    store.set_identity(second, "MRN-0042", "typed")
    store.add_film("Ward A/copy.png", "2", store.film(third)["sha256"], 9, "folder")

    def found(text: str) -> list[int]:
        return sorted(film["id"] for film in store.list_films(9, None, text))

    assert [found(text) for text in ("mrn-00", "ward a", "%", "nothing", "")] == [
        [second],
        [first, third],
        [third],
        [],
        [first, second, third],
    ]
    with open_page(lone, **PHONE) as page:
        page.goto(lone.url)
        page.get_by_label("Find a patient's code or a name").fill("mrn-0042")
        page.get_by_role("button", name="Find").click()
        page.wait_for_url("**/?q=mrn-0042")
        assert page.locator("tr[id]").count() == 1 and page.locator(f"#film-{second}").count() == 1
        store.set_identity(first, "MRN-0042", "typed")
        wait_in_page(page, "() => document.querySelectorAll('tr[id]').length === 2")
        page.goto(f"{lone.url}/?q=<b>nobody</b>")
        assert page.get_by_text("No film with this text.").is_visible()
        assert page.get_by_text("Films with “<b>nobody</b>”.").is_visible()
        page.get_by_role("link", name="All films").click()
        assert page.locator("tr[id]").count() == 3


def lay_films(store, count: int) -> None:
    for number in range(count):
        lay_result(store, take(store, "folder", f"ward {number}.png"))


AT = "([x, y]) => document.elementFromPoint(x, y).closest('tr[id]')?.id"


def test_a_film_that_comes_moves_no_other_under_the_mouse(lone, store):
    lay_films(store, 30)
    with open_page(lone) as page:
        page.goto(lone.url)
        box = page.locator("#film-25 a").bounding_box()
        spot = [box["x"] + 20, box["y"] + box["height"] / 2]
        page.mouse.move(*spot)
        lay_films(store, 3)
        wait_in_page(page, "() => document.getElementById('film-33') !== null")
        assert page.evaluate(AT, spot) == "film-25"


def test_a_film_that_comes_moves_no_other_in_a_list_that_was_scrolled(lone, store):
    lay_films(store, 40)
    with open_page(lone, **PHONE) as page:
        page.goto(lone.url)
        page.evaluate("scrollTo(0, 900)")
        before = page.evaluate(AT, [120, 400])
        lay_films(store, 2)
        wait_in_page(page, "() => document.getElementById('film-42') !== null")
        assert before and page.evaluate(AT, [120, 400]) == before


def test_a_touch_just_after_a_film_came_opens_nothing(lone, store):
    lay_films(store, 10)
    with open_page(lone, **PHONE) as page:
        page.goto(lone.url)
        page.locator("h1").tap()
        lay_films(store, 1)
        # In one step, as no test can be relied on to tap within so short a time.
        page.evaluate(
            """async () => {
              while (!document.getElementById("film-11")) await new Promise((then) => setTimeout(then, 5));
              document.querySelector("#film-11 a").dispatchEvent(
                new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1 }));
            }"""
        )
        page.wait_for_timeout(600)
        assert page.url.rstrip("/") == lone.url
        page.locator("#film-11 a").tap()
        page.wait_for_url("**/films/11")
