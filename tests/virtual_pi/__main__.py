"""Build a virtual Pi, provision it with the real playbook, and put it through hardship.

    make test-pi                                  everything, with 20 power cuts
    PYTHONPATH=tests .venv/bin/python -m virtual_pi --only stick-fat32 power-cuts --cuts 3
    PYTHONPATH=tests .venv/bin/python -m virtual_pi --container bookworm trixie

One line a step, and a report as JSON. Exit status 1 where a step failed; what was skipped is told with the reason.
"""

import argparse
import logging
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from virtual_pi import host, image, scenarios
from virtual_pi.container import LANES, play_containers
from virtual_pi.lab import SCENARIOS, Lab, Scenario
from virtual_pi.ntp import time_server
from virtual_pi.places import WORK
from virtual_pi.provision import PI, Workstation
from virtual_pi.report import Report
from virtual_pi.setting_up import provision

assert scenarios


def parse() -> argparse.Namespace:
    """Return the options."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--cuts", type=int, default=20, help="power cuts while the box reads (default 20)")
    parser.add_argument("--recorded", type=int, default=60, help="power cuts replayed from one record (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the power cuts")
    parser.add_argument("--stock", action="store_true", help="provision without mitogen, as an admin does; slower")
    parser.add_argument("--bare", action="store_true", help="let the guest's own apt fetch all packages; much slower")
    parser.add_argument("--keep", action="store_true", help="take the provisioned box of the run before")
    parser.add_argument(
        "--container", nargs="+", choices=LANES, metavar="LANE",
        help=f"no virtual Pi: provision containers of these systems, of {', '.join(LANES)}; minutes",
    )  # fmt: skip
    parser.add_argument("--report", type=Path, default=WORK / "report.json", help="the JSON report")
    return parser.parse_args()


def main() -> None:
    """Run all steps; the first ones must go well for the others to be of use."""
    options = parse()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # So that whoever ends this ends the machines as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report(options.report)
    if options.container:
        play_containers(options.container, report)
    else:
        _play_virtual_pi(report, options)
    sys.exit(report.failed)


def _play_virtual_pi(report: Report, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        with report.step("the host has its tools, and runs ARM64 programs"):
            host.make_ready()
        if not report.all_well:
            return
        stack.enter_context(time_server())
        with report.step("an ARM64 image is built from Debian's packages, or is still there"):
            built = image.build(options.bare)
        if not report.all_well:
            return
        workstation = Workstation([image.SUITE], "aarch64", PI)
        disks = provision(built, workstation, report, options)
        if disks is None:
            return
        lab = Lab(built, workstation, disks, options)
        stack.callback(lab.end)
        for scenario in SCENARIOS:
            if not options.only or scenario.name in options.only:
                _play(scenario, lab, report)


def _play(scenario: Scenario, lab: Lab, report: Report) -> None:
    """Play one scenario; afterwards nothing may have left the machine but what the inventory configures."""
    with report.step(f"{scenario.name}: {scenario.sentence}") as facts:
        lab.begin()
        scenario.play(lab, facts)
        facts["packets"] = lab.packets()


if __name__ == "__main__":
    main()
