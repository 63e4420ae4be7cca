"""The card that goes into the virtual Pi: a fresh 64-bit Raspberry Pi OS Lite, as near as Debian's packages come to it.

Built by mmdebstrap from the host's own apt sources. There is no boot loader and no initramfs-tools, which would take
ten minutes of emulation: qemu is handed the kernel and an initramfs of ten lines.
"""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from virtual_pi.host import run
from virtual_pi.places import HERE, WORK

log = logging.getLogger(__name__)
SUITE = "bookworm"
# What a fresh Raspberry Pi OS Lite brings.
LITE = (
    *("systemd-sysv", "systemd-timesyncd", "libpam-systemd", "dbus", "udev", "kmod", "openssh-server", "sudo"),
    *("python3", "python3-apt", "python3-venv", "ca-certificates", "iproute2", "netbase", "e2fsprogs", "dosfstools"),
    *("avahi-daemon", "nftables", "usbutils", "v4l-utils"),
)
# What the playbook would install; laid in beforehand, because apt takes many emulated minutes for OpenCV alone.
HEAVY = ("python3-numpy", "python3-opencv", "nginx", "openssl", "exfatprogs", "age", "libusb-1.0-0", "tzdata")
IMAGE_SIZE = "6G"
DATA_SIZE = "1G"
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
APT = ("Apt::Install-Recommends false", "Acquire::Languages none")
WITHOUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
# Slow under emulation, quick on the host: the keys of ssh, and the hashing of the certificates.
ESSENTIAL_HOOK = (
    'mkdir -p "$1/etc/ssh" && ssh-keygen -q -A -f "$1"'
    ' && chroot "$1" dpkg-divert --quiet --local --rename --add /usr/sbin/update-ca-certificates'
    ' && ln -s /bin/true "$1/usr/sbin/update-ca-certificates"'
)
KERNEL_HOOK = (
    'cd "$1/boot" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"'
    " && apt-get -q download $(apt-cache depends linux-image-arm64 | awk '/Depends: linux-image-/{print $2; exit}')"
    " busybox-static"
)


@dataclass(frozen=True)
class Image:
    """A built image; everything lies in one folder."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The card: a bare ext4 file system."""
        return self.folder / "root.img"

    @property
    def data(self) -> Path:
        """The empty data partition, labelled cxrbox-data."""
        return self.folder / "data.img"

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initramfs."""
        return self.folder / "initrd"

    @property
    def key(self) -> Path:
        """The private ssh key of the user pi."""
        return self.folder / "id_pi"

    @property
    def root(self) -> Path:
        """The same files as a folder, to run ARM64 programs in without a machine."""
        return self.folder / "root"


def build(bare: bool = False) -> Image:
    """Return the image, built where its recipe has changed since the last time.

    Parameters
    ----------
    bare : bool
        Leave out what the playbook would install, so that the guest's own apt fetches all of it.
    """
    packages = LITE if bare else LITE + HEAVY
    image = Image(WORK / f"image-{_recipe_hash(packages)}")
    if not (image.folder / "done").exists():
        shutil.rmtree(image.folder, ignore_errors=True)
        image.folder.mkdir(parents=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "virtual-pi", "-f", image.key)
        unpack_packages(image.root, packages, SUITE, "arm64", f"--customize-hook={KERNEL_HOOK}")
        set_up(image)
        version = _unpack_kernel(image)
        _pack_initramfs(image, version)
        _make_disks(image)
        (image.folder / "done").touch()
    return image


def _recipe_hash(packages: tuple[str, ...]) -> str:
    """Return what changes when the image must be built anew."""
    parts = [Path(__file__).read_bytes(), (HERE / "guest_init.sh").read_bytes(), " ".join(packages).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def unpack_packages(root: Path, packages: tuple[str, ...], suite: str, machine: str, *options: str) -> None:
    """Install Debian's packages into a folder, emulated where they bring scripts of another machine.

    Parameters
    ----------
    root, packages
        The folder and the packages.
    suite, machine : str
        As Debian calls them, such as "bookworm" and "arm64". The host's own sources are asked for that suite.
    options : str
        More options of mmdebstrap.
    """
    log.info("installing %d packages and what they need into a root of %s for %s", len(packages), suite, machine)
    sources = []
    for number, path in enumerate(_host_sources()):
        sources.append(root.parent / f"{number}{path.suffix}")
        sources[-1].write_text(path.read_text().replace(host_suite(), suite))
    how = [f"--aptopt={line}" for line in APT] + [f"--dpkgopt=path-exclude={path}" for path in WITHOUT]
    how += ["--dpkgopt=force-unsafe-io", f"--essential-hook={ESSENTIAL_HOOK}", *options]
    how += [f"--arch={machine}", "--variant=minbase", f"--include={','.join(packages)}"]
    run("mmdebstrap", "--quiet", *how, suite, root, *sources)


def _host_sources() -> list[Path]:
    sources = list(Path("/etc/apt/sources.list.d").glob("*.sources"))
    return sources + [path for path in [Path("/etc/apt/sources.list")] if path.exists()]


def host_suite() -> str:
    """Return the name of the host's Debian."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def set_up(image: Image) -> None:
    """Make the root what the Imager's first boot makes of a card: a name, the user pi with a key, DHCP, ssh."""
    root = image.root
    files = {
        "etc/hostname": "virtual-pi\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 virtual-pi\n",
        "etc/fstab": "/dev/vda / ext4 defaults,noatime 0 1\n",
        "etc/systemd/network/20-wired.network": "[Match]\nName=e*\n[Network]\nDHCP=yes\n",
        # The Pi's own video codec has it loaded from the start.
        "etc/modules-load.d/video.conf": "videodev\n",
        "etc/sudoers.d/pi": "pi ALL=(ALL) NOPASSWD:ALL\n",
        "etc/apt/apt.conf.d/99host": _apt_checks(),
        "etc/pip.conf": "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n",
        # qemu's own relay, which asks the host's servers
        "etc/resolv.conf": "nameserver 10.0.2.3\n",
        "home/pi/.ssh/authorized_keys": image.key.with_suffix(".pub").read_text(),
    }
    run("chroot", root, "useradd", "-m", "-s", "/bin/bash", "-G", "sudo,video,dialout,plugdev", "pi")
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    (root / "etc/sudoers.d/pi").chmod(0o440)
    (root / "home/pi/.ssh").chmod(0o700)
    run("chroot", root, "chown", "-R", "pi:pi", "/home/pi/.ssh")
    run("chroot", root, "systemctl", "enable", "systemd-networkd", "ssh")
    # Services that a Pi has only once a playbook asked for them.
    run("chroot", root, "systemctl", "disable", "nftables")
    _trust_what_the_host_trusts(root)
    _age_package_lists(root)


def _apt_checks() -> str:
    """Return the host's lines about the age of its apt sources: a registry that keeps a day's state needs them."""
    lines = [line for path in Path("/etc/apt/apt.conf.d").iterdir() for line in path.read_text().splitlines()]
    return "".join(f"{line}\n" for line in lines if line.startswith("Acquire::Check"))


def _trust_what_the_host_trusts(root: Path) -> None:
    (root / "usr/sbin/update-ca-certificates").unlink()
    run("chroot", root, "dpkg-divert", "--quiet", "--local", "--rename", "--remove", "/usr/sbin/update-ca-certificates")
    shutil.rmtree(root / "etc/ssl/certs")
    shutil.copytree("/etc/ssl/certs", root / "etc/ssl/certs", symlinks=True)


def _age_package_lists(root: Path) -> None:
    """Make apt's lists as old as on a card from the web: Ansible takes new ones for fresh, though they are empty."""
    for path in [root / "var/lib/apt/lists", *(root / "var/lib/apt/lists").rglob("*")]:
        os.utime(path, (0, 0))


def _unpack_kernel(image: Image) -> str:
    """Unpack the kernel on the host, where it takes seconds, and return its version."""
    kernel, boot = image.folder / "kernel", image.root / "boot"
    run("dpkg-deb", "-x", next(boot.glob("linux-image-*.deb")), kernel)
    [modules] = (kernel / "lib/modules").iterdir()
    shutil.copy(kernel / f"boot/vmlinuz-{modules.name}", image.kernel)
    (image.root / "lib/modules").mkdir(exist_ok=True)
    shutil.move(modules, image.root / "lib/modules" / modules.name)
    run("depmod", "-b", image.root, modules.name)
    shutil.rmtree(kernel)
    return modules.name


def _pack_initramfs(image: Image, version: str) -> None:
    """Pack busybox, the modules of the root disk, and guest_init.sh."""
    folder, boot = image.folder / "initramfs", image.root / "boot"
    for name in ("bin", "proc", "sys", "dev", "new", "mod"):
        (folder / name).mkdir(parents=True)
    run("dpkg-deb", "-x", next(boot.glob("busybox-static_*.deb")), folder / "busybox")
    shutil.move(folder / "busybox/bin/busybox", folder / "bin/busybox")
    shutil.rmtree(folder / "busybox")
    order = []
    for module in BOOT_MODULES:
        lines = run("modprobe", "-d", image.root, "-S", version, "--show-depends", module).splitlines()
        order += [Path(line.split()[1]) for line in lines if line.startswith("insmod")]
    for path in dict.fromkeys(order):
        shutil.copy(path, folder / "mod")
    (folder / "mod/order").write_text("".join(f"{path.name}\n" for path in dict.fromkeys(order)))
    shutil.copy(HERE / "guest_init.sh", folder / "init")
    (folder / "init").chmod(0o755)
    names = "\0".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    archive = subprocess.run(
        ["cpio", "--null", "-o", "-H", "newc", "--quiet"],
        input=names.encode(),
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    image.initrd.write_bytes(archive.stdout)
    for package in boot.glob("*.deb"):
        package.unlink()


def _make_disks(image: Image) -> None:
    """Write the card and the empty data partition; no loop device, so no right to mount is needed."""
    run("mke2fs", "-q", "-t", "ext4", "-L", "rootfs", "-d", image.root, image.disk, IMAGE_SIZE)
    run("mke2fs", "-q", "-t", "ext4", "-L", "cxrbox-data", image.data, DATA_SIZE)
