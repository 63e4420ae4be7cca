"""`make pictures`: photograph the page for the README, with a drawn phantom in place of a patient's film.

With a folder as argument, all pages are photographed into it instead, as a desktop and as a phone show them.
"""

import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from cxrbundle.phantom import draw_phantom
from playwright.sync_api import Browser, sync_playwright

PORT = 8097
# Of the phantom: one that is flagged, and has a heat map.
SEED = 75
URL = f"http://127.0.0.1:{PORT}"
TARGET = Path(__file__).parent / "page.png"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PAGES = {"list": "/", "film": "/films/1", "refused": "/films/2", "send": "/upload", "scan": "/scan"}
PAGES |= {"health": "/health", "about": "/about"}
SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 960}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


@contextmanager
def running_box(folder: Path) -> Iterator[None]:
    """Run a box on a phantom, a file that is none, and a stand-in camera before a phantom on the light box."""
    films, camera = folder / "films", folder / "camera"
    films.mkdir()
    camera.mkdir()
    cv2.imwrite(str(films / "phantom.png"), draw_phantom(SEED))
    on_light_box = cv2.copyMakeBorder(draw_phantom(SEED), 120, 120, 260, 260, cv2.BORDER_CONSTANT, value=245)
    cv2.imwrite(str(camera / "1.png"), on_light_box)
    options = ["--films", str(films), "--state", str(folder / "state"), "--port", str(PORT)]
    options += ["--from-camera", "--camera", f"folder:{camera}"]
    box = subprocess.Popen([sys.executable, "-m", "cxrbox", "run", *options])
    try:
        wait_for("/films/1/picture.jpg")
        (films / "letter.png").write_text("Dear colleague")
        wait_for("/films/2")
        yield
    finally:
        box.terminate()
        box.wait(20)


def wait_for(path: str, seconds: float = 60) -> None:
    """Wait until the box sends this."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(URL + path):
                return
        except OSError:
            continue
    raise TimeoutError(f"the box sent no {path} within {seconds} s")


def take(browser: Browser, path: str, target: Path, screen: str, whole: bool) -> None:
    """Photograph one page."""
    page = browser.new_context(**SCREENS[screen]).new_page()
    page.goto(URL + path)
    page.wait_for_timeout(3000)
    page.screenshot(path=target, full_page=whole)
    page.close()


def main(folder: str | None = None) -> None:
    """Start a box and photograph its pages."""
    with tempfile.TemporaryDirectory() as work, running_box(Path(work)), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        if folder is None:
            take(browser, PAGES["film"], TARGET, "desktop", whole=False)
        else:
            Path(folder).mkdir(parents=True, exist_ok=True)
            for screen in SCREENS:
                for name, path in PAGES.items():
                    take(browser, path, Path(folder) / f"{name}-{screen}.png", screen, whole=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
