"""`cxrbox read`: the daemon's reading for the command line."""

import hashlib
import json
from pathlib import Path

from cxrbundle.labels import readable
from cxrbundle.operating_point import ABOVE, UNCERTAIN

from cxrbox.decoding.film import decode_content
from cxrbox.decoding.reading import read_once
from cxrbox.errors import RefusedError
from cxrbox.names import printable_name
from cxrbox.reading import Reader, open_reader, photograph_of
from cxrbox.remarks import find_remarks
from cxrbox.settings import Settings

NOTICE = "not a diagnosis"


def read_films(films: list[Path], settings: Settings, as_json: bool) -> int:
    """Read films and print one line for each; return 0 only if all were read, else 1."""
    reader = open_reader(settings)
    refused = 0
    for film in films:
        answer = describe(reader, film)
        refused += "refused" in answer
        print(json.dumps(answer) if as_json else as_line(answer), flush=True)
    return 1 if refused else 0


def describe(reader: Reader, film: Path) -> dict:
    """Return what is printed of a film: its findings, or why it was refused."""
    answer = {"file": printable_name(film), "sha256": None} | reader.provenance()
    try:
        content = read_once(film)
        decoded = decode_content(content)
        reading = reader.read_decoded(decoded, photograph_of(decoded, "folder"))
        told = reader.describe(reading)
        return answer | told | {"sha256": hashlib.sha256(content).hexdigest(), "remarks": find_remarks(told)}
    except RefusedError as err:
        return answer | {"refused": {"code": err.code, "reason": err.reason}}


def as_line(answer: dict) -> str:
    """Return one line for people: the findings above their thresholds and the remarks, or the reason of the refusal."""
    if "refused" in answer:
        return f"{answer['file']}: refused ({answer['refused']['code']}): {answer['refused']['reason']}"
    above = [
        f"{readable(name)} {of['likelihood']:.0%} (threshold {of['threshold']:.0%})"
        for name, of in sorted(answer["findings"].items(), key=lambda item: -item[1]["likelihood"])
        if of["state"] == ABOVE
    ]
    uncertain = sum(of["state"] == UNCERTAIN for of in answer["findings"].values())
    known = ", ".join(above) or "nothing above its threshold"
    unknown = f"; {uncertain} of {len(answer['findings'])} findings cannot be told" if uncertain else ""
    return " ".join([f"{answer['file']}: {known}{unknown} [{NOTICE}]", *answer["remarks"]])
