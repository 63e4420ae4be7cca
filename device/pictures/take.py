"""`make pictures`: photograph the page for the README, with a drawn phantom in place of a patient's film."""

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import cv2
from cxrbundle.phantom import draw_phantom
from playwright.sync_api import sync_playwright

PORT = 8097
TARGET = Path(__file__).parent / "page.png"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def wait_for_reading(seconds: float = 60) -> None:
    """Wait until the box has read its film."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/films/1/picture.jpg"):
                return
        except OSError:
            continue
    raise TimeoutError(f"the box read no film within {seconds} s")


def main() -> None:
    """Start a box on one phantom and photograph the film's page."""
    with tempfile.TemporaryDirectory() as folder:
        films = Path(folder) / "films"
        films.mkdir()
        cv2.imwrite(str(films / "phantom.png"), draw_phantom(10))
        options = ["--films", str(films), "--state", f"{folder}/state", "--port", str(PORT)]
        box = subprocess.Popen([sys.executable, "-m", "cxrbox", "run", *options])
        try:
            wait_for_reading()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
                page = browser.new_page(viewport={"width": 1280, "height": 960})
                page.goto(f"http://127.0.0.1:{PORT}/films/1", wait_until="networkidle")
                page.screenshot(path=TARGET)
                browser.close()
        finally:
            box.terminate()
            box.wait(20)


if __name__ == "__main__":
    main()
