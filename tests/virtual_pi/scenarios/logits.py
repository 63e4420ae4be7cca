"""The same films, the same logits, on ARM64 as on this host."""

import json
import subprocess
import sys

from cxrbox.reading import GOLDEN_TOLERANCE

from virtual_pi import films
from virtual_pi.box import VENV, Box
from virtual_pi.lab import Lab, scenario
from virtual_pi.places import HERE, SHARED_FILMS

PLACE = "/tmp/films"
PICTURES = ("*.dcm", "*.png", "*.jp*g")
# Of each folder of real films beside the checkout; one takes seconds under emulation.
OF_EACH = 2
GUEST_SECONDS = 1800


@scenario(f"`cxrbox read` and the golden films give the same logits on ARM64 as here, to {GOLDEN_TOLERANCE}")
def same_logits(lab: Lab, facts: dict) -> None:
    """Read the same films on both and compare; both are also held against the bundle's golden films."""
    box, wanted = lab.box, films.some(4) | films.real() | _shared()
    here = lab.folder / "films"
    here.mkdir()
    box.machine.root(f"install -d -m 0755 {PLACE}")
    for name, content in wanted.items():
        (here / name).write_bytes(content)
        box.machine.put(content, f"{PLACE}/{name}")
    script = HERE / "guest_logits.py"
    bundle = lab.folder / "bundle.cxrbundle"
    bundle.write_bytes(_bundle_of(box))
    answer = subprocess.run([sys.executable, script, here, bundle], capture_output=True, text=True, check=True)
    words = f"cd / && {VENV}/python - {PLACE} /opt/cxrbox/bundle.cxrbundle"
    said = box.machine.root(words, GUEST_SECONDS, script.read_bytes())
    mine, theirs = json.loads(answer.stdout)["films"], json.loads(said)["films"]
    assert mine.keys() == theirs.keys() == wanted.keys()
    largest = max(_difference(mine[name], theirs[name]) for name in mine)
    assert largest <= GOLDEN_TOLERANCE, f"the logits differ by {largest:.2f}"
    lines = box.command(f"read --json {PLACE}/*").splitlines()
    read = [json.loads(line) for line in lines]
    assert {one["sha256"] for one in read} == films.hashes(wanted), "`cxrbox read` left films out"
    golden = json.loads(box.command("selftest --json"))
    assert golden["passed"], "the golden films failed"
    facts["films"] = len(mine)
    facts["largest difference"] = round(largest, 4)
    facts["largest difference to the golden logits"] = max(film["difference"] for film in golden["films"])
    facts["machine"] = golden["machine"]


def _bundle_of(box: Box) -> bytes:
    return box.machine.get("/opt/cxrbox/bundle.cxrbundle")


def _difference(one: list[float] | str, other: list[float] | str) -> float:
    """Return the largest difference of a logit; what is refused must be refused for the same reason."""
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, f"here {one}, there {other}"
        return 0.0
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _shared() -> dict[str, bytes]:
    """Return some of the real films beside the checkout, none where there are none."""
    folders = sorted(SHARED_FILMS.glob("*/")) + sorted(SHARED_FILMS.glob("images/*/"))
    found = [path for folder in folders for kind in PICTURES for path in sorted(folder.glob(kind))[:OF_EACH]]
    return {f"{path.parent.name}-{path.name}": path.read_bytes() for path in found}
