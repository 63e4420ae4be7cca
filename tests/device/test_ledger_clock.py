"""Whether the time in a result can be believed, and which code gave it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cxrbox import clock
from cxrbox.clock import RELEASED, clock_trusted
from cxrbox.provenance import code_sha256


def test_a_clock_before_the_release_is_never_trusted(tmp_path, monkeypatch):
    (tmp_path / "synchronized").touch()
    monkeypatch.setattr(clock, "SYNCHRONISED", tmp_path / "synchronized")
    assert clock_trusted(datetime(1970, 1, 1, tzinfo=UTC)) is False
    assert clock_trusted(RELEASED - timedelta(seconds=1)) is False
    assert clock_trusted(RELEASED) is True


def test_without_a_time_server_the_kernel_is_asked(tmp_path, monkeypatch):
    """The kernel of the machine that runs the tests answers; a stamp of timesyncd would overrule it."""
    monkeypatch.setattr(clock, "SYNCHRONISED", tmp_path / "nowhere")
    answer = clock._kernel_synchronised()
    assert clock_trusted(RELEASED) is answer


@pytest.mark.parametrize(("kernel", "trusted"), [(0, True), (1, True), (5, False), (-1, None)])
def test_the_kernels_answer_is_taken_as_adjtimex_defines_it(tmp_path, monkeypatch, kernel, trusted):
    """No test may set the clock of its machine: the library call is replaced, what follows from it is not."""

    class Library:
        def adjtimex(self, _) -> int:
            return kernel

    monkeypatch.setattr(clock, "SYNCHRONISED", tmp_path / "nowhere")
    monkeypatch.setattr(clock, "LIBC", Library())
    assert clock_trusted(RELEASED) is trusted


def test_the_release_is_not_in_the_future():
    assert datetime.now(UTC) > RELEASED


def test_the_code_has_one_hash_for_all_its_files():
    assert code_sha256() == code_sha256() and len(code_sha256()) == 64


def test_another_byte_of_code_is_another_hash(tmp_path, monkeypatch):
    import cxrbundle

    (tmp_path / "module.py").write_text("one = 1\n")
    monkeypatch.setattr(cxrbundle, "__file__", str(Path(tmp_path, "__init__.py")))
    one = code_sha256.__wrapped__()
    (tmp_path / "module.py").write_text("one = 2\n")
    assert code_sha256.__wrapped__() != one
