"""qemu's monitor: one JSON command, one JSON answer, on a socket."""

import json
import socket
from pathlib import Path
from typing import Any


class QmpError(RuntimeError):
    """qemu refused a command."""


class Qmp:
    """A connection to the monitor of a running machine.

    Parameters
    ----------
    path : Path
        The monitor's socket.
    """

    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        self._lines.readline()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Run a command; the underscores of its arguments' names stand for qemu's dashes."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._lines.write(json.dumps({"execute": command, "arguments": named}) + "\n")
        self._lines.flush()
        while True:
            answer = json.loads(self._lines.readline())
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line: str) -> str:
        """Run a command that only the monitor for people has; what it prints is its error."""
        said = self("human-monitor-command", command_line=line)
        if said.strip():
            raise QmpError(f"{line}: {said.strip()}")
        return said

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
