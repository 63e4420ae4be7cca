"""What the box has is what device/README.md says."""

from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest
from cxrbox.__main__ import build_parser
from cxrbox.refusals import ADVICE, CAPTURE_ADVICE
from cxrbox.settings import Settings
from cxrbox.web import create_app

HELP = files("cxrbox.web").joinpath("written", "help.md").read_text("utf-8")
TEXT = (Path(__file__).parents[2] / "device" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", [setting.name for setting in fields(Settings)])
def test_every_setting_is_documented(name):
    assert f"`--{name.replace('_', '-')}`" in TEXT


@pytest.mark.parametrize("code", ADVICE)
def test_every_reason_to_refuse_is_documented(code):
    assert f"`{code}`" in TEXT


@pytest.mark.parametrize("code", CAPTURE_ADVICE)
def test_those_who_scan_films_find_the_advice_of_the_camera(code):
    assert f"| {CAPTURE_ADVICE[code]} |" in HELP


def test_every_command_is_documented():
    commands = build_parser()._subparsers._group_actions[0].choices
    assert commands and all(f"`cxrbox {name}" in TEXT for name in commands)


def test_every_route_is_documented(tmp_path):
    rules = [
        rule.rule for rule in create_app(Settings(state=tmp_path)).url_map.iter_rules() if rule.endpoint != "static"
    ]
    plain = [rule.replace("<int:film_id>", "ID").replace("<finding>", "FINDING") for rule in rules]
    assert len(set(plain)) == 26
    assert all(f"`{rule}`" in TEXT for rule in plain)
