"""What the host must have: the tools, and qemu as the interpreter of ARM64 programs."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

from virtual_pi.report import Skipped

log = logging.getLogger(__name__)
# {a program: the Debian package that brings it}
TOOLS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "qemu-aarch64-static": "qemu-user-static",
    "mmdebstrap": "mmdebstrap",
    "arch-test": "arch-test",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mkfs.exfat": "exfatprogs",
    "mke2fs": "e2fsprogs",
    "ssh": "openssh-client",
    "depmod": "kmod",
    "cpio": "cpio",
    "sfdisk": "fdisk",
    "age": "age",
}
CONTAINER_TOOLS = {
    "systemd-nspawn": "systemd-container",
    "slirp4netns": "slirp4netns",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "age": "age",
}
TUN = Path("/dev/net/tun")
BINFMT = Path("/proc/sys/fs/binfmt_misc")


class HostError(RuntimeError):
    """The host lacks something that the virtual Pi cannot do without."""


def run(*words: object, **options) -> str:
    """Run a program and return what it prints.

    Raises
    ------
    HostError
        If it fails; the message has what it said.
    """
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise HostError(f"{command[0]} ended with status {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def make_ready() -> None:
    """Install what is missing for the virtual Pi and let the host run ARM64 programs.

    Raises
    ------
    Skipped
        If this is not root: the guest's files need their owners, the time server its port; or if the kernel may not be
        told to run ARM64 programs.
    """
    _install(TOOLS)
    _register_arm64()


def make_ready_for_containers() -> None:
    """Install what is missing for containers.

    Raises
    ------
    Skipped
        If this is not root, or if the host has no network card for them.
    """
    _install(CONTAINER_TOOLS)
    if not TUN.exists():
        raise Skipped(f"this machine has no {TUN}, by which a container reaches the network")


def _install(tools: dict[str, str]) -> None:
    """Install the packages of the tools that are not there."""
    if os.geteuid():
        raise Skipped("the virtual Pi is built and run as root; start it so, in a container say")
    # Debian keeps mkfs and sfdisk where only root looks.
    os.environ["PATH"] += os.pathsep + "/usr/sbin:/sbin"
    missing = sorted({package for tool, package in tools.items() if not shutil.which(tool)})
    if missing:
        log.info("installing %s", " ".join(missing))
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-q", env=environment)
        run("apt-get", "install", "-yq", "--no-install-recommends", *missing, env=environment)


def _register_arm64() -> None:
    """Make the kernel run ARM64 programs through qemu; Debian's package does so only where systemd runs."""
    if subprocess.run(["arch-test", "arm64"], capture_output=True, check=False).returncode == 0:
        return
    try:
        if not (BINFMT / "register").exists():
            run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
        # The flag F in Debian's line opens the interpreter now, so that it is found in any root.
        (BINFMT / "register").write_text(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_text())
    except (HostError, OSError) as err:
        raise Skipped(f"this machine may not run ARM64 programs: {err}; register qemu with binfmt_misc") from err
    run("arch-test", "arm64")
