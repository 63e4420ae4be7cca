"""All settings of the box in one typed place: name, default, unit, bounds, help."""

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path

from cxrbundle.shipped import shipped_bundle

from cxrbox.errors import ConfigError


def _setting(default, help_text: str, low: float | None = None, high: float | None = None):
    return field(default=default, metadata={"help": help_text, "low": low, "high": high})


@dataclass(frozen=True)
class Settings:
    """The settings of all parts of the box."""

    films: Path = _setting(Path("films"), "folder that is watched for films")
    state: Path = _setting(Path("state"), "folder of the database and the originals")
    bundle: Path = _setting(shipped_bundle(), "folder or .cxrbundle file of the bundle that reads the films")
    # Owned by root: whoever may write films or state cannot add a key.
    trusted_keys: Path = _setting(Path("/etc/cxrbox/keys"), "folder of the public keys that may sign a bundle")
    allow_unsigned: bool = _setting(False, "read with a bundle that no trusted key signed")
    host: str = _setting("127.0.0.1", "address the page is served at; 0.0.0.0 serves the LAN")
    port: int = _setting(8080, "port of the page", 1, 65535)
    threads: int = _setting(2, "threads of the interpreter", 1, 64)
    look_seconds: float = _setting(0.3, "time between two looks into the folder, in seconds", 0.05, 60)
    settle_seconds: float = _setting(0.7, "time a file must stay unchanged before it is taken in, in seconds", 0, 60)
    film_seconds: float = _setting(60.0, "time after which a reading is given up, in seconds", 0.1, 600)
    memory_mb: int = _setting(1024, "memory the reader may take for a film, in MiB", 256, 65536)

    def __post_init__(self):
        for setting in fields(self):
            value, low, high = getattr(self, setting.name), setting.metadata["low"], setting.metadata["high"]
            if low is not None and not low <= value <= high:
                raise ConfigError(f"{setting.name} is {value}; it must lie between {low} and {high}")
        if self.state.resolve().is_relative_to(self.films.resolve()):
            raise ConfigError(
                f"state ({self.state}) lies inside films ({self.films}), so the box would read its own copies;"
                " name a folder outside of it"
            )

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser, *names: str) -> None:
        """Add an option for each named setting, or for all."""
        for setting in fields(cls):
            if not names or setting.name in names:
                option = "--" + setting.name.replace("_", "-")
                help_text = f"{setting.metadata['help']} (default {_shown(setting.default)})"
                kind = {"action": "store_true"} if setting.type is bool else {"type": setting.type}
                parser.add_argument(option, default=setting.default, help=help_text, **kind)

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "Settings":
        """Return the settings given on the command line; the others keep their defaults."""
        given = vars(options)
        return cls(**{setting.name: given[setting.name] for setting in fields(cls) if setting.name in given})

    def to_options(self) -> list[str]:
        """Return the command-line options that give these settings again."""
        words = []
        for setting in fields(self):
            option, value = f"--{setting.name.replace('_', '-')}", getattr(self, setting.name)
            if setting.type is not bool:
                words += [option, str(value)]
            elif value:
                words.append(option)
        return words


def _shown(default) -> str:
    """Return a default as help shows it, the same on every machine: of the shipped bundle only the name."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return default.name if default == shipped_bundle() else str(default)
