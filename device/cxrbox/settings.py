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
    bundle: Path = _setting(shipped_bundle(), "folder of the bundle that reads the films")
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
                parser.add_argument(option, type=setting.type, default=setting.default, help=help_text)

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "Settings":
        """Return the settings given on the command line; the others keep their defaults."""
        given = vars(options)
        return cls(**{setting.name: given[setting.name] for setting in fields(cls) if setting.name in given})

    def to_options(self) -> list[str]:
        """Return the command-line options that give these settings again."""
        pairs = ((f"--{s.name.replace('_', '-')}", str(getattr(self, s.name))) for s in fields(self))
        return [word for pair in pairs for word in pair]


def _shown(default) -> str:
    """Return a default as help shows it: a path by its name, so that the text is the same on every machine."""
    return default.name if isinstance(default, Path) else str(default)
