"""One virtual Pi: a qemu process, its disks, its monitor and a way in by ssh."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from virtual_pi.host import HostError, run
from virtual_pi.image import Image
from virtual_pi.qmp import Qmp

# Emulated, on a shared host: what takes a Pi a second takes up to twenty here.
BOOT_SECONDS = 900
SSH_SECONDS = 600
OFF_SECONDS = 180


class GuestError(RuntimeError):
    """A command in the guest failed."""


class Machine:
    """A virtual Pi.

    Parameters
    ----------
    image : Image
        Kernel, initramfs and ssh key.
    folder : Path
        Of this machine alone: its disks, its sockets, its serial log.
    disks : dict of str to Path
        {"root" and "data": a disk to begin with}; it is not written to.
    """

    def __init__(self, image: Image, folder: Path, disks: dict[str, Path]):
        self.image, self.folder = image, folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, backing in disks.items():
            _overlay(self.disk(name), backing)
        self.ssh_port, self.https_port, self.http_port = free_port(), free_port(), free_port()
        self.qmp: Qmp | None = None
        self._process: subprocess.Popen | None = None

    @property
    def process_log(self) -> Path:
        """What the process that runs the machine says."""
        return self.folder / "qemu.log"

    def disk(self, name: str) -> Path:
        """Return the file of a disk, "root" or "data"."""
        return self.folder / f"{name}.qcow2"

    @property
    def on(self) -> bool:
        """Whether it was switched on."""
        return self._process is not None

    # --- power

    def boot(self, *options: str, clock: str = "utc", data: str = "", offline: bool = False) -> None:
        """Switch on and wait until ssh answers.

        Parameters
        ----------
        options : str
            More options for qemu.
        clock : str
            What the clock says: "utc", or a time such as "1970-01-01T00:00:00".
        data : str
            A -drive of its own for the data partition, without its id.
        offline : bool
            Let nothing out; ssh and the page still come in.
        """
        self.switch_on(*options, clock=clock, data=data, offline=offline)
        self.wait_for_ssh()

    def switch_on(self, *options: str, clock: str = "utc", data: str = "", offline: bool = False) -> None:
        """Start the qemu process; the guest boots meanwhile."""
        monitor = self.folder / "qmp.sock"
        monitor.unlink(missing_ok=True)
        disks = [f"file={self.disk('root')},format=qcow2", data or f"file={self.disk('data')},format=qcow2"]
        forwards = ((self.ssh_port, 22), (self.https_port, 443), (self.http_port, 80))
        network = ",".join(
            [
                "user,id=net" + ",restrict=on" * offline,
                *(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forwards),
            ]
        )
        command = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-smp", "2", "-m", "1536"]
        command += ["-accel", "tcg,thread=multi", "-display", "none", "-kernel", str(self.image.kernel)]
        command += ["-initrd", str(self.image.initrd), "-append", "root=/dev/vda rw console=ttyAMA0"]
        for number, disk in enumerate(disks):
            command += ["-drive", f"if=none,id=disk{number},{disk}", "-device", f"virtio-blk-pci,drive=disk{number}"]
        command += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,id=lan,romfile="]
        command += ["-device", "virtio-rng-pci", "-device", "qemu-xhci,id=usb", "-rtc", f"base={clock}"]
        command += [
            "-serial",
            f"file:{self.folder / 'serial.log'}",
            "-qmp",
            f"unix:{monitor},server=on,wait=off",
            *options,
        ]
        with self.process_log.open("w") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_until(monitor.exists, 60, "qemu opens its monitor", self._assert_on)
        self.qmp = Qmp(monitor)

    def wait_for_ssh(self) -> None:
        """Wait until the guest lets the user pi in."""
        wait_until(lambda: self._ssh("true", 60).returncode == 0, BOOT_SECONDS, "ssh answers", self._assert_on)

    @property
    def runs(self) -> bool:
        """Whether there is power: it was switched on, and nobody pulled the plug since."""
        return self.on and self._process.poll() is None

    def pull_plug(self) -> None:
        """Cut the power; `cut_power` or `stop` follows."""
        self._process.send_signal(signal.SIGKILL)

    def cut_power(self) -> None:
        """Cut the power and clear up."""
        self.pull_plug()
        self._gone()

    def power_off(self) -> None:
        """Shut the guest down in order."""
        self._ssh("sudo systemctl poweroff", 60)
        self._gone()

    def press_power_button(self) -> None:
        """Press the button, as a person does, and wait until it is off."""
        self.qmp("system_powerdown")
        self._gone()

    def stop(self) -> None:
        """End the machine if it still runs; what it holds is thrown away anyway."""
        if self._process:
            self.cut_power()

    def _gone(self) -> None:
        self._hang_up()
        self._process.wait(OFF_SECONDS)
        self._process = None
        self.qmp.close()

    def _assert_on(self) -> None:
        if self._process.poll() is not None:
            raise HostError(f"{self.process_log.stem} ended: {self.process_log.read_text()[-500:]}")

    # --- snapshots

    def save(self, name: str) -> None:
        """Keep memory and disks as they are now."""
        self.qmp.monitor(f"savevm {name}")

    # --- inside

    def sh(self, command: str, seconds: float = SSH_SECONDS, stdin: bytes | None = None) -> str:
        """Run a shell command as pi and return what it prints.

        Raises
        ------
        GuestError
            If it fails.
        """
        done = self._ssh(command, seconds, stdin)
        if done.returncode:
            said = (done.stderr + done.stdout).decode(errors="replace")
            raise GuestError(f"{command[:200]!r} ended with status {done.returncode}: {said[-1500:]}")
        return done.stdout.decode()

    def root(self, command: str, seconds: float = SSH_SECONDS, stdin: bytes | None = None) -> str:
        """Run a shell command as root and return what it prints."""
        return self.sh(f"sudo sh -c {shlex.quote(command)}", seconds, stdin)

    def holds(self, command: str) -> bool:
        """Return whether a shell command, run as root, ends well."""
        return self._ssh(f"sudo sh -c {shlex.quote(command)}", SSH_SECONDS).returncode == 0

    def put(self, content: bytes, path: str, owner: str = "root:root", mode: str = "0644") -> None:
        """Write a file of the guest, whole at once, as a program that knows the rules would."""
        part = f"{Path(path).parent}/.{Path(path).name}.part"
        words = f"cat > {part} && chown {owner} {part} && chmod {mode} {part} && mv {part} {path}"
        self.root(words, stdin=content)

    def get(self, path: str) -> bytes:
        """Return what a file of the guest holds."""
        done = self._ssh(f"sudo cat {path}", SSH_SECONDS)
        if done.returncode:
            raise GuestError(f"{path} cannot be read: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def ssh_options(self) -> list[str]:
        """Return the options of ssh: the key, a connection that is kept, and no memory of hosts that were."""
        options = {
            "IdentityFile": self.image.key,
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "BatchMode": "yes",
            "ConnectTimeout": 30,
            "ServerAliveInterval": 15,
            "ControlMaster": "auto",
            "ControlPersist": 120,
            "ControlPath": self._control,
        }
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    @property
    def _control(self) -> str:
        # A socket's path may have 107 characters, and ssh adds some.
        return f"/tmp/vpi-{os.getpid()}-{self.ssh_port}"

    def _ssh(self, command: str, seconds: float, stdin: bytes | None = None) -> subprocess.CompletedProcess:
        words = ["ssh", *self.ssh_options(), "-p", str(self.ssh_port), "pi@127.0.0.1", command]
        try:
            return subprocess.run(words, input=stdin or b"", capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            self._hang_up()
            return subprocess.CompletedProcess(words, 255, b"", f"no answer within {seconds:g} s".encode())

    def _hang_up(self) -> None:
        subprocess.run(
            ["ssh", "-o", f"ControlPath={self._control}", "-O", "exit", "pi@127.0.0.1"],
            capture_output=True,
            check=False,
        )
        Path(self._control).unlink(missing_ok=True)


def _overlay(disk: Path, backing: Path) -> None:
    """Make a disk that begins as another one and leaves that one as it is."""
    disk.unlink(missing_ok=True)
    kind = "qcow2" if backing.suffix == ".qcow2" else "raw"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", backing, disk)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(
    holds: Callable[[], object], seconds: float, what: str, check: Callable[[], None] = lambda: None, pause: float = 0.5
) -> object:
    """Wait until a function returns something true, and return that.

    Parameters
    ----------
    holds, seconds, what, pause
        The function, how long to wait at most, what is waited for in words, and the time between two tries.
    check : callable
        Raises where waiting is of no use any more.

    Raises
    ------
    AssertionError
        If it does not become true.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if found := holds():
                return found
        check()
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        time.sleep(pause)
