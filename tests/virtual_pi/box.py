"""The box in the machine, seen as people see it: through its page, its commands and its services."""

import http.client
import json
import ssl
import uuid
from typing import Any

from virtual_pi.films import hashes
from virtual_pi.machine import Machine, wait_until
from virtual_pi.packets import assert_none_stray
from virtual_pi.places import HERE

NAME = "cxrbox.local"
STATE = "/var/lib/cxrbox/state"
FILMS = "/var/lib/cxrbox/films"
VENV = "/opt/cxrbox/current/venv/bin"
SERVICES = ("cxrbox-intake", "cxrbox-reader", "cxrbox-web")
PAGE_SECONDS = 120
# A film takes some seconds under emulation, more where the host has other work.
FILM_SECONDS = 90
START_SECONDS = 600
FINISHED = ("read", "refused")


class PageError(OSError):
    """The page did not answer, or that it cannot."""


class Box:
    """A provisioned box.

    Parameters
    ----------
    machine : Machine
    """

    def __init__(self, machine: Machine):
        self.machine = machine

    # --- its page

    def get(self, path: str) -> bytes:
        """Return what the page sends over TLS."""
        return self._request("GET", path)

    def json(self, path: str) -> Any:
        """Return what the page sends, decoded."""
        return json.loads(self.get(path))

    def health(self) -> dict:
        """Return how the box says it is."""
        return self.json("/api/health")

    def notices(self) -> set[str]:
        """Return the codes of the sentences in the banner."""
        return {notice["code"] for notice in self.health()["notices"]}

    def films(self) -> dict[str, dict]:
        """Return the newest films by their SHA-256."""
        return {film["sha256"]: film for film in self.json("/api/films")["films"]}

    def upload(self, content: bytes) -> dict:
        """Send a film to the page and return its answer: from then on the box has it."""
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="film"; filename="film"\r\n\r\n'
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Origin": f"https://{NAME}"}
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return json.loads(self._request("POST", "/api/films", body, headers))

    def _request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        # The box signs its own certificate; that TLS is on is what matters here.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = self.machine.https_port
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PAGE_SECONDS, context=context)
        try:
            connection.request(method, path, body, {"Host": NAME} | (headers or {}))
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as err:
            raise PageError(f"{path}: {err!r}") from err
        finally:
            connection.close()
        assert not 400 <= answer.status < 500, f"the box does not understand {path}: {content[:300]!r}"
        if answer.status >= 500:
            raise PageError(f"{path} answers {answer.status}: {content[:300]!r}")
        return content

    # --- waiting

    def wait_until_up(self, seconds: float = START_SECONDS) -> None:
        """Wait until the page answers and the reader does."""
        wait_until(lambda: self.health()["reader"]["answers"], seconds, "page and reader answer", pause=2)

    def wait_for_films(self, films: dict[str, bytes], state: str = "read", seconds: float = 0) -> dict[str, dict]:
        """Wait until all of these films are in a state on the page, and return them by their SHA-256."""
        wanted = hashes(films)

        def there() -> dict[str, dict]:
            shown = {sha256: film for sha256, film in self.films().items() if sha256 in wanted}
            return shown if len(shown) == len(wanted) and all(one["state"] == state for one in shown.values()) else {}

        return wait_until(
            there, seconds or 120 + FILM_SECONDS * len(films), f"{len(wanted)} films are {state}", pause=2
        )

    def wait_for_notice(self, code: str, there: bool = True, seconds: float = 180) -> None:
        """Wait until a sentence stands in the banner, or no longer stands there."""
        words = "stands in the banner" if there else "is gone from the banner"
        wait_until(lambda: (code in self.notices()) == there, seconds, f"{code} {words}", pause=2)

    # --- its inside

    def lay(self, films: dict[str, bytes]) -> None:
        """Lay films into the watched folder."""
        for name, content in films.items():
            self.machine.put(content, f"{FILMS}/{name}", "cxrbox:cxrbox", "0640")

    def command(self, words: str) -> str:
        """Run a command of the box as its own user."""
        return self.machine.root(f"cd / && runuser -u cxrbox -- {VENV}/cxrbox {words}")

    def examine(self) -> dict:
        """Return what became of all films, past the box's own code; see guest_examine.py."""
        script = (HERE / "guest_examine.py").read_bytes()
        return json.loads(self.machine.root(f"python3 - {STATE}", stdin=script))

    def assert_sound(self, *films: dict[str, bytes]) -> dict:
        """Assert that no film is lost, doubled or damaged, and that the ledger holds; return what was found."""
        found = self.examine()
        assert found["integrity"] == "ok", f"SQLite says: {found['integrity']}"
        assert not found["read_twice"], f"{found['read_twice']} films have two results"
        assert not found["originals_damaged"], f"{len(found['originals_damaged'])} originals are missing or damaged"
        lost = set().union(*map(hashes, films)) - found["films"].keys()
        assert not lost, f"{len(lost)} films are lost"
        self.command("verify-log --json")
        assert_none_stray(self.machine)
        return found
