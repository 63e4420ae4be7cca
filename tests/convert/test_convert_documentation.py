"""The documentation of the conversion room names what there is."""

import re

from cxrconvert.__main__ import build_parser, parse


def test_every_command_is_documented_and_no_other(repository):
    page = (repository / "convert" / "README.md").read_text()
    _, commands = build_parser()
    assert set(re.findall(r"`cxrconvert ([a-z]+)", page)) == commands


def test_every_module_that_the_page_names_is_there(repository):
    page = (repository / "convert" / "README.md").read_text()
    for name in set(re.findall(r"`([a-z_]+(?:\.py|/))`", page)) - {"runs/"}:
        assert (repository / "convert" / "cxrconvert" / name).exists(), name


def test_the_word_convert_may_be_left_out():
    arguments = ["runs/x", "--films", "films", "-o", "out"]
    assert parse(arguments) == parse(["convert", *arguments])
