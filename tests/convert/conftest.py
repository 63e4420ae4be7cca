"""A tiny run, made once and copied for each test that spoils it."""

import shutil

import pytest
from tiny_run import write_run


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A run's folder "run" and its films' folder "films", not to be changed."""
    root = tmp_path_factory.mktemp("made")
    write_run(root / "run", root / "films")
    return root


@pytest.fixture
def own(made, tmp_path):
    """A copy of `made` that a test may spoil; "out" beside it is empty."""
    for name in ("run", "films"):
        shutil.copytree(made / name, tmp_path / name)
    (tmp_path / "out").mkdir()
    return tmp_path
