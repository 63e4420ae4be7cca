"""All settings of the box in one typed place: name, default, unit, bounds, help; from one file and the command line."""

import argparse
import difflib
import tomllib
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from cxrbundle.shipped import shipped_bundle

from cxrbox.errors import ConfigError

# Read where it is there and no other is named.
DEFAULT_CONFIG = Path("/etc/cxrbox/box.toml")
# The parts of the box are told every setting by option: a file that was edited meanwhile must not divide them.
NO_CONFIG = Path("/dev/null")


def _setting(
    default,
    help_text: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
):
    return field(default=default, metadata={"help": help_text, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The settings of all parts of the box."""

    films: Path = _setting(Path("films"), "folder that is watched for films")
    state: Path = _setting(Path("state"), "folder of the database and the originals")
    bundle: Path = _setting(shipped_bundle(), "folder or .cxrbundle file of the bundle that reads the films")
    # Owned by root: whoever may write films or state cannot add a key.
    trusted_keys: Path = _setting(Path("/etc/cxrbox/keys"), "folder of the public keys that may sign a bundle")
    allow_unsigned: bool = _setting(False, "read with a bundle that no trusted key signed")
    thresholds: Path | None = _setting(None, "file of the site's own thresholds, made for this bundle")
    tpu: str = _setting("auto", "what runs the body", choices=("auto", "cpu", "tpu", "stand-in"))
    golden_seconds: float = _setting(3600.0, "time between two readings of the golden films, in seconds", 60, 86400)
    host: str = _setting("127.0.0.1", "address the page is served at; 0.0.0.0 serves the LAN")
    port: int = _setting(8080, "port of the page", 1, 65535)
    dns_name: str | None = _setting(None, "name that a DNS server has for the page, beside its address and local names")
    threads: int = _setting(
        4, "films that are read at once, each on a processor core; at most as many as there are cores", 1, 64
    )
    from_folder: bool = _setting(True, "take films from the folder that is watched")
    from_stick: bool = _setting(False, "take films from memory sticks")
    from_upload: bool = _setting(True, "take films that are sent to the page")
    from_camera: bool = _setting(False, "take films from the camera above the light box")
    sticks: Path = _setting(Path("/media"), "folder in which memory sticks appear, each as a folder")
    camera: str = _setting("picamera2", "the camera: picamera2, a device such as /dev/video0, or folder:PATH")
    write_to_stick: bool = _setting(False, "write the results back to the memory stick the films came from")
    dicom_identity: bool = _setting(True, "keep the patient's ID of a DICOM header with its film")
    barcode_identity: bool = _setting(True, "keep the code of a barcode or QR code in a photograph with its film")
    look_seconds: float = _setting(0.3, "time between two looks into the folder, in seconds", 0.05, 60)
    settle_seconds: float = _setting(2.0, "time a file that others may write must stay unchanged, in seconds", 0, 60)
    film_seconds: float = _setting(60.0, "time after which a reading is given up, in seconds", 0.1, 600)
    memory_mb: int = _setting(1024, "memory the reader may take for a film, in MiB", 256, 65536)
    retention_days: int = _setting(365, "age at which a film's original is removed, in days", 1, 36500)
    retention_free_mb: int = _setting(1024, "disk space kept free by removing the oldest originals, in MiB", 0, 10**8)

    def __post_init__(self):
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))
        watched = [("films", self.films)] + ([("sticks", self.sticks)] if self.from_stick else [])
        for name, folder in watched:
            if self.state.resolve().is_relative_to(folder.resolve()):
                raise ConfigError(
                    f"state ({self.state}) lies inside {name} ({folder}), so the box would read its own copies;"
                    " name a folder outside of it"
                )
        if self.films.resolve().is_relative_to(self.state.resolve()):
            raise ConfigError(
                f"films ({self.films}) lies inside state ({self.state}), so the box would read its own copies;"
                " name a folder outside of it"
            )
        if self.from_stick and self.from_folder and self.films.resolve().is_relative_to(self.sticks.resolve()):
            raise ConfigError(
                f"films ({self.films}) lies inside sticks ({self.sticks}), so its films would be taken twice;"
                " name a folder outside of it"
            )
        if self.write_to_stick and not self.from_stick:
            raise ConfigError("write_to_stick is on and from_stick is off, so no stick is looked at; switch both on")

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser, *names: str) -> None:
        """Add an option for each named setting, or for all, and one for the file of all settings."""
        parser.add_argument("--config", type=Path, help=f"file of settings (default {DEFAULT_CONFIG}, where it is)")
        for setting in fields(cls):
            if not names or setting.name in names:
                kind = {"action": argparse.BooleanOptionalAction} if setting.type is bool else {"type": _kind(setting)}
                parser.add_argument(
                    _option(setting),
                    default=argparse.SUPPRESS,
                    help=f"{setting.metadata['help']} (default {shown(setting.default)})",
                    choices=setting.metadata["choices"] or None,
                    **kind,
                )

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "Settings":
        """Return the settings of the file with those given on the command line, which win; the others keep defaults."""
        given = {key: value for key, value in vars(options).items() if key in known_names()}
        return cls(**read_config(options.config) | given)

    def to_options(self) -> list[str]:
        """Return the command-line options that give these settings again, whatever a file says."""
        words = ["--config", str(NO_CONFIG)]
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.type is bool:
                words.append(_option(setting) if value else _option(setting).replace("--", "--no-", 1))
            elif value is not None:
                words += [_option(setting), str(value)]
        return words


def known_names() -> list[str]:
    """Return the names of all settings."""
    return [setting.name for setting in fields(Settings)]


def read_config(path: Path | None) -> dict[str, Any]:
    """Return the settings of a TOML file, each of its type; those of the default file where None is named.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no TOML, or has a key that is unknown or of another type.
    """
    if path is None and not DEFAULT_CONFIG.exists():
        return {}
    path = path or DEFAULT_CONFIG
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as err:
        raise ConfigError(f"the settings {path} cannot be read ({err.strerror}); name another file") from err
    except (ValueError, RecursionError) as err:
        raise ConfigError(f"the settings {path} are no TOML ({err}); mend that line") from err
    kinds = {setting.name: setting for setting in fields(Settings)}
    if unknown := [name for name in raw if name not in kinds]:
        near = difflib.get_close_matches(unknown[0], kinds, 1, 0)[0]
        raise ConfigError(f"{path}: there is no setting {unknown[0]}; the nearest is {near}")
    return {name: _typed(kinds[name], value, path) for name, value in raw.items()}


def _typed(setting: Field, value: Any, path: Path) -> Any:
    """Return a value of the file as its setting has it; a whole number may stand for any."""
    kind = _kind(setting)
    written = {Path: str, float: (int, float)}.get(kind, kind)
    if not isinstance(value, written) or (isinstance(value, bool) and kind is not bool):
        name = {Path: "a text", str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ConfigError(f"{path}: {setting.name} is {value!r}; it must be {name}")
    return kind(value)


def _check(setting: Field, value: Any) -> None:
    """Raise ConfigError where a value is out of bounds."""
    low, high, choices = (setting.metadata[key] for key in ("low", "high", "choices"))
    if low is not None and not low <= value <= high:
        raise ConfigError(f"{setting.name} is {value}; it must lie between {low} and {high}")
    if choices and value not in choices:
        raise ConfigError(f"{setting.name} is {value}; it must be one of {', '.join(choices)}")


def _kind(setting: Field) -> type:
    """Return the type of a setting, without the None that stands for none."""
    return next(iter(get_args(setting.type)), setting.type)


def _option(setting: Field) -> str:
    return f"--{setting.name.replace('_', '-')}"


def shown(value: Any) -> str:
    """Return a setting's value as people read it, the same on every machine: of the shipped bundle only the name."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return value.name if value == shipped_bundle() else str(value)
