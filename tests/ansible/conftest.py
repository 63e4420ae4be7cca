"""What the tests of the plays share: a real offline folder, and plays that run on this machine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).resolve().parents[2] / "ansible"
PREFLIGHT = Path(__file__).with_name("preflight.yml")


@pytest.fixture(scope="session")
def plays() -> Path:
    """Return the folder of the plays."""
    return ANSIBLE


@pytest.fixture(scope="session")
def build(repository):
    """Return a function that builds an offline folder for a bookworm of x86-64, and returns the finished process."""

    def run(folder: Path, *options, key: Path | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, ANSIBLE / "offline" / "build.py", "--output", folder]
        command += ["--bundle", repository / "models" / "bundles" / "cxr-demo-lite0"]
        command += ["--key", key or repository / "models" / "keys" / "cxr-demo.pub"]
        command += ["--lane", "bookworm", "--machine", "x86_64", *options]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)

    run.folder = ANSIBLE
    return run


@pytest.fixture(scope="session")
def offline(build, tmp_path_factory) -> Path:
    """Return an offline folder that nobody may change."""
    folder = tmp_path_factory.mktemp("offline") / "offline"
    done = build(folder)
    if "could not be fetched" in done.stderr:
        pytest.skip("the wheels of a box cannot be fetched here")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def own_offline(offline, tmp_path) -> Path:
    """Return a copy of the offline folder, to be spoilt."""
    return shutil.copytree(offline, tmp_path / "offline")


@pytest.fixture
def play(tmp_path):
    """Return a function that runs a play with the example's variables, on this machine unless told otherwise."""
    inventory = tmp_path / "inventory"
    shutil.copytree(ANSIBLE / "inventory" / "example" / "group_vars", inventory / "group_vars")

    def run(name, *options, box: str = "ansible_connection: local") -> subprocess.CompletedProcess:
        (inventory / "hosts.yml").write_text(f"boxes: {{hosts: {{ward-1: {{{box}}}}}}}\n")
        command = [sys.executable, "-m", "ansible", "playbook", "--inventory", inventory, name, *options]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
        return subprocess.run(
            [str(word) for word in command],
            cwd=ANSIBLE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    run.folder = ANSIBLE
    return run


@pytest.fixture
def preflight(play, offline):
    """Return a function that runs what comes before any change, on this machine, an x86-64 bookworm."""
    machine = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=False).stdout
    if "bookworm" not in Path("/etc/os-release").read_text() or machine.strip() != "amd64":
        pytest.skip("these refusals are those of an x86-64 bookworm")

    def run(*options, folder=offline, **box) -> subprocess.CompletedProcess:
        done = play(PREFLIGHT, "-e", f"cxrbox_offline={folder}", *options, **box)
        assert "changed=0" in done.stdout
        return done

    return run


@pytest.fixture
def refusal(preflight):
    """Return a function that runs the same and returns the one sentence that it was refused with."""

    def run(*options, **where) -> str:
        done = preflight(*options, **where)
        assert done.returncode, done.stdout
        [sentence] = set(re.findall(r"Action failed: (.*)", done.stdout + done.stderr))
        return sentence

    return run
