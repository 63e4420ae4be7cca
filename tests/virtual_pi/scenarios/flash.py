"""A new bundle: a good one is switched to, a bad one rolls back, a tampered one is refused; the box always reads on."""

import io
import json
from pathlib import Path

import numpy as np
from cxrbundle.archive import pack_files
from cxrbundle.package import read_package

from virtual_pi import films
from virtual_pi.box import Box
from virtual_pi.host import run
from virtual_pi.lab import Lab, scenario
from virtual_pi.places import BIN
from virtual_pi.provision import SHIPPED, Play

# Seconds; a service takes ten times that to start under emulation.
TOO_SHORT = 6


@scenario("flash.yml switches to a good bundle, rolls back from a bad one, refuses a tampered one")
def flash(lab: Lab, facts: dict) -> None:
    """Flash four bundles that the site signed; only the last is as it should be."""
    box = lab.box
    stored = films.some(2)
    box.lay(stored)
    box.wait_for_films(stored)
    shipped = box.health()["bundle"]
    tampered = _make(lab, "9.0.4")
    contents = dict(read_package(tampered).files)
    body = bytearray(contents["body.tflite"])
    body[len(body) // 2] ^= 1
    # Packed anew, so that nothing but the signed manifest gives it away.
    tampered.write_bytes(pack_files(contents | {"body.tflite": bytes(body)}))
    facts["tampered"] = _assert_kept(lab, _flash(lab, tampered), "SHA-256", shipped, 300)
    bad = _make(lab, "9.0.3", golden_off_by=5.0)
    facts["wrong golden films"] = _assert_kept(lab, _flash(lab, bad), "goes on with", shipped, 310)
    # It passes its proof and is switched to; no reader starts in this time.
    late = _flash(lab, _make(lab, "9.0.2"), cxrbox_health_seconds=TOO_SHORT)
    facts["not healthy in time"] = _assert_kept(lab, late, "rolled back", shipped, 320)
    play = _flash(lab, _make(lab, "9.0.1"))
    play.assert_done()
    _assert_reads(box, shipped.replace(shipped.split()[-1], "9.0.1"), films.some(1, first=330))
    box.assert_sound(stored)
    facts["bundle"] = box.health()["bundle"]
    facts["seconds of the good one"] = round(play.seconds)


def _assert_kept(lab: Lab, play: Play, words: str, bundle: str, seed: int) -> str:
    """Assert that a flash ended with a sentence that has these words, and that the box reads with the old bundle."""
    assert play.status, "a bundle was flashed that should not be"
    assert words in play.sentence, f"the play was to say {words!r} and says: {play.sentence}"
    _assert_reads(lab.box, bundle, films.some(1, first=seed))
    return play.sentence


def _flash(lab: Lab, bundle: Path, **variables: object) -> Play:
    inventory = lab.workstation.inventory(lab.box.machine, **variables)
    return lab.workstation.play("flash.yml", inventory, "-e", json.dumps({"cxrbox_model": str(bundle)}))


def _assert_reads(box: Box, bundle: str, wanted: dict[str, bytes]) -> None:
    """Assert that the box reads new films, with this bundle."""
    box.wait_until_up()
    box.lay(wanted)
    shown = box.wait_for_films(wanted)
    read_with = {film["reading"]["bundle"] for film in shown.values()}
    assert read_with == {bundle}, f"read with {read_with}, not with {bundle}"


def _make(lab: Lab, version: str, golden_off_by: float = 0.0) -> Path:
    """Return the shipped bundle under another version, signed by the site, its golden logits off by so much."""
    contents = dict(read_package(SHIPPED).files)
    if golden_off_by:
        golden = dict(np.load(io.BytesIO(contents["golden.npz"])))
        golden["logits"] = golden["logits"] + np.float32(golden_off_by)
        packed = io.BytesIO()
        np.savez(packed, **golden)
        contents["golden.npz"] = packed.getvalue()
    manifest = json.loads(contents["manifest.json"])
    manifest["version"] = version
    manifest["files"]["golden.npz"] = films.sha256(contents["golden.npz"])
    contents["manifest.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    path = lab.folder / f"{manifest['name']}-{version}.cxrbundle"
    path.write_bytes(pack_files(contents))
    run(BIN / "cxrconvert", "sign", "--key", lab.workstation.signing_key.with_suffix(".pem"), path)
    return path
