"""The list and the page of a film in a real browser, on a box that reads."""

import re

import numpy as np
import pytest
from cxrbox.bodies.cpu import CpuBody
from cxrbundle.bundle import load_bundle
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.scores import likelihoods
from cxrbundle.shipped import shipped_bundle
from page_browser import open_page
from playwright.sync_api import Page, expect
from running_box import RunningBox, free_port


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Return a running box for all tests of this file."""
    box = RunningBox(tmp_path_factory.mktemp("page"), free_port())
    box.films.mkdir()
    box.start()
    box.wait_until(lambda: box.json("/api/health"))
    yield box
    box.stop()


@pytest.fixture
def page(box):
    with open_page(box) as page:
        yield page


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
    expect(page.get_by_role("link", name="Send the first one")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("Not a diagnosis")

    phantom_png(seed_with_heat(), box.films, "ward 3.png")
    row = page.locator("tr", has_text="ward 3.png")
    expect(row.locator(".badge")).to_have_text(re.compile("flagged|uncertain"), timeout=20_000)

    page.get_by_role("link", name="ward 3.png").click()
    film = page.url.rpartition("/")[2]
    expect(page.locator(".findings tbody tr")).to_have_count(14)
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator(".model")).to_contain_text("cpu ")
    expect(page.locator(".model")).to_contain_text("Not a diagnosis")

    first = heat_pixels(page)
    assert any(first)
    page.get_by_role("link", name="Hernia").click()
    expect(page.locator("#which")).to_have_text("Hernia")
    expect(page).to_have_url(f"{box.url}/films/{film}?finding=Hernia")
    expect(page.locator("#heat")).to_have_attribute("src", f"/films/{film}/heat/Hernia.png")
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
    phantom_png(102, box.films)
    [film] = box.wait_for("phantom-102.png")
    page.set_viewport_size({"width": 390, "height": 800})
    for path in ("/", f"/films/{film['id']}", "/upload", "/scan", "/health", "/about"):
        page.goto(box.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_names_of_films_are_shown_as_text(box, page, phantom_png):
    name = "<img src=x onerror=alert(1)>.png"
    phantom_png(103, box.films, name)
    box.wait_for(name)
    page.goto(box.url)
    expect(page.get_by_role("link", name=name)).to_be_visible()
