"""The page in a real browser, and what it sends over HTTP."""

import html
import json
import re
import shutil
import urllib.error
import urllib.request

import numpy as np
import pytest
from cxrbox.body import CpuBody
from cxrbundle.bundle import load_bundle
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.scores import likelihoods
from cxrbundle.shipped import shipped_bundle
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
# Without these, Chromium looks for its maker's servers at every start.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def page(box):
    """Return a page of headless Chromium that may speak to the box only, and fails the test on any error."""
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
    # A browser that is told to be offline says so on its console.
    assert not [error for error in errors if "ERR_INTERNET_DISCONNECTED" not in error]
    assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{box.port}"}


def heat_pixels(page: Page) -> list[int]:
    """Return the pixels of the heat map as the browser decoded it."""
    expect(page.locator("#heat")).to_have_js_property("complete", True)
    return page.evaluate(
        """() => {
            const heat = document.getElementById("heat"), canvas = document.createElement("canvas");
            canvas.width = canvas.height = 32;
            const draw = canvas.getContext("2d");
            draw.drawImage(heat, 0, 0, 32, 32);
            return Array.from(draw.getImageData(0, 0, 32, 32).data);
        }"""
    )


def seed_with_heat() -> int:
    """Return the phantom whose first finding on the page has a heat map that is not empty."""
    bundle = load_bundle(shipped_bundle())
    body, manifest = CpuBody(bundle, 1), bundle.manifest
    above = np.array([manifest.thresholds[label].above for label in manifest.labels])
    for seed in range(100):
        output = bundle.head(body(to_input(draw_phantom(seed), manifest.input.height)))
        first = int(np.argmax(likelihoods(output.logits, manifest.calibrations) / above))
        if output.maps[first].max() > 0:
            return seed
    raise AssertionError("no phantom has a heat map")


def test_a_film_is_dropped_appears_is_opened_and_its_overlay_switched(box, page, phantom_png):
    page.goto(box.url)
    expect(page.get_by_text("No film yet.")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("Not a diagnosis")

    phantom_png(seed_with_heat(), box.films, "ward 3.png")
    row = page.locator("tr", has_text="ward 3.png")
    expect(row.locator(".badge")).to_have_text(re.compile("flagged|uncertain"), timeout=20_000)

    page.get_by_role("link", name="ward 3.png").click()
    expect(page.locator(".findings tbody tr")).to_have_count(14)
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator(".model")).to_contain_text("cpu ")
    expect(page.locator(".model")).to_contain_text("Not a diagnosis")

    first = heat_pixels(page)
    assert any(first)
    page.get_by_role("link", name="Hernia").click()
    expect(page.locator("#which")).to_have_text("Hernia")
    expect(page).to_have_url(f"{box.url}/films/1?finding=Hernia")
    expect(page.locator("#heat")).to_have_attribute("src", "/films/1/heat/Hernia.png")
    assert heat_pixels(page) != first

    empty = page.locator("a.pick[data-empty]")
    expect(page.locator("#empty-heat")).to_be_visible(visible=bool(page.locator("tr.chosen a[data-empty]").count()))
    if empty.count():
        empty.first.click()
        expect(page.locator("#empty-heat")).to_be_visible()

    page.locator("#strength").fill("20")
    expect(page.locator("#heat")).to_have_css("opacity", "0.2")
    page.get_by_role("checkbox", name="Heat map").uncheck()
    expect(page.locator("#heat")).to_be_hidden()


def test_a_refused_film_shows_its_reason_in_the_list_and_on_its_page(box, page):
    (box.films / "letter.png").write_text("dear colleague")
    page.goto(box.url)
    row = page.locator("tr", has_text="letter.png")
    expect(row.locator(".badge")).to_have_text("refused", timeout=20_000)
    reason = row.locator(".reason").inner_text()
    page.get_by_role("link", name="letter.png").click()
    expect(page.locator(".refusal")).to_have_text(reason)
    expect(page.locator("main code").first).to_have_text("unknown_format")


def test_a_lost_connection_is_shown(box, page):
    page.goto(box.url)
    expect(page.locator("#lost")).to_be_hidden()
    page.context.set_offline(True)
    expect(page.locator("#lost")).to_be_visible(timeout=10_000)
    page.context.set_offline(False)
    expect(page.locator("#lost")).to_be_hidden(timeout=10_000)


def test_the_page_fits_a_phone(box, page, phantom_png):
    phantom_png(2, box.films)
    box.wait_for("phantom-2.png")
    page.set_viewport_size({"width": 390, "height": 800})
    for path in ("/", "/films/1", "/about"):
        page.goto(box.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_names_of_films_are_shown_as_text(box, page, phantom_png):
    name = "<img src=x onerror=alert(1)>.png"
    phantom_png(3, box.films, name)
    box.wait_for(name)
    page.goto(box.url)
    expect(page.get_by_role("link", name=name)).to_be_visible()


def test_an_unchanged_list_costs_an_empty_answer(box, phantom_png):
    phantom_png(4, box.films)
    box.wait_for("phantom-4.png")
    with urllib.request.urlopen(f"{box.url}/rows") as answer:
        etag = answer.headers["ETag"]
    again = urllib.request.Request(f"{box.url}/rows", headers={"If-None-Match": etag})
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        urllib.request.urlopen(again)
    assert unchanged.value.code == 304 and unchanged.value.read() == b""


@pytest.mark.parametrize("path", ["/films/99", "/films/1/heat/Cough.png", "/films/1/picture.jpg", "/nowhere"])
def test_what_is_not_there_is_a_page_of_its_own(box, path):
    with pytest.raises(urllib.error.HTTPError) as missing:
        box.get(path)
    assert missing.value.code == 404 and b"Not a diagnosis" in missing.value.read()


@pytest.mark.parametrize("path", ["/api/films/99", "/api/nowhere"])
def test_errors_of_the_api_have_one_shape(box, path):
    with pytest.raises(urllib.error.HTTPError) as missing:
        box.get(path)
    error = json.loads(missing.value.read())
    assert set(error) == {"error"} and set(error["error"]) == {"code", "message"}
    assert error["error"]["code"] == 404


def test_every_answer_forbids_requests_that_leave_the_box(box):
    with urllib.request.urlopen(box.url) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert len(answer.read()) < 20_000


def test_the_card_is_on_the_page(box, bundle_folder):
    title = (bundle_folder / "card.md").read_text().splitlines()[0].removeprefix("# ")
    about = html.unescape(box.get("/about").decode())
    assert f"<h1>{title}</h1>" in about and "<table>" in about
