"""A full disk, a hung service, a cut network, the power button."""

import http.client
from functools import partial

from virtual_pi import films
from virtual_pi.box import SERVICES
from virtual_pi.lab import Lab, scenario
from virtual_pi.machine import Machine, wait_until

DATA = "/var/lib/cxrbox"
# The longest WatchdogSec, then TimeoutStopSec until a process that stands still is killed, and the start.
HUNG_SECONDS = 600


@scenario("a full data partition is told on the page, loses nothing, and all is read once there is room")
def disk_full(lab: Lab, facts: dict) -> None:
    """Fill the partition, let films come, free it again."""
    box, machine = lab.box, lab.box.machine
    before, during = films.some(1), films.some(2, first=200)
    box.lay(before)
    box.wait_for_films(before)
    machine.root(
        f"dd if=/dev/zero of={DATA}/filler bs=1M 2>/dev/null; dd if=/dev/zero of={DATA}/filler2 bs=4k 2>/dev/null; true"
    )
    box.wait_for_notice("disk_full")
    # No room in the watched folder either: these come over the page, which must say no, and not half take them.
    for content in during.values():
        try:
            answer = box.upload(content)
        except OSError as err:
            facts["an upload meanwhile"] = str(err)[:100]
        else:
            raise AssertionError(f"an upload was accepted on a full disk: {answer}")
    machine.root(f"rm {DATA}/filler {DATA}/filler2")
    box.wait_for_notice("disk_full", there=False)
    for content in during.values():
        box.upload(content)
    box.wait_for_films(during)
    box.assert_sound(before, during)


@scenario("a service that hangs is started again by the watchdog, each of the three, and films are read on")
def hung_service(lab: Lab, facts: dict) -> None:
    """Stop each service's processes as a deadlock would."""
    box, machine = lab.box, lab.box.machine
    before = {service: _main_pid(machine, service) for service in SERVICES}
    machine.root(f"systemctl kill --signal=SIGSTOP {' '.join(SERVICES)}")
    for service, pid in before.items():
        wait_until(partial(_runs_anew, machine, service, pid), HUNG_SECONDS, f"{service} runs anew", pause=5)
    box.wait_until_up()
    wanted = films.some(2)
    box.lay(wanted)
    box.wait_for_films(wanted)
    box.assert_sound(wanted)
    facts["services"] = len(SERVICES)


def _runs_anew(machine: Machine, service: str, before: str) -> bool:
    return _main_pid(machine, service) not in ("0", before)


def _main_pid(machine: Machine, service: str) -> str:
    return machine.root(f"systemctl show -P MainPID {service}").strip()


@scenario("the network is cut and comes back: films were read meanwhile, and the page is there again")
def network_cut(lab: Lab, facts: dict) -> None:
    """Pull the cable while a film waits."""
    box, machine = lab.box, lab.box.machine
    wanted = films.some(2)
    box.lay(wanted)
    machine.qmp("set_link", name="lan", up=False)
    assert not _answers(machine.https_port), "the page answers though the cable is out"
    machine.qmp("set_link", name="lan", up=True)
    box.wait_for_films(wanted)
    box.assert_sound(wanted)


def _answers(port: int) -> bool:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


@scenario("plain http is sent on to https, and nothing else answers")
def closed_ports(lab: Lab, facts: dict) -> None:
    """Ask for the page without TLS, and look for what else listens."""
    box, machine = lab.box, lab.box.machine
    connection = http.client.HTTPConnection("127.0.0.1", machine.http_port, timeout=60)
    connection.request("GET", "/", headers={"Host": "cxrbox.local"})
    answer = connection.getresponse()
    assert answer.status in (301, 302, 307, 308), f"plain http answers {answer.status}"
    assert answer.headers["Location"].startswith("https://")
    connection.close()
    box.health()
    open_ports = set(machine.root("ss -tlnH | awk '$4 !~ /^(127|\\[::1\\])/ {print $4}' | sed 's/.*://'").split())
    assert open_ports <= {"22", "80", "443"}, f"listening to all: {open_ports}"
    facts["open"] = ", ".join(sorted(open_ports, key=int))


@scenario("the power button switches the box off in order, and it comes back with all it had")
def power_button(lab: Lab, facts: dict) -> None:
    """Press it while films wait."""
    wanted = films.some(4)
    with lab.another("button") as box:
        box.machine.boot()
        box.wait_until_up()
        box.lay(wanted)
        box.machine.press_power_button()
        box.machine.boot()
        box.wait_for_films(wanted)
        box.assert_sound(wanted)
        recovered = box.machine.root("dmesg | grep -c 'recovery complete' || true").strip()
        assert recovered == "0", "a file system had to be recovered after an orderly end"
