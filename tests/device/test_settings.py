"""The settings: bounds, contradictions, and the way to the parts."""

from dataclasses import fields
from pathlib import Path

import pytest
from cxrbox.__main__ import build_parser
from cxrbox.errors import ConfigError
from cxrbox.settings import Settings


def test_the_defaults_are_valid():
    assert Settings().port == 8080


@pytest.mark.parametrize(("name", "value"), [("port", 0), ("port", 70000), ("threads", 0), ("film_seconds", 0)])
def test_a_setting_out_of_bounds_is_named(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        Settings(**{name: value})


def test_a_state_folder_inside_the_films_is_refused_by_both_names(tmp_path):
    with pytest.raises(ConfigError, match=r"state .* lies inside films"):
        Settings(films=tmp_path, state=tmp_path / "state")


def test_the_parts_get_the_settings_of_the_box():
    settings = Settings(films=Path("a b"), port=81, settle_seconds=0.25, host="0.0.0.0", allow_unsigned=True)
    options = build_parser().parse_args(["reader", *settings.to_options()])
    assert Settings.from_options(options) == settings


def test_every_setting_has_help_and_a_unit_where_it_needs_one():
    for setting in fields(Settings):
        assert setting.metadata["help"]
        if setting.name.endswith("_seconds"):
            assert "in seconds" in setting.metadata["help"]
