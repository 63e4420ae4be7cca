"""What people see in a browser when something goes wrong with the box itself, and when it is over."""

import os
import subprocess
from contextlib import suppress

import cv2
import pytest
from cxrbox.bodies.stand_in import FAULT_FILE
from cxrbundle.phantom import draw_phantom
from page_browser import DESKTOP, PHONE, open_page
from playwright.sync_api import Page, expect
from running_box import RunningBox, free_port

SOON = 60_000
DISK_MB = 48


@pytest.fixture
def box(tmp_path):
    box = RunningBox(tmp_path, free_port())
    box.films.mkdir()
    yield box
    if box.process:
        box.stop()


@pytest.fixture
def small_disk(box):
    """Lay the state folder on a small disk of its own."""
    box.state.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", box.state], check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield box.state
    box.stop()
    box.process = None
    subprocess.run(["umount", "--lazy", box.state], check=True)


def bring(box: RunningBox, seed: int) -> str:
    """Bring a drawn film to the box; return its name."""
    path = box.folder / f"film-{seed}.png"
    assert cv2.imwrite(str(path), draw_phantom(seed))
    path.replace(box.films / path.name)
    return path.name


def send(page: Page, box: RunningBox, seed: int) -> None:
    """Send a drawn film from the page."""
    content = cv2.imencode(".png", draw_phantom(seed))[1].tobytes()
    page.goto(f"{box.url}/upload")
    page.locator("input[type=file]").last.set_input_files(
        {"name": f"{seed}.png", "mimeType": "image/png", "buffer": content}
    )


def fill(disk) -> None:
    """Leave no room on a disk."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        os.posix_fallocate(filler.fileno(), 0, room)


def test_a_lost_accelerator_is_told_on_every_page_until_it_is_back(box, monkeypatch):
    fault = box.folder / "fault"
    monkeypatch.setenv(FAULT_FILE, str(fault))
    box.start("--tpu", "stand-in")
    box.wait_until(lambda: box.json("/api/health")["reader"].get("backend", "").startswith("stand-in"))
    first = box.wait_for(bring(box, 1))[0]
    with open_page(box, **DESKTOP) as page:
        page.goto(f"{box.url}/films/{first['id']}")
        expect(page.locator(".model")).to_contain_text("stand-in")
        expect(page.locator("#notices")).not_to_contain_text("processor")
        fault.write_text("vanish")
        second = box.wait_for(bring(box, 2))[0]
        expect(page.locator("#notices")).to_contain_text("processor", timeout=SOON)
        page.goto(f"{box.url}/films/{second['id']}")
        expect(page.locator(".model")).to_contain_text("cpu")
        fault.write_text("")
        expect(page.locator("#notices")).not_to_contain_text("processor", timeout=SOON)
        third = box.wait_for(bring(box, 3))[0]
        page.goto(f"{box.url}/films/{third['id']}")
        expect(page.locator(".model")).to_contain_text("stand-in")
    assert [film["state"] for film in box.list_films()] == ["read"] * 3


def test_a_full_disk_is_told_and_the_film_can_be_sent_again_once_it_is_freed(box, small_disk):
    box.start("--retention-free-mb", "0")
    box.wait_for(bring(box, 1))
    with open_page(box, **PHONE) as page:
        fill(small_disk)
        send(page, box, 2)
        expect(page.locator("#notices")).to_contain_text("The disk is full", timeout=SOON)
        expect(page.locator("#outcomes .fault")).to_contain_text("the disk", timeout=SOON, ignore_case=True)
        (small_disk / "filler").unlink()
        expect(page.locator("#notices")).not_to_contain_text("The disk is full", timeout=SOON)
        send(page, box, 2)
        page.wait_for_url("**/films/*", timeout=SOON)
        expect(page.locator("table.findings, .findings").first).to_be_visible(timeout=SOON)
    assert [film["state"] for film in box.list_films()] == ["read"] * 2
