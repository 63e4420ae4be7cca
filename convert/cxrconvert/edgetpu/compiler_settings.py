"""Where the workstation has edgetpu_compiler: in one typed place."""

import dataclasses
import tomllib
from pathlib import Path

from cxrconvert.errors import CompilerSettingsError

LONGEST = 24 * 3600


@dataclasses.dataclass(frozen=True)
class CompilerSettings:
    """Settings of `cxrconvert compile`; a TOML file may say the same names.

    Model and result stand in one folder, {folder} in the commands below; the compiler must see it under the same path.

    Attributes
    ----------
    compiler : str
        Name or path of edgetpu_compiler, where it runs.
    command : tuple of str
        Prefix that takes the command elsewhere, such as ["docker", "run", "--rm", "-v", "{folder}:{folder}", "IMAGE"]
        or ["ssh", "HOST"].
    send, fetch : tuple of str
        Commands before and after, for a host that does not see the folder: ["rsync", "-a", "{folder}/",
        "HOST:{folder}/"], and ["rsync", "-a", "HOST:{folder}/", "{folder}/"].
    seconds : int
        Time limit of each command, 1 to 86400.
    """

    compiler: str = "edgetpu_compiler"
    command: tuple[str, ...] = ()
    send: tuple[str, ...] = ()
    fetch: tuple[str, ...] = ()
    seconds: int = 600

    def __post_init__(self):
        """Raise CompilerSettingsError for a value of the wrong kind, or half of a pair."""
        if not isinstance(self.compiler, str) or not self.compiler:
            raise CompilerSettingsError(f"compiler is {self.compiler!r}; give the name or path of edgetpu_compiler")
        for name in ("command", "send", "fetch"):
            words = getattr(self, name)
            if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
                raise CompilerSettingsError(f"{name} is {words!r}; give a list of words, the program first")
        whole = isinstance(self.seconds, int) and not isinstance(self.seconds, bool)
        if not whole or not 1 <= self.seconds <= LONGEST:
            raise CompilerSettingsError(f"seconds is {self.seconds!r}; give a whole number from 1 to {LONGEST}")
        if bool(self.send) != bool(self.fetch):
            raise CompilerSettingsError("send and fetch belong together, there and back; give both or none")


def read_settings(path: Path) -> CompilerSettings:
    """Return the settings in a TOML file.

    Raises
    ------
    CompilerSettingsError
        If the file cannot be read, or a key or value in it is not known.
    """
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as err:
        raise CompilerSettingsError(f"{path} cannot be read as TOML: {err}") from err
    names = [field.name for field in dataclasses.fields(CompilerSettings)]
    unknown = sorted(set(said) - set(names))
    if unknown:
        raise CompilerSettingsError(f"{path} has the unknown key {unknown[0]!r}; the keys are {', '.join(names)}")
    return CompilerSettings(**{key: tuple(value) if isinstance(value, list) else value for key, value in said.items()})
