"""The systems a box may run: what each brings from its own packages, and which wheels fit it."""

from dataclasses import dataclass

# What `apt` brings: a wheel must never shadow it, or picamera2 and OpenCV break over another numpy.
FROM_APT = {"numpy", "opencv-python-headless"}


@dataclass(frozen=True)
class Lane:
    """One release of Debian or Raspberry Pi OS.

    Attributes
    ----------
    name : str
        Code name, as /etc/os-release has it.
    python : str
        Version of its Python.
    glibc : int
        Minor version of its C library: the highest manylinux tag that runs there.
    packages : dict of str to str
        Versions of what `apt` brings, by the name a wheel asks for.
    """

    name: str
    python: str
    glibc: int
    packages: dict[str, str]

    def environment(self, machine: str) -> dict[str, str]:
        """Return the environment that markers of requirements are judged in (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }

    def pip_options(self, machine: str) -> list[str]:
        """Return the options that make `pip download` fetch for this lane, whatever it runs on itself."""
        tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, self.glibc + 1))]
        abi = f"cp{self.python.replace('.', '')}"
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        options += [f"--platform={tag}_{machine}" for tag in tags]
        return options + [f"--abi={name}" for name in (abi, "abi3", "none")]


LANES = {
    lane.name: lane
    for lane in (
        Lane("bookworm", "3.11", 36, {"numpy": "1.24.2", "opencv-python-headless": "4.6.0"}),
        Lane("trixie", "3.13", 41, {"numpy": "2.2.4", "opencv-python-headless": "4.10.0"}),
    )
}
# A Pi is the first; the second is for tests in a container of the workstation.
MACHINES = ("aarch64", "x86_64")


def wheel_folder(lane: str, machine: str) -> str:
    """Return where the wheels of a lane lie in the offline folder."""
    return f"wheels/{lane}" if machine == MACHINES[0] else f"wheels/{lane}-{machine}"
