"""The camera and the Coral, as the kernel shows them."""

from functools import partial

from virtual_pi import coral, films
from virtual_pi.box import Box
from virtual_pi.lab import Lab, scenario
from virtual_pi.machine import wait_until

JPEG = b"\xff\xd8"
PLUG_CAMERA = "modprobe vivid n_devs=1 node_types=0x1"
CAMERA_SECONDS = 300


@scenario("a camera is plugged in: the page shows its picture; it goes and returns, and the box reads on")
def camera(lab: Lab, facts: dict) -> None:
    """Use the kernel's own test camera (vivid)."""
    box, machine = lab.box, lab.box.machine
    assert not box.health()["camera"]["working"], "there is a camera before one was plugged in"
    machine.root(PLUG_CAMERA)
    wait_until(partial(_shows_picture, box), CAMERA_SECONDS, "the page shows the camera's picture")
    facts["picture"] = f"{len(box.get('/scan/picture.jpg'))} bytes"
    assert box.json("/api/scan/coaching"), "the coach says nothing"
    # The driver's own switch pulls the plug while the camera is in use.
    machine.root("v4l2-ctl -d /dev/video0 -c disconnect=1")
    facts["the page says"] = wait_until(partial(_camera_fault, box), CAMERA_SECONDS, "the page says that it is gone")
    assert box.get("/scan/picture.jpg") == b"", "the page still shows a picture"
    wanted = films.some(1)
    box.lay(wanted)
    box.wait_for_films(wanted)
    box.assert_sound(wanted)
    wait_until(lambda: machine.holds("rmmod vivid"), CAMERA_SECONDS, "the box has let the camera go")
    machine.root(PLUG_CAMERA)
    wait_until(partial(_shows_picture, box), CAMERA_SECONDS, "the page shows the camera's picture again")


def _camera_fault(box: Box) -> str:
    box.get("/scan/picture.jpg")  # the camera works only while somebody looks
    return box.health()["camera"]["reason"]


def _shows_picture(box: Box) -> bool:
    return box.get("/scan/picture.jpg").startswith(JPEG)


@scenario("a Coral appears under both its ids, open to the box alone and never asleep; it goes, and the box reads on")
def coral_ids(lab: Lab, facts: dict) -> None:
    """Plug the gadget in as the bootloader, then as the ready device, and take it away."""
    box, machine = lab.box, lab.box.machine
    for ids in (coral.BOOTLOADER, coral.READY):
        coral.plug(machine, ids)
        folder = wait_until(lambda: coral.find(machine, ids), 60, f"the kernel sees {':'.join(ids)}")  # noqa: B023
        rights = machine.root(f". {folder}/uevent; stat -c '%U:%G %a' /dev/$DEVNAME").strip()
        assert machine.holds(f'. {folder}/uevent; test /dev/$DEVNAME = "$(readlink -f /dev/coral)"'), "no /dev/coral"
        assert rights == "root:plugdev 660", f"{':'.join(ids)} is {rights}"
        power = machine.root(f"cat {folder}/power/control").strip()
        assert power == "on", f"{':'.join(ids)} may fall asleep: power/control is {power}"
        coral.unplug(machine)
    wanted = films.some(2)
    box.lay(wanted)
    shown = box.wait_for_films(wanted)
    backends = {film["reading"]["backend"] for film in shown.values()}
    assert all(backend.startswith("cpu") for backend in backends), f"read on {backends}"
    facts["read on"] = ", ".join(backends)
