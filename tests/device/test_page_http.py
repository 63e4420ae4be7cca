"""What the page sends over HTTP: headers, errors, exports, and how much of it."""

import codecs
import csv
import html
import io
import json
import socket
import time
import urllib.error
import urllib.request

import pytest
from cxrbox.errors import RefusedError
from cxrbox.store import Store
from cxrbox.web.own_name import is_own
from page_browser import LonePage, open_page
from page_films import lay_photograph, lay_refusal, lay_result, take
from running_box import free_port

# Bytes that a page may weigh before the film's own images.
MOST_BYTES = 100_000
LONG = "the film is refused for a reason that takes quite a few words; do something about it that takes as many words"


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """Return a page alone, with more films than one page of the list shows."""
    box = LonePage(tmp_path_factory.mktemp("http"), free_port())
    box.films.mkdir()
    store = Store(box.state)
    for number in range(55):
        film = take(store, "camera", f"a ward with a long name/scan 2026-11-23 14:05:{number:02}.png")
        if number % 5:
            lay_result(store, film)
        else:
            lay_refusal(store, film, "glare", LONG)
        store.set_identity(film, f"=NKT-2026-{number:05}", "typed")
    lay_photograph(store, film, 800, 600)
    store.close()
    box.start()
    yield box
    box.stop()


@pytest.mark.parametrize("path", ["/", "/films/1", "/films/55", "/upload", "/scan", "/health", "/about"])
def test_a_page_weighs_little_before_the_films_own_images(lone, path):
    weights = {}
    with open_page(lone) as page:
        page.on("response", lambda answer: weights.update({answer.url.removeprefix(lone.url): len(answer.body())}))
        page.goto(lone.url + path, wait_until="load")
        page.wait_for_timeout(300)
    own = {url: weight for url, weight in weights.items() if not url.endswith((".jpg", ".png"))}
    assert path in own and "/static/style.css" in own
    assert sum(own.values()) <= MOST_BYTES, own


def test_older_films_stand_on_a_page_of_their_own(lone):
    assert lone.get("/").count(b"<tr id=") == 50
    assert lone.get("/?before=6").count(b"<tr id=") == 5


def test_an_unchanged_list_costs_an_empty_answer(lone):
    for path in ("/rows", "/notices"):
        with urllib.request.urlopen(lone.url + path) as answer:
            etag = answer.headers["ETag"]
        again = urllib.request.Request(lone.url + path, headers={"If-None-Match": etag})
        with pytest.raises(urllib.error.HTTPError) as unchanged:
            urllib.request.urlopen(again)
        assert unchanged.value.code == 304 and unchanged.value.read() == b""


@pytest.mark.parametrize(
    "path", ["/films/99", "/films/2/heat/Cough.png", "/films/1/picture.jpg", "/films/2/photo.jpg", "/nowhere"]
)
def test_what_is_not_there_is_a_page_of_its_own(lone, path):
    with pytest.raises(urllib.error.HTTPError) as missing:
        lone.get(path)
    assert missing.value.code == 404 and b"Not a diagnosis" in missing.value.read()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/films/99", 404),
        ("/api/films/99999999999999999999", 404),
        ("/api/nowhere", 404),
        ("/api/scan", 409),
        ("/api/scan/coaching", 409),
    ],
)
def test_errors_of_the_api_have_one_shape(lone, path, code):
    with pytest.raises(urllib.error.HTTPError) as failed:
        lone.get(path)
    error = json.loads(failed.value.read())
    assert set(error) == {"error"} and set(error["error"]) == {"code", "message"}
    assert error["error"]["code"] == failed.value.code == code and error["error"]["message"].endswith(".")


def test_every_answer_forbids_requests_that_leave_the_box(lone):
    with urllib.request.urlopen(lone.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'") and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/api/films", "/static/style.css"])
def test_a_page_asked_for_under_anothers_name_shows_nothing(lone, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(lone.url + path, headers={"Host": "evil.example"}))
    assert refused.value.code == 403 and b"not known under this name" in refused.value.read()


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("192.168.1.7", True),
        ("192.168.1.7:8080", True),
        ("[fe80::1]:8080", True),
        ("localhost:8080", True),
        ("ward-1", True),
        ("ward-1.local", True),
        ("WARD-1.Local.:443", True),
        (socket.gethostname(), True),
        ("xray.hospital.example", True),
        ("hospital.example", False),
        ("evil.example", False),
        ("local.evil.example", False),
        ("192.168.1.7.evil.example", False),
        ("[fe80", False),
        ("", False),
    ],
)
def test_the_page_knows_its_own_names(host, own):
    assert is_own(host, "xray.hospital.example") is own
    assert is_own(host, "Xray.Hospital.Example.") is own


def test_the_card_is_on_the_page(lone, bundle_folder):
    title = (bundle_folder / "card.md").read_text().splitlines()[0].removeprefix("# ")
    about = html.unescape(lone.get("/about").decode())
    assert f"<h1>{title}</h1>" in about and "<table>" in about


def test_all_films_are_exported_as_csv_without_formulas(lone):
    text = lone.get("/export.csv")
    assert text.startswith(codecs.BOM_UTF8), "a spreadsheet would spoil names with accents"
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    assert len(rows) == 55 and rows[0]["state"] == "refused" and rows[1]["Hernia_state"] == "above"
    assert rows[0]["identity"] == "'=NKT-2026-00000"


def test_all_films_are_exported_as_one_json_array(lone):
    films = lone.json("/export.json")
    assert [film["id"] for film in films] == list(range(1, 56)) and films[1]["Hernia_likelihood"] == 0.4
    assert lone.json("/export.json?since=2099-01-01") == []


def test_a_date_that_is_none_is_told(lone):
    with pytest.raises(urllib.error.HTTPError) as failed:
        lone.get("/export.csv?since=yesterday")
    assert failed.value.code == 400 and b"is no date" in failed.value.read()


def test_clients_that_do_not_read_their_export_stop_no_page(tmp_path):
    box = LonePage(tmp_path, free_port())
    box.films.mkdir()
    box.start()
    store = Store(box.state)
    with store.together():
        for number in range(20_000):
            store.add_refused(f"{'long' * 30}-{number}.txt", "1", 1, RefusedError("unknown_format", LONG))
    store.close()
    deaf = []
    for _ in range(8):
        client = socket.create_connection(("127.0.0.1", box.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /export.csv HTTP/1.1\r\nHost: box\r\n\r\n")
        deaf.append(client)
    time.sleep(1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        box.get("/export.csv")
    assert refused.value.code == 503 and b"try again in a moment" in refused.value.read()
    assert b"CXR Box" in box.get("/")
    for client in deaf:
        client.close()
    deadline = time.monotonic() + 30
    while True:
        try:
            assert box.get("/export.csv").count(b"\n") == 20_001
            break
        except urllib.error.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    box.stop()


def test_what_may_be_asked_of_an_address_is_said(lone):
    with pytest.raises(urllib.error.HTTPError) as refused:
        lone.get("/films/1/identity")
    assert refused.value.code == 405 and {*refused.value.headers["Allow"].split(", ")} == {"OPTIONS", "POST"}
    assert b"go back to the one you came from" in refused.value.read()
