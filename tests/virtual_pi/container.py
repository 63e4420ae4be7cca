"""Boxes of this machine's own kind in systemd containers: the same playbook and systemd, at the speed of the host.

A container has no kernel of its own and no udev, so no stick, camera, Coral or power cut; the virtual Pi has those.
"""

import json
import platform
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

from virtual_pi import films, host
from virtual_pi.box import Box
from virtual_pi.fleet import update_fleet
from virtual_pi.image import LITE, Image, set_up, unpack_packages
from virtual_pi.machine import OFF_SECONDS, Machine, wait_until
from virtual_pi.packets import assert_none_stray
from virtual_pi.places import WORK
from virtual_pi.provision import Workstation
from virtual_pi.report import Report, Skipped
from virtual_pi.setting_up import make_a_box

LANES = ("bookworm", "trixie")
# {what the kernel calls a machine: what Debian does}
DEBIAN_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# slirp4netns puts the container there, and forwards to it.
ADDRESS, NETWORK_CARD = "10.0.2.100", "tap0"
# A newer systemd starts on a host whose cgroups are old only if it is told to.
LEGACY = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
# The host's systemd, if it has one, need not know of the container.
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network")
# Where they are old, systemd in a container is not told that a session has ended.
STOP = {
    "system.conf.d": "[Manager]\nDefaultTimeoutStopSec=10s\n",
    "system/user@.service.d": "[Service]\nTimeoutStopSec=10s\n",
}


def play_containers(lanes: list[str], report: Report) -> None:
    """Make a box of a fresh container of each lane, let it read when it was off and on again, and update them all."""
    with report.step("the host has its tools, and allows containers"):
        host.make_ready_for_containers()
    if not report.all_well:
        return
    workstation = Workstation(lanes, platform.machine(), {"cxrbox_allow_x86": True})
    with report.step("the offline folder is built, with the site's own key"):
        workstation.prepare()
    with ExitStack() as stack:
        boxes = {lane: _provisioned(lane, workstation, report, stack) for lane in lanes if report.all_well}
        if report.all_well:
            update_fleet(boxes, workstation, report)


def _provisioned(lane: str, workstation: Workstation, report: Report, stack: ExitStack) -> "Container | None":
    """Return a container of a lane that reads, None where a step failed; it is stopped when the stack is left."""
    with report.step(f"a system of {lane} is built from Debian's packages, or is still there"):
        image = build_root(lane)
    with report.step(f"this machine lets {lane} run in a container"):
        _try(image)
    if not report.all_well:
        return None
    container = Container(image, WORK / f"contained-{lane}")
    stack.callback(container.stop)
    # Ansible's own way of running tasks is quick enough here, and it is an admin's.
    make_a_box(container, workstation, report, stock=True)
    if report.all_well:
        _read(container, report)
    return container


def _read(container: "Container", report: Report) -> None:
    """Let the box read what is laid into its folder."""
    with report.step("switched on again, it reads the films in its folder") as facts:
        box, wanted = Box(container), films.some(3) | films.real()
        container.boot()
        box.wait_until_up()
        box.lay(wanted)
        box.wait_for_films(wanted)
        box.assert_sound(wanted)
        facts["films"] = len(wanted)
        facts["packets"] = {what: count for what, count in assert_none_stray(container).items() if count}


def _try(image: Image) -> None:
    """Run a program in the system, or skip what follows."""
    try:
        host.run(*NSPAWN, f"--directory={image.root}", "true")
    except host.HostError as err:
        raise Skipped(f"this machine allows no systemd container: {err}") from err


def build_root(lane: str) -> Image:
    """Return a fresh system of a lane, "bookworm" or "trixie"; without kernel, disk, and what the playbook brings."""
    image = Image(WORK / f"container-{lane}")
    if not (image.folder / "done").exists():
        shutil.rmtree(image.folder, ignore_errors=True)
        image.folder.mkdir(parents=True)
        host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", image.key)
        unpack_packages(image.root, LITE, lane, DEBIAN_MACHINES[platform.machine()])
        set_up(image)
        (image.root / "etc/fstab").write_text("")
        for name, text in STOP.items():
            path = image.root / "etc/systemd" / name / "stop.conf"
            path.parent.mkdir()
            path.write_text(text)
        # slirp4netns gives the container its address.
        host.run("chroot", image.root, "systemctl", "disable", "systemd-networkd")
        (image.folder / "done").touch()
    return image


class Container(Machine):
    """A box in a container, on a copy of a fresh system.

    Parameters
    ----------
    image : Image
        From `build_root`.
    folder : Path
        Of this container alone.
    """

    def __init__(self, image: Image, folder: Path):
        super().__init__(image, folder, {})
        self.root_folder = folder / "root"
        shutil.rmtree(self.root_folder, ignore_errors=True)
        host.run("cp", "-a", image.root, self.root_folder)
        self._network: subprocess.Popen | None = None

    @property
    def process_log(self) -> Path:
        """The console of the container."""
        return self.folder / "systemd-nspawn.log"

    def boot(self) -> None:
        """Switch on and wait until ssh answers."""
        self.switch_on()
        self.wait_for_ssh()

    def switch_on(self) -> None:
        """Start the container and connect it: it reaches what the host does, and the host its ssh and its page."""
        command = [*NSPAWN, "--boot", f"--directory={self.root_folder}", f"--machine={self.image.folder.name}"]
        command += [f"--setenv={LEGACY}"]
        with self.process_log.open("w") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        pid = wait_until(self._first_process, 60, "systemd starts in the container", self._assert_on)
        control = self.folder / "slirp.sock"
        control.unlink(missing_ok=True)
        words = ["slirp4netns", "--configure", f"--api-socket={control}", str(pid), NETWORK_CARD]
        with (self.folder / "slirp.log").open("w") as said:
            self._network = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_until(control.exists, 60, "the container has a network", self._assert_on)
        for here, there in ((self.ssh_port, 22), (self.https_port, 443), (self.http_port, 80)):
            _forward(control, here, there)

    def _first_process(self) -> int | None:
        """Return the number of the container's systemd, None before it runs with a network of its own."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        own = Path("/proc/self/ns/net").readlink()
        return next((int(pid) for pid in children if Path(f"/proc/{pid}/ns/net").readlink() != own), None)

    def _gone(self) -> None:
        self._hang_up()
        self._process.wait(OFF_SECONDS)
        self._process = None
        if self._network:
            self._network.kill()
            self._network.wait()


def _forward(control: Path, here: int, there: int) -> None:
    """Let a port of the host lead to one of the container."""
    address = {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": here, "guest_addr": ADDRESS, "guest_port": there}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(str(control))
        asking.sendall(json.dumps({"execute": "add_hostfwd", "arguments": address}).encode())
        asking.shutdown(socket.SHUT_WR)
        answer = json.loads(asking.recv(4096))
    assert "error" not in answer, f"port {there} of the container cannot be reached: {answer['error']}"
