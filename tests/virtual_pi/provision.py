"""The real playbook, over ssh, with an inventory written for the virtual Pi."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from virtual_pi.host import HostError, run
from virtual_pi.machine import Machine
from virtual_pi.places import ANSIBLE, BIN, REPOSITORY, WORK

HOST = "virtual-pi"
# The host, as the guest sees it.
TIME_SERVER = "10.0.2.2"
SHIPPED = REPOSITORY / "models/bundles/cxr-demo-lite0"
SHIPPED_KEY = REPOSITORY / "models/keys/cxr-demo.pub"
# Emulated services take their time; the box itself allows three minutes.
HEALTH_SECONDS = 900
PLAY_SECONDS = 5400
# What a Pi has and a container lacks: a data partition, which is small here, and a camera.
PI = {"cxrbox_data_device": "LABEL=cxrbox-data", "cxrbox_camera": "/dev/video0"}
PI |= {"cxrbox_settings": {"retention_free_mb": 64}}


@dataclass(frozen=True)
class Play:
    """What became of a run of a playbook.

    Attributes
    ----------
    status : int
        Of `ansible-playbook`.
    said : str
        All it printed.
    seconds : float
    """

    status: int
    said: str
    seconds: float

    def count(self, what: str, host: str = HOST) -> int:
        """Return a figure of the recap, such as "changed"."""
        found = re.search(rf"^{host}\s.*\b{what}=(\d+)", self.said, re.MULTILINE)
        assert found, f"the play has no recap: {self.said[-1500:]}"
        return int(found.group(1))

    @property
    def changed(self) -> str:
        """The tasks that changed something, on any box."""
        tasks = re.split(r"^(?:TASK|RUNNING HANDLER) \[", self.said, flags=re.MULTILINE)[1:]
        return ", ".join(task.partition("]")[0] for task in tasks if "\nchanged: [" in task)

    def assert_done(self) -> None:
        """Assert that nothing failed."""
        assert self.status == 0, f"the play failed: {self.said[-3000:]}"

    @property
    def sentence(self) -> str:
        """What a play that refused said: the message of its last failure, in one line."""
        failures = re.findall(r"^(?:fatal|failed): \[.*=> *\n((?:(?:[ \t].*)?\n)+)", self.said, re.MULTILINE)
        return " ".join(yaml.safe_load(failures[-1])["msg"].split()) if failures else self.said[-300:]


class Workstation:
    """What the admin has: an offline folder, keys, an inventory, and Ansible.

    Parameters
    ----------
    lanes : sequence of str
    machine : str
        The systems of the boxes and their processor, as `make offline-bundle` calls them.
    variables : dict
        Of the inventory, beside what holds for every box here.
    """

    def __init__(self, lanes: Sequence[str], machine: str, variables: dict):
        self.lanes, self.machine, self.variables = lanes, machine, variables
        self.folder = WORK / f"workstation-{machine}"
        self.offline = self.folder / "offline"
        self.known_hosts = self.folder / "known_hosts"
        self.signing_key = self.folder / "site"
        self.age_key = self.folder / "backup.age"
        self.folder.mkdir(parents=True, exist_ok=True)

    def prepare(self) -> None:
        """Make the keys that are not there yet, and the offline folder as `make offline-bundle` does."""
        if not self.signing_key.with_suffix(".pem").exists():
            run(BIN / "cxrconvert", "keygen", "-o", self.signing_key)
        if not self.age_key.exists():
            run("age-keygen", "-o", self.age_key)
        keys = (SHIPPED_KEY, self.signing_key.with_suffix(".pub"))
        build = [sys.executable, ANSIBLE / "offline/build.py", "--lane", *self.lanes, "--machine", self.machine]
        run(*build, "--bundle", SHIPPED, "--key", *keys, "-o", self.offline, cwd=REPOSITORY)

    @property
    def recipient(self) -> str:
        """The public half of the key that opens backups."""
        return run("age-keygen", "-y", self.age_key).strip()

    def all_variables(self) -> dict:
        """Return what the inventory says of every box."""
        return self.variables | {
            "cxrbox_offline": str(self.offline),
            "cxrbox_time_servers": [TIME_SERVER],
            "cxrbox_allow_outgoing": [{"protocol": "udp", "port": 123, "to": TIME_SERVER}],
            "cxrbox_health_seconds": HEALTH_SECONDS,
            "cxrbox_backup_recipients": [self.recipient],
        }

    def inventory(self, machine: Machine, known: bool = True, **variables: object) -> Path:
        """Write an inventory with one machine; what is given here wins."""
        return self.fleet({HOST: machine}, known, **variables)

    def fleet(self, machines: dict[str, Machine], known: bool = True, **variables: object) -> Path:
        """Write an inventory with machines by their names; what is given here wins."""
        self.known_hosts.write_text("".join(map(_host_key, machines.values())) if known else "")
        options = f"-o UserKnownHostsFile={self.known_hosts} -o HostKeyAlgorithms=ssh-ed25519"
        hosts = {name: _access(machine) for name, machine in machines.items()}
        told = {
            "boxes": {"hosts": hosts, "vars": self.all_variables() | {"ansible_ssh_common_args": options} | variables}
        }
        path = self.folder / "inventory.yml"
        # JSON is YAML.
        path.write_text(json.dumps(told, indent=2))
        return path

    def play(self, playbook: str, inventory: Path, *options: str, stock: bool = False) -> Play:
        """Run a playbook.

        Parameters
        ----------
        playbook : str
            Its name below ansible/.
        inventory : Path
        options : str
            More options of `ansible-playbook`.
        stock : bool
            With Ansible's own way of running tasks; else mitogen's, which saves seconds a task under emulation.
        """
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
        environment |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": "/tmp", "ANSIBLE_TIMEOUT": "120", "PYTHONUNBUFFERED": "1"}
        if not stock:
            environment |= _mitogen()
        command = [BIN / "ansible-playbook", "-i", inventory, *options, ANSIBLE / playbook]
        started = time.monotonic()
        log = self.folder / f"{Path(playbook).stem}-{int(time.time())}.log"
        with log.open("w") as said:
            done = subprocess.run(
                command, cwd=ANSIBLE, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                timeout=PLAY_SECONDS, check=False,
            )  # fmt: skip
        return Play(done.returncode, log.read_text(), time.monotonic() - started)


def _host_key(machine: Machine) -> str:
    """Return the line of known_hosts for a machine."""
    key = (machine.image.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    return f"[127.0.0.1]:{machine.ssh_port} {key}"


def _access(machine: Machine) -> dict:
    """Return how Ansible reaches a machine."""
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": machine.ssh_port,
        "ansible_user": "pi",
        "ansible_ssh_private_key_file": str(machine.image.key),
    }


def _mitogen() -> dict[str, str]:
    """Return what makes Ansible keep one Python alive in the guest.

    Raises
    ------
    HostError
        If mitogen is not installed.
    """
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None:
        raise HostError("mitogen is not installed; install it with the other tools of the tests, or use --stock")
    plugins = Path(found.submodule_search_locations[0]) / "plugins/strategy"
    return {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(plugins),
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }
