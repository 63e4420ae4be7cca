"""The settings: bounds, contradictions, and the way to the parts."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from cxrbox.__main__ import build_parser
from cxrbox.errors import ConfigError
from cxrbox.settings import DEFAULT_CONFIG, Settings, known_names

EXAMPLE = Path(__file__).parents[2] / "device" / "cxrbox" / "box.example.toml"


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a file of settings and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "box.toml"
        path.write_text(text)
        return path

    return write


def parse(*words) -> Settings:
    return Settings.from_options(build_parser().parse_args(["run", *map(str, words)]))


def test_the_defaults_are_valid():
    assert Settings().port == 8080


@pytest.mark.parametrize(("name", "value"), [("port", 0), ("port", 70000), ("threads", 0), ("film_seconds", 0)])
def test_a_setting_out_of_bounds_is_named(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        Settings(**{name: value})


def test_a_state_folder_inside_the_films_is_refused_by_both_names(tmp_path):
    with pytest.raises(ConfigError, match=r"state .* lies inside films"):
        Settings(films=tmp_path, state=tmp_path / "state")


def test_films_inside_the_sticks_are_refused_where_both_are_looked_at(tmp_path):
    places = {"films": tmp_path / "media" / "usb1", "sticks": tmp_path / "media"}
    with pytest.raises(ConfigError, match=r"films .* lies inside sticks"):
        Settings(**places, from_stick=True)
    assert Settings(**places, from_stick=True, from_folder=False).films == places["films"]


def test_the_parts_get_the_settings_of_the_box():
    settings = Settings(films=Path("a b"), port=81, settle_seconds=0.25, host="0.0.0.0", allow_unsigned=True)
    options = build_parser().parse_args(["reader", *settings.to_options()])
    assert Settings.from_options(options) == settings


def test_every_setting_has_help_and_a_unit_where_it_needs_one():
    for setting in fields(Settings):
        assert setting.metadata["help"]
        if setting.name.endswith("_seconds"):
            assert "in seconds" in setting.metadata["help"]


def test_a_file_gives_settings_and_the_command_line_wins(config):
    path = config('port = 81\nsettle_seconds = 2\nfilms = "in"\nallow_unsigned = true\n')
    settings = parse("--config", path, "--port", 82, "--no-allow-unsigned")
    assert (settings.port, settings.settle_seconds, settings.films) == (82, 2.0, Path("in"))
    assert settings.allow_unsigned is False and isinstance(settings.settle_seconds, float)


def test_a_file_that_is_edited_later_does_not_reach_parts_that_are_started_again(config, monkeypatch):
    settings = parse("--config", config("port = 81"))
    monkeypatch.setattr("cxrbox.settings.DEFAULT_CONFIG", config('thresholds = "late.toml"'))
    assert parse(*settings.to_options()) == settings


def test_the_usual_file_is_read_where_it_is_there(config, monkeypatch):
    monkeypatch.setattr("cxrbox.settings.DEFAULT_CONFIG", config("port = 83"))
    assert parse().port == 83


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 81", "there is no setting prot; the nearest is port"),
        ("retention_day = 3", "there is no setting retention_day; the nearest is retention_days"),
        ('port = "81"', "port is '81'; it must be a whole number"),
        ("port = true", "port is True; it must be a whole number"),
        ("allow_unsigned = 1", "allow_unsigned is 1; it must be true or false"),
        ("films = 3", "films is 3; it must be a text"),
        ("film_seconds = false", "film_seconds is False; it must be a number"),
        ("port = 0", "port is 0; it must lie between 1 and 65535"),
        ("film_seconds = nan", "film_seconds is nan; it must lie between"),
        ('tpu = "gpu"', "tpu is gpu; it must be one of auto, cpu, tpu, stand-in"),
        ("port = ", "are no TOML"),
        ("write_to_stick = true", "write_to_stick is on and from_stick is off"),
        ('films = "a"\nstate = "a/b"', "lies inside films"),
        ('films = "a/originals"\nstate = "a"', "lies inside state"),
        ('sticks = "a"\nstate = "a/usb/state"\nfrom_stick = true', "lies inside sticks"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence(config, cxrbox, text, sentence):
    done = cxrbox("check-config", config(text))
    assert done.returncode == 2 and done.stdout == ""
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_file_that_is_named_and_not_there_is_refused(cxrbox, tmp_path):
    done = cxrbox("export", "--csv", "--config", tmp_path / "typo.toml")
    assert done.returncode == 2 and "typo.toml cannot be read" in done.stderr


def test_check_config_shows_every_setting_and_what_is_not_the_default(config, cxrbox):
    done = cxrbox("check-config", config('port = 81\nhost = "0.0.0.0"'))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == known_names()
    assert [line.split()[0] for line in lines if "(default " in line] == ["host", "port"]
    assert "is in order; films are read with cxr-demo-lite0" in lines[-1]


def test_check_config_refuses_a_device_that_the_bundle_has_no_body_for(config, cxrbox):
    done = cxrbox("check-config", config('tpu = "tpu"'))
    assert done.returncode == 2 and "has no body for the Edge TPU" in done.stderr


def test_check_config_vouches_for_no_file_that_is_not_there(cxrbox):
    if DEFAULT_CONFIG.exists():
        pytest.skip(f"{DEFAULT_CONFIG} is there")
    done = cxrbox("check-config")
    assert done.returncode == 0 and f"there is no {DEFAULT_CONFIG}; the defaults are in order" in done.stdout


def test_check_config_looks_at_the_bundle_as_well(config, cxrbox, tmp_path):
    done = cxrbox("check-config", config(f'bundle = "{tmp_path}/nowhere"'))
    assert done.returncode == 2 and "nowhere" in done.stderr


def test_the_example_has_every_setting_with_its_default():
    text = EXAMPLE.read_text("utf-8")
    given, defaults = tomllib.loads(text), {setting.name: setting.default for setting in fields(Settings)}
    assert {name: type(defaults[name])(value) for name, value in given.items()} == {
        name: value for name, value in defaults.items() if name in given
    }
    assert set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE)) == set(defaults)
    tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))


def test_the_example_is_in_order(cxrbox):
    done = cxrbox("check-config", EXAMPLE)
    assert done.returncode == 0 and "(default " not in done.stdout
