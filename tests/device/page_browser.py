"""Headless Chromium on a page of a box, and a page alone on a state folder that a test has laid."""

import html
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright
from running_box import RunningBox

CHROMIUM = shutil.which("chromium")
# Without these, Chromium looks for its maker's servers at every start.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
# What Chromium writes to its console when it is told to be offline, or is answered with an error on purpose.
EXPECTED = ("ERR_INTERNET_DISCONNECTED", "status of 507")


class LonePage(RunningBox):
    """A real `cxrbox web` on a state folder; nothing else of the box runs."""

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "cxrbox", "web", "--films", str(self.films), "--state", str(self.state)]
        with (self.folder / "box.log").open("a") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), *options], stderr=log, stdout=log)
        self.wait_until(lambda: self.get("/notices") is not None)


@contextmanager
def open_page(box: RunningBox, **context) -> Iterator[Page]:
    """Open a page that may speak to the box only, and fail on any error in it."""
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_context(**(context or DESKTOP)).new_page()
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
    assert not [error for error in errors if not any(word in error for word in EXPECTED)]
    assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{box.port}"}


def wait_in_page(page: Page, truth: str, arg: object = None, seconds: float = 20.0) -> None:
    """Wait until a function of JavaScript returns true in a page.

    Playwright's own `wait_for_function` makes the function anew from its text, which the page's content policy forbids.
    """
    until = time.monotonic() + seconds
    while not page.evaluate(truth, arg):
        assert time.monotonic() < until, f"{truth} is not true in the page"
        page.wait_for_timeout(50)


def post(box: RunningBox, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, str]:
    """Send a POST as a page of the box would; return status, address after any redirect, and text."""
    headers = {"Origin": box.url} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(box.url + path, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.url, html.unescape(answer.read().decode())
    except urllib.error.HTTPError as err:
        return err.code, box.url + path, html.unescape(err.read().decode())


def post_files(box: RunningBox, path: str, files: dict[str, bytes], **headers: str) -> tuple[int, str, str]:
    """Send files as a form does."""
    mark = "next-film"
    header = f'--{mark}\r\nContent-Disposition: form-data; name="film"; filename="%s"\r\n\r\n'
    parts = [(header % name).encode() + content + b"\r\n" for name, content in files.items()]
    body = b"".join(parts) + f"--{mark}--\r\n".encode()
    return post(box, path, body, Content_Type=f"multipart/form-data; boundary={mark}", **headers)
