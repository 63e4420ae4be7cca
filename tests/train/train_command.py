"""The command of the training room, as a user would run it."""

import os
import subprocess
import sys

# One thread: several that wait for each other by spinning crawl on a machine that others use too.
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}
# Small and fast.
TINY = ["--data.split", "patient", "--first.size", 64, "--second.size", 64, "--run.batch", 8, "--run.precision", "fp32"]


def run_cxrtrain(*arguments) -> subprocess.CompletedProcess:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "cxrtrain", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=ALONE)
