"""Scanning from the page, with the stand-in camera that plays a folder of photographs."""

import re

import cv2
import numpy as np
import pytest
from cxrbundle.phantom import draw_phantom
from page_browser import DESKTOP, PHONE, LonePage, open_page, post, wait_in_page
from photographed import photograph
from playwright.sync_api import expect
from running_box import RunningBox, free_port

# In shares of the picture.
FOUR_CORNERS = re.compile(r"^([01]\.\d+,[01]\.\d+ ?){4}$")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """Return a box with a stand-in camera; its photograph shows a film in glare, with no film beside it."""
    folder = tmp_path_factory.mktemp("scan")
    box = RunningBox(folder, free_port())
    (folder / "camera").mkdir()
    box.films.mkdir()
    shot = photograph(draw_phantom(1), np.random.default_rng(3), scene="mask", fault="glare")
    assert cv2.imwrite(str(folder / "camera" / "1.png"), shot.photo)
    box.start("--from-camera", "--camera", f"folder:{folder / 'camera'}")
    box.wait_until(lambda: box.json("/api/scan")["camera"])
    yield box
    box.stop()


def test_a_film_is_scanned_refused_with_advice_and_the_way_leads_back(station):
    with open_page(station, **PHONE) as page:
        page.goto(f"{station.url}/scan")
        expect(page.locator("#coaching")).to_contain_text("Glare hides the film", timeout=20_000)
        wait_in_page(page, "() => document.getElementById('preview').naturalWidth > 300")
        expect(page.locator("#outline polygon")).to_have_attribute("points", FOUR_CORNERS)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # What is drawn over the picture is as large as the picture.
        sides = page.locator("#preview, #outline").evaluate_all("all => all.map((one) => one.clientHeight)")
        assert abs(sides[0] - sides[1]) <= 1
        page.get_by_role("button", name="Scan").click()
        page.wait_for_url("**/films/*", timeout=20_000)
        expect(page.locator(".refusal")).to_contain_text("Glare hides the film", timeout=20_000)
        expect(page.get_by_text("Read it all the same").first).to_be_visible()
        page.get_by_role("link", name="Scan the next film").click()
        expect(page.get_by_role("button", name="Scan")).to_be_visible()
        # The stand-in shows the very same photograph again.
        page.get_by_role("button", name="Scan").click()
        expect(page.locator("#result")).to_have_text("This very picture was taken before.", timeout=20_000)


def test_a_good_film_is_scanned_and_its_result_shown_with_before_and_after(tmp_path):
    box = RunningBox(tmp_path, free_port())
    (tmp_path / "camera").mkdir()
    box.films.mkdir()
    shot = photograph(draw_phantom(8), np.random.default_rng(8), (1200, 1600), "box")
    assert cv2.imwrite(str(tmp_path / "camera" / "1.png"), shot.photo)
    box.start("--from-camera", "--camera", f"folder:{tmp_path / 'camera'}")
    box.wait_until(lambda: box.json("/api/scan")["camera"])
    with open_page(box, **PHONE) as page:
        page.goto(f"{box.url}/scan")
        expect(page.locator("#coaching.ready")).to_be_visible(timeout=20_000)
        page.get_by_role("button", name="Scan").click()
        page.wait_for_url("**/films/*", timeout=20_000)
        expect(page.locator("table.findings tbody tr")).to_have_count(14, timeout=20_000)
        for picture in ("#picture", "#heat", "#photo"):
            page.locator(picture).scroll_into_view_if_needed()
            shown = "(image) => image.complete && image.naturalWidth > 100"
            wait_in_page(page, shown, page.locator(picture).element_handle())
    assert [film["state"] for film in box.list_films()] == ["read"]
    assert box.stop() == 0


def test_a_flat_field_that_is_none_is_refused_with_the_reason(station):
    with open_page(station, **DESKTOP) as page:
        page.goto(f"{station.url}/scan")
        page.get_by_text("Flat field", exact=True).click()
        page.get_by_role("button", name="Photograph the empty light box").click()
        expect(page.locator("#result.fault")).not_to_be_empty(timeout=20_000)


def test_the_page_leads_to_the_film_without_javascript(station):
    camera = station.folder / "camera"
    shot = photograph(draw_phantom(2), np.random.default_rng(4), scene="mask", fault="glare")
    assert cv2.imwrite(str(camera / "1.png"), shot.photo)
    with open_page(station, java_script_enabled=False) as page:
        page.goto(f"{station.url}/scan")
        page.get_by_role("button", name="Scan").click()
        page.get_by_role("link", name="Show the film that was scanned").click(timeout=20_000)
        expect(page.locator("h1")).to_contain_text("scan 20")


@pytest.mark.parametrize("body", [b"do=format", b"do="])
def test_the_camera_is_asked_for_nothing_else(station, body):
    assert post(station, "/scan", body, Content_Type=FORM)[0] == 400


def test_another_site_cannot_scan(station):
    assert post(station, "/scan", b"do=scan", Content_Type=FORM, Origin="http://evil.example")[0] == 403


def test_a_camera_that_vanishes_is_told_on_the_scan_page_and_on_health(station):
    camera = station.folder / "camera"
    camera.rename(station.folder / "away")
    with open_page(station, **DESKTOP) as page:
        page.goto(f"{station.url}/scan")
        expect(page.locator("#coaching.fault")).to_contain_text("has no folder to play", timeout=20_000)
        page.goto(f"{station.url}/health")
        expect(page.locator("main")).to_contain_text("has no folder to play")
        (station.folder / "away").rename(camera)
        page.goto(f"{station.url}/scan")
        expect(page.locator("#coaching")).to_contain_text("Glare", timeout=20_000)


def test_a_box_without_a_camera_says_how_to_switch_it_on(tmp_path):
    box = LonePage(tmp_path, free_port())
    box.films.mkdir()
    box.start()
    assert b"from_camera = true" in box.get("/scan")
    status, _, text = post(box, "/scan", b"do=scan", Content_Type=FORM)
    assert status == 409 and "takes no films from a camera" in text
    box.stop()
