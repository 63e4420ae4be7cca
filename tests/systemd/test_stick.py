"""What is done with a memory stick, on real block devices: images with real file systems, and the real intake."""

import importlib.util
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cxrbox.settings import Settings
from cxrbox.sticks import Sticks
from cxrbox.store import Store

SCRIPT = Path(__file__).parents[2] / "systemd" / "libexec" / "stick.py"
MAKE = {
    "vfat": ["mkfs.vfat", "-n", "WARD A", "-i", "1234abcd"],
    "exfat": ["mkfs.exfat", "-L", "WARD A"],
    "ntfs": ["mkfs.ntfs", "-F", "-Q", "-L", "WARD A"],
    "ext4": ["mkfs.ext4", "-q", "-L", "WARD A"],
}


@pytest.fixture
def stick(tmp_path, monkeypatch):
    """Return the script with a place and devices of its own."""
    spec = importlib.util.spec_from_file_location("stick", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "sticks" / ".taken").mkdir(parents=True)
    (tmp_path / "block").mkdir()
    monkeypatch.setattr(module, "PLACE", tmp_path / "sticks")
    monkeypatch.setattr(module, "BLOCK", tmp_path / "block")
    return module


@pytest.fixture
def plug(tmp_path, stick):
    """Return a function that makes an image a block device, and a stick of it; pulled at the end."""
    devices = []

    def make(kind: str, spoil: int = 0) -> str:
        image = tmp_path / f"image-{len(devices)}"
        with image.open("wb") as file:
            file.truncate(16 << 20)
        if kind in MAKE:
            if not shutil.which(MAKE[kind][0]):
                pytest.skip(f"{MAKE[kind][0]} is not on this machine")
            subprocess.run([*MAKE[kind], image], check=True, capture_output=True)
        with image.open("r+b") as file:
            file.write(bytes(spoil))
        done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no image can be made a block device here ({done.stderr.strip()})")
        devices.append(done.stdout.strip())
        name = Path(devices[-1]).name
        (stick.BLOCK / name).symlink_to(f"/sys/class/block/{name}")
        return name

    yield make
    for device in devices:
        with suppress(FileNotFoundError):
            (stick.BLOCK / Path(device).name).unlink()
        subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def served(stick, device: str):
    """Have a stick served until it is pulled."""
    thread = threading.Thread(target=stick.serve, args=(device, False))
    thread.start()
    try:
        yield
    finally:
        (stick.BLOCK / device).unlink(missing_ok=True)
        thread.join(10)
    assert not thread.is_alive()


def wait_for(found, seconds: float = 10):
    """Return what `found()` returns once it is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


@pytest.mark.parametrize(
    ("kind", "spoil", "sentence"),
    [
        ("ntfs", 0, "the stick has a file system that is not read (NTFS); copy the films to a stick that is formatted"),
        ("ext4", 0, "the stick has a file system that is not read (ext4); copy the films"),
        ("vfat", 4096, "the stick has no file system, or a damaged one; copy the films"),
        ("empty", 0, "the stick has no file system, or a damaged one; copy the films"),
    ],
)
def test_a_stick_that_is_not_read_stands_in_the_list_with_the_reason(stick, plug, tmp_path, kind, spoil, sentence):
    device = plug(kind, spoil)
    settings = Settings(state=tmp_path / "state", sticks=stick.PLACE, from_stick=True, settle_seconds=0)
    sticks = Sticks(settings, Store(settings.state))
    with served(stick, device):
        assert wait_for(lambda: list(stick.PLACE.glob("*.refused")))
        sticks.look()
        [film] = sticks.store.list_films(9)
        assert film["state"] == "refused" and film["refusal_reason"].startswith(sentence)
    assert not list(stick.PLACE.glob("*.refused")), "once it is pulled nothing is said of it"
    assert sticks.look() == 0
    sticks.store.close()


@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_a_stick_of_these_kinds_is_allowed(stick, plug, kind):
    assert stick.probe(plug(kind))["TYPE"] == kind and kind in stick.ALLOWED


@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_films_of_a_real_stick_are_taken_in_and_it_is_unmounted(stick, plug, kind):
    """Only systemd may mount, so this needs it; tests/virtual_pi plugs such sticks into a whole machine."""
    if not Path("/run/systemd/system").is_dir() or kind not in Path("/proc/filesystems").read_text():
        pytest.skip(f"systemd does not run this machine, or its kernel has no {kind}")
    device = plug(kind)
    with served(stick, device):
        assert wait_for(lambda: [line for line in Path("/proc/mounts").read_text().splitlines() if device in line])
        [mounted] = [line for line in Path("/proc/mounts").read_text().splitlines() if device in line]
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(mounted.split()[3].split(","))
        (stick.PLACE / ".taken" / Path(mounted.split()[1]).name).touch()
        assert wait_for(lambda: device not in Path("/proc/mounts").read_text())


def test_a_stick_has_the_same_name_whenever_it_returns(stick, plug):
    first, second, other = plug("vfat"), plug("vfat"), plug("exfat")
    names = [stick.choose_name(device, stick.probe(device)) for device in (first, second, other)]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("WARD_A_") and names[0].replace("_", "").isalnum()
    (stick.PLACE / names[0]).mkdir()
    (stick.PLACE / names[0] / "film.png").touch()
    assert stick.choose_name(second, stick.probe(second)) == f"{names[0]}_{second}", "a copy of a stick beside it"


@pytest.mark.parametrize("label", ["../../etc", "-rf", "a;b", "été", "", "x" * 99])
def test_no_label_makes_a_name_that_means_anything_else(stick, label):
    name = stick.choose_name("sdz1", {"LABEL": label, "UUID": "1"})
    assert name.replace("_", "").isalnum() and name.isascii() and name[0] not in "_" and len(name) < 40


def test_the_disk_that_the_system_runs_from_is_no_stick(stick, plug, tmp_path):
    device = plug("ext4")
    assert not stick.is_own_disk(device)
    (tmp_path / "in use").mkdir()
    if subprocess.run(["mount", f"/dev/{device}", tmp_path / "in use"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert stick.is_own_disk(device)
    finally:
        subprocess.run(["umount", tmp_path / "in use"], check=True)


def test_a_stick_of_which_not_all_is_taken_in_is_given_up(stick, plug, monkeypatch):
    monkeypatch.setattr(stick, "MOST_SECONDS", 0)
    with pytest.raises(stick.StickRefusedError, match="what was read is kept, plug it in again to go on"):
        stick.wait_until_taken(plug("vfat"), stick.PLACE / ".taken" / "x")


def test_a_stick_that_is_pulled_is_waited_for_no_longer(stick):
    stick.wait_until_taken("pulled", stick.PLACE / ".taken" / "x")


@pytest.mark.parametrize(("text", "looked"), [("from_stick = true", True), ("from_stick = false", False), ("", False)])
def test_sticks_are_looked_at_only_where_the_settings_say_so(stick, plug, tmp_path, monkeypatch, text, looked, capsys):
    (tmp_path / "box.toml").write_text(text)
    monkeypatch.setattr(stick, "CONFIG", tmp_path / "box.toml")
    # Only a process of its own has its own SIGTERM.
    monkeypatch.setattr(stick.signal, "signal", lambda *_: None)
    device = plug("empty")
    pull = threading.Timer(1, lambda: (stick.BLOCK / device).unlink(missing_ok=True))
    pull.start()
    stick.main(device)
    pull.join()
    assert ("the stick is refused" in capsys.readouterr().out) == looked
