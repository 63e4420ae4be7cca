"""The documentation of the training room names what there is."""

import argparse
import re

import pytest
from cxrtrain.__main__ import build_parser


@pytest.fixture
def page(repository):
    return (repository / "train" / "README.md").read_text()


def test_every_command_is_documented_and_no_other(page):
    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert set(re.findall(r"`cxrtrain ([a-z0-9-]+)", page)) == set(commands.choices)


def test_every_recipe_is_documented(page, repository):
    for path in (repository / "train" / "configs").glob("*.toml"):
        assert f"`{path.stem}`" in page


def test_every_target_of_make_that_the_page_names_is_there(page, repository):
    targets = re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", page, re.MULTILINE)) <= set(targets)
