"""The units as systemd itself judges them: in order, and with no more rights than they need."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
TIMERS = sorted(UNITS.glob("*.timer"))
# Where systemd's own score of exposure may lie at most, of 10.
MOST_EXPOSURE = 2.0
SYSTEM = Path("/usr/lib/systemd/system")


def options(unit: Path) -> dict[str, list[str]]:
    """Return all values of each option of a unit."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture(scope="module")
def analyze():
    """Return a function that asks systemd-analyze."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")

    def ask(*words) -> subprocess.CompletedProcess:
        return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False)

    return ask


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a root in which the units and what they start lie as on a box, beside the units of this machine."""
    if not SYSTEM.is_dir():
        pytest.skip("the units of systemd itself are not on this machine")
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(SYSTEM, root / SYSTEM.relative_to("/"), symlinks=True)
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in (*SERVICES, *TIMERS, UNITS / "cxrbox.target"):
        shutil.copy(unit, units)
    commands = root / "usr/local/lib/cxrbox"
    shutil.copytree(UNITS / "libexec", commands)
    for command, place in (
        (Path(sys.executable).parent / "cxrbox", "opt/cxrbox/current/venv/bin/cxrbox"),
        (Path("/bin/sh"), "bin/sh"),
        (Path(sys.executable), "usr/bin/python3"),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(command, root / place)
    return root


@pytest.mark.parametrize("unit", [*SERVICES, *TIMERS, UNITS / "cxrbox.target"], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(analyze, installed, unit):
    name = unit.name.replace("@.", "@sda1.")
    done = analyze("verify", f"--root={installed}", name)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_systemd_would_find_what_is_wrong(analyze, installed):
    broken = installed / "etc/systemd/system/broken.service"
    broken.write_text("[Service]\nExecStart=/opt/nothing\nWatchdogSeconds=3\n")
    done = analyze("verify", f"--root={installed}", broken.name)
    assert "/opt/nothing" in done.stderr and "WatchdogSeconds" in done.stderr
    broken.unlink()


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_has_few_rights(analyze, unit):
    done = analyze("security", "--offline=true", f"--threshold={round(MOST_EXPOSURE * 10)}", "--no-pager", unit)
    exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)[1])
    assert exposure <= MOST_EXPOSURE and done.returncode == 0


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_has_no_capability_and_gains_none(analyze, unit):
    report = json.loads(analyze("security", "--offline=true", "--json=short", unit).stdout)
    kept = {test["json_field"]: test["set"] for test in report}
    assert kept["NoNewPrivileges"] and kept["CapabilityBoundingSet_CAP_SYS_ADMIN"]
    assert options(unit)["CapabilityBoundingSet"] == [""]


def test_only_the_unit_of_the_sticks_is_root():
    users = {unit.name: options(unit)["User"] for unit in SERVICES}
    assert users.pop("cxrbox-stick@.service") == ["root"]
    assert set(map(tuple, users.values())) == {("cxrbox",)}


def test_the_page_alone_has_a_network_and_that_is_this_machine():
    for unit in SERVICES:
        found = options(unit)
        if unit.name == "cxrbox-web.service":
            assert found["IPAddressAllow"] == ["localhost"] and found["IPAddressDeny"] == ["any"]
        else:
            assert found["PrivateNetwork"] == ["yes"] and "INET" not in " ".join(found["RestrictAddressFamilies"])


def test_the_devices_are_split():
    devices = {unit.stem: [rule.split()[0] for rule in options(unit).get("DeviceAllow", [])] for unit in SERVICES}
    assert {name: allowed for name, allowed in devices.items() if allowed} == {
        "cxrbox-intake": ["char-video4linux", "char-media", "char-dma_heap"],
        "cxrbox-reader": ["char-usb_device"],
        "cxrbox-stick@": ["block-sd", "block-blkext"],
    }
    assert all(options(unit)["DevicePolicy"] == ["closed"] for unit in SERVICES)


@pytest.mark.parametrize("name", ["intake", "reader", "web"])
def test_a_part_is_watched_and_started_again_for_ever(name):
    found = options(UNITS / f"cxrbox-{name}.service")
    assert found["Type"] == ["notify"] and int(found["WatchdogSec"][0]) > 60
    assert found["Restart"] == ["always"] and found["StartLimitIntervalSec"] == ["0"]
    assert int(found["TimeoutStartSec"][0]) >= 90
    pause = int(re.search(r"sleep (\d+)", found["ExecStopPost"][0])[1])
    assert 30 <= pause < int(found["TimeoutStopSec"][0]), "the pause after status 2 must not be cut short"


@pytest.mark.parametrize("status", ["2", "1", "TERM"])
def test_only_wrong_settings_make_a_pause(status):
    """The pause itself is cut to nothing here."""
    [command] = options(UNITS / "cxrbox-web.service")["ExecStopPost"]
    script = re.search(r"-c '(.*)'", command)[1].replace("$$", "$").replace("sleep 30", "echo pause")
    environment = {"EXIT_STATUS": status, "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ("pause\n" if status == "2" else "")


@pytest.mark.parametrize(
    "unit", [unit for unit in SERVICES if b"cxrbox/current" in unit.read_bytes()], ids=lambda unit: unit.name
)
def test_what_a_unit_starts_is_a_command_of_the_box(unit):
    from cxrbox.command_line import build_parser

    [command] = options(unit)["ExecStart"]
    program, *words = command.split()
    assert program == "/opt/cxrbox/current/venv/bin/cxrbox"
    build_parser().parse_args(words)


def test_the_drop_ins_are_understood(analyze, tmp_path):
    """Raspberry Pi OS has a drop-in that keeps the journal in memory; ours must come after it."""
    for kind, program in (("journald", "journald.conf"), ("system", "system.conf")):
        [ours] = (UNITS / kind).iterdir()
        place = tmp_path / "etc/systemd" / f"{program}.d"
        place.mkdir(parents=True)
        (place / "40-rpi-volatile-storage.conf").write_text("[Journal]\nStorage=volatile\n")
        shutil.copy(ours, place)
        shown = analyze("cat-config", f"--root={tmp_path}", f"systemd/{program}").stdout
        assert shown.index("40-rpi") < shown.index(ours.name)
    assert "Storage=persistent" in (UNITS / "journald" / "50-cxrbox.conf").read_text()


@pytest.mark.parametrize("broken", [False, True])
def test_udev_finds_nothing_wrong_with_the_rules(tmp_path, broken):
    if not shutil.which("udevadm"):
        pytest.skip("udevadm is not on this machine")
    rules = tmp_path / "rules"
    shutil.copytree(UNITS / "udev", rules)
    if broken:
        (rules / "70-broken.rules").write_text('SUBSYSTEM=="block", COLOUR="red"\n')
    done = subprocess.run(["udevadm", "verify", *rules.iterdir()], capture_output=True, text=True, check=False)
    if "Unknown command verb" in done.stderr:
        done = read_rules(rules)
    said = [line for line in (done.stdout + done.stderr).splitlines() if re.search(r"\.rules:\d+", line)]
    assert bool(said) == broken, said


def read_rules(rules: Path) -> subprocess.CompletedProcess:
    """Have an older udevadm read rules, in a mount namespace of its own in which there are no others."""
    script = """
        for place in /etc/udev/rules.d /usr/lib/udev/rules.d /run/udev; do mount -t tmpfs test $place || exit 77; done
        cp "$1"/* /etc/udev/rules.d/
        udevadm test --action=add "$(find /sys/class/block/ -mindepth 1 | head -n 1)" 2>&1
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(rules)], capture_output=True, text=True, check=False
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("this udevadm cannot verify rules, and no mount namespace can be made to try them in")
    assert "Reading rules file" in done.stdout, done
    return done
