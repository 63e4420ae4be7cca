"""Every fault of an Edge TPU, from a real process: films are read all the same, the page is told, it returns."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cxrbox.bodies.golden import GoldenWatch
from cxrbox.bodies.stand_in import FAULTS
from cxrbox.bodies.switching import Pauses
from cxrbox.errors import BackendError
from tpu_faults import Trial, tpu_processes, wait_for


@pytest.fixture
def trial(tmp_path):
    trial = Trial(tmp_path / "fault")
    yield trial
    trial.close()


def assert_reads_on_the_processor(trial: Trial, because: str) -> None:
    assert trial.reads_on() == "cpu"
    status = trial.status
    assert status.degraded and status.backend.startswith("cpu ") and status.wanted == "stand-in"
    assert status.reason.startswith("The stand-in for the Edge TPU " + because), status.reason
    assert "; films are read on the processor, about " in status.reason and status.reason.endswith(" each.")
    assert status.expected_ms > 0


def assert_returns(trial: Trial, resets: int) -> None:
    wait_for(lambda: not trial.status.degraded)
    assert trial.reads_on() == "stand-in"
    status = trial.status
    assert (status.degraded, status.reason, status.retry_seconds) == (False, "", None)
    assert status.resets == resets and status.backend.startswith("stand-in ")


def test_films_do_not_wait_until_the_device_is_open(trial):
    trial.command("stuck")
    trial.open()
    assert_reads_on_the_processor(trial, "is being opened")
    assert trial.status.resets == 0 and trial.status.last_reset is None


def test_a_device_that_never_opens_is_given_up_and_tried_again(trial):
    trial.command("stuck")
    trial.open(open_seconds=2)
    [first] = wait_for(tpu_processes)
    assert trial.body.wait_until_tried(60)
    assert_reads_on_the_processor(trial, "did not answer within 2 s")
    assert wait_for(tpu_processes) != [first]
    trial.command("")
    assert_returns(trial, resets=0)


def test_an_absent_device_is_named_and_taken_once_it_is_there(trial):
    trial.command("absent")
    trial.open()
    assert trial.body.wait_until_tried(60)
    assert_reads_on_the_processor(trial, "cannot be opened: no device answers")
    trial.command("")
    assert_returns(trial, resets=0)


def test_a_film_whose_answer_is_late_is_read_on_the_processor_in_the_same_call(trial):
    trial.serving(invoke_seconds=2)
    before = time.time()
    trial.command("slow")
    assert_reads_on_the_processor(trial, "did not answer within 2 s")
    assert trial.status.resets == 1 and before < trial.status.last_reset <= time.time()
    trial.command("")
    assert_returns(trial, resets=1)


def test_a_film_on_which_the_process_aborts_is_read_on_the_processor_in_the_same_call(trial):
    trial.serving()
    trial.command("abort")
    assert_reads_on_the_processor(trial, "was lost")
    assert trial.status.resets == 1
    trial.command("")
    assert_returns(trial, resets=1)


def test_a_device_that_vanished_is_named_as_not_there(trial):
    trial.serving()
    trial.command("vanish")
    assert trial.reads_on() == "cpu"
    wait_for(lambda: "no device answers" in trial.status.reason)
    assert_reads_on_the_processor(trial, "cannot be opened: no device answers")
    assert trial.status.resets == 1
    trial.command("")
    assert_returns(trial, resets=1)


def test_a_device_that_drifts_reads_no_film_until_it_answers_a_golden_one(trial):
    trial.serving()
    [first] = tpu_processes()
    watch = GoldenWatch(trial.prove)
    assert watch.check(trial.body).passed and not trial.status.degraded
    trial.command("wrong")
    outcome = watch.check(trial.body)
    assert not outcome.passed and outcome.backend.startswith("stand-in ") and watch.last is outcome
    assert_reads_on_the_processor(trial, "does not answer the golden films")
    assert wait_for(tpu_processes) != [first]
    assert_reads_on_the_processor(trial, "does not answer the golden films")
    trial.command("")
    assert_returns(trial, resets=1)
    assert watch.check(trial.body).passed


def test_a_device_lost_between_films_is_noticed_without_one(trial):
    trial.serving()
    [process] = tpu_processes()
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: trial.status.resets == 1)
    assert_returns(trial, resets=1)


def test_a_process_that_is_stopped_runs_out_of_its_time(trial):
    trial.serving(invoke_seconds=2)
    [process] = tpu_processes()
    os.kill(process, signal.SIGSTOP)
    trial.command("slow")
    assert_reads_on_the_processor(trial, "did not answer within 2 s")
    trial.command("")
    assert_returns(trial, resets=1)


def test_an_answer_for_which_there_was_no_memory_is_not_taken_for_that_of_the_next_film(trial, monkeypatch):
    trial.serving()

    def receive_nothing(*_):
        raise MemoryError

    with monkeypatch.context() as scarce:
        scarce.setattr("cxrbox.bodies.tpu.receive", receive_nothing)
        with pytest.raises(MemoryError):
            trial.body(trial.films[0])
    np.testing.assert_array_equal(trial.body(trial.films[1]), trial.answers[1])
    assert trial.body.backend.startswith("cpu ") and trial.status.resets == 1
    assert_returns(trial, resets=1)


def test_a_processor_that_drifts_must_read_no_film_even_beside_a_sound_device(trial):
    trial.serving()

    def prove(body):
        raise BackendError(f"{body.backend} drifted")

    watch = GoldenWatch(prove)
    with pytest.raises(BackendError, match=r"^cpu .* drifted"):
        watch.check(trial.body)
    assert not watch.last.passed


def test_golden_films_are_due_at_the_start_and_after_every_interval():
    now = [0.0]
    trial = GoldenWatch(lambda body: None, every_seconds=3600, clock=lambda: now[0])
    assert trial.due() and trial.last is None
    trial.check(Processor())
    assert not trial.due() and trial.last.passed
    now[0] = 3599
    assert not trial.due()
    now[0] = 3600
    assert trial.due()


class Processor:
    """The least that a watch asks of a body."""

    def status(self):
        return type("Status", (), {"backend": "cpu"})

    def check(self, prove) -> bool:
        prove(self)
        return True


def test_pauses_grow_and_are_short_again_after_a_long_service():
    pauses = Pauses(first=5, longest=30, recovered=600)
    waited = [None]
    for _ in range(5):
        waited.append(pauses.after(waited[-1], held=1))
    assert waited[1:] == [5, 10, 20, 30, 30]
    assert pauses.after(30, held=601) == 5


def test_the_next_try_is_announced(trial):
    trial.command("absent")
    trial.open(pauses=Pauses(first=100, longest=100))
    wait_for(lambda: trial.status.retry_seconds)
    assert 90 < trial.status.retry_seconds <= 100


def test_a_fault_that_nobody_knows_is_said_and_not_played(trial):
    trial.command("melted")
    trial.open()
    trial.body.wait_until_tried(60)
    assert_reads_on_the_processor(trial, "cannot be opened: 'melted' in ")
    assert all(fault in trial.status.reason for fault in FAULTS)


@pytest.mark.parametrize("fault", ["", "stuck", "absent"])
def test_closing_leaves_no_process_and_no_descriptor(trial, fault):
    before = len(list(Path("/proc/self/fd").iterdir()))
    trial.command(fault)
    trial.open()
    wait_for(tpu_processes)
    if fault != "stuck":
        trial.body.wait_until_tried(60)
    trial.body.close()
    assert tpu_processes() == [] and len(list(Path("/proc/self/fd").iterdir())) == before
    assert_reads_on_the_processor(trial, "is closed")


def test_a_device_does_not_outlive_a_reader_that_was_killed(tmp_path):
    (tmp_path / "fault").write_text("stuck")
    code = (
        "import time; from pathlib import Path; from tpu_faults import *;"
        f"trial = Trial(Path({str(tmp_path / 'fault')!r})).open(); print(*wait_for(tpu_processes), flush=True);"
        "time.sleep(600)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as reader:
        process = int(reader.stdout.readline())
        reader.kill()
    wait_for(lambda: not is_running(process))


def is_running(process: int) -> bool:
    """Return whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
