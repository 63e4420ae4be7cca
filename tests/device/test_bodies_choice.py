"""Which body is chosen, and how an Edge TPU is opened: by pycoral where it is installed, else by its driver."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
from cxrbox.bodies.choice import CHOICES, open_body
from cxrbox.bodies.cpu import CpuBody
from cxrbox.bodies.edge_tpu import edge_tpu_is_there
from cxrbox.bodies.switching import Pauses
from cxrbox.bodies.tpu import Device, TpuBody
from cxrbox.errors import BackendError, ConfigError, DeviceLostError
from cxrbox.reading import make_reader
from cxrbox.settings import Settings
from cxrbundle.bundle import Bundle
from tpu_faults import known_answers, wait_for


@dataclass(frozen=True)
class CompiledBundle(Bundle):
    """A bundle with a body for the Edge TPU; here it is the CPU's, which every interpreter runs."""

    edgetpu_body: bytes | None = None


@pytest.fixture
def compiled():
    bundle, *_ = known_answers()
    parts = {field.name: getattr(bundle, field.name) for field in fields(bundle)}
    return CompiledBundle(**parts | {"edgetpu_body": bundle.body})


@pytest.fixture
def open_tpu(compiled):
    """Return a function that opens a body and waits until its device was tried."""
    opened = []

    def open_(choice: str = "tpu", prove=lambda body: None):
        opened.append(open_body(compiled, choice, 1, prove, pauses=Pauses(first=100)))
        assert opened[-1].wait_until_tried(60)
        return opened[-1]

    yield open_
    for body in opened:
        body.close()


def prove_nothing(body) -> None:
    """Accept any body."""


def plug_in(root: Path, usb_id: str, place: str = "1-1.2") -> None:
    """Write what the kernel says of a USB device."""
    device = root / "sys/bus/usb/devices" / place
    device.mkdir(parents=True)
    for name, value in zip(("idVendor", "idProduct"), usb_id.split(":"), strict=True):
        (device / name).write_text(value + "\n")


@pytest.mark.parametrize("usb_id", ["1a6e:089a", "18d1:9302"])
def test_a_coral_is_seen_before_and_after_its_firmware(tmp_path, usb_id):
    plug_in(tmp_path, "1d6b:0002", "usb1")
    assert not edge_tpu_is_there(tmp_path)
    plug_in(tmp_path, usb_id)
    assert edge_tpu_is_there(tmp_path)


def test_a_coral_on_pcie_is_seen(tmp_path):
    (tmp_path / "dev").mkdir()
    assert not edge_tpu_is_there(tmp_path)
    (tmp_path / "dev/apex_0").touch()
    assert edge_tpu_is_there(tmp_path)


def test_a_device_that_goes_away_while_it_is_looked_at_is_not_there(tmp_path):
    plug_in(tmp_path, "18d1:9302")
    (tmp_path / "sys/bus/usb/devices/1-1.2/idProduct").unlink()
    assert not edge_tpu_is_there(tmp_path)


@pytest.mark.parametrize("choice", ["auto", "cpu"])
def test_the_processor_reads_where_there_is_no_device(choice, compiled):
    if edge_tpu_is_there():
        pytest.skip("this machine has an Edge TPU")
    body = open_body(compiled, choice, 1, prove_nothing)
    status = body.status()
    assert isinstance(body, CpuBody) and status.wanted == "cpu"
    assert (status.degraded, status.reason, status.expected_ms) == (False, "", None)


def test_the_processor_answers_several_threads_at_once():
    bundle, films, answers = known_answers()
    body = CpuBody(bundle, 2)
    with ThreadPoolExecutor(4) as threads:
        for place, features in enumerate(threads.map(body, films * 10)):
            np.testing.assert_array_equal(features, answers[place % len(films)])


def test_one_interpreter_that_drifts_is_enough_not_to_read():
    bundle, films, answers = known_answers()
    body = CpuBody(bundle, 3)
    proved = []

    def prove(one) -> None:
        np.testing.assert_array_equal(one(films[0]), answers[0])
        proved.append(one)
        if len(proved) == 2:
            raise BackendError(f"{one.backend} drifts")

    with pytest.raises(BackendError, match=r"^cpu .* drifts$"):
        body.check(prove)
    assert len({id(one.network) for one in proved}) == 2
    assert body.check(proved.append) and len({id(one.network) for one in proved[2:]}) == 3
    assert_reads(body, "cpu ")


def test_a_bundle_without_a_compiled_body_cannot_be_told_to_use_the_edge_tpu():
    bundle, *_ = known_answers()
    with pytest.raises(BackendError, match="has no body for the Edge TPU; compile one, or set it to auto"):
        open_body(bundle, "tpu", 1, prove_nothing)


def test_the_settings_offer_what_can_be_opened():
    [setting] = [setting for setting in fields(Settings) if setting.name == "tpu"]
    assert setting.metadata["choices"] == CHOICES and setting.default == "auto"
    bundle, *_ = known_answers()
    with pytest.raises(ConfigError, match="tpu is 'gpu'; it must be one of auto, cpu, tpu, stand-in"):
        open_body(bundle, "gpu", 1, prove_nothing)


def test_a_reader_with_the_stand_in_proves_it_with_the_golden_films_and_names_it():
    reader = make_reader(Settings(tpu="stand-in", threads=1))
    try:
        wait_for(lambda: not reader.body.status().degraded)
        reader.check_golden_films()
        assert reader.provenance()["backend"].startswith("stand-in ")
    finally:
        reader.body.close()


def test_a_driver_that_is_not_installed_is_named(open_tpu):
    body = open_tpu()
    reason = body.status().reason
    if "no device answers" in reason:
        pytest.skip("this machine has the driver")
    assert reason.startswith("The Edge TPU cannot be opened: its driver is not installed (libedgetpu.so.1: ")
    assert body.status().wanted == "edge-tpu"
    assert_reads(body, "cpu ")


def assert_reads(body, backend: str) -> None:
    """Assert that a body answers films as the CPU does, under this name."""
    _, films, answers = known_answers()
    for film, answer in zip(films, answers, strict=True):
        np.testing.assert_array_equal(body(film), answer)
    assert body.backend.startswith(backend), body.backend


PYCORAL = """
import json, os
from ai_edge_litert.interpreter import Interpreter
def make_interpreter(content):
    with open({note!r}, "w") as note:
        json.dump([os.getpid(), len(content)], note)
    if {fault!r}:
        raise ValueError({fault!r})
    return Interpreter(model_content=content)
"""


@pytest.fixture
def install_pycoral(tmp_path, monkeypatch):
    """Return a function that puts a small pycoral where the device's process finds it, and returns what it noted."""

    def install(fault: str = "") -> Path:
        utils = tmp_path / "pycoral" / "utils"
        utils.mkdir(parents=True)
        (tmp_path / "pycoral/__init__.py").write_text("__version__ = '2.0.0'\n")
        (utils / "__init__.py").touch()
        (utils / "edgetpu.py").write_text(PYCORAL.format(note=str(tmp_path / "note"), fault=fault))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        return tmp_path / "note"

    return install


def test_pycoral_is_taken_where_it_is_installed_in_the_process_of_the_device_alone(open_tpu, install_pycoral, compiled):
    note = install_pycoral()
    body = open_tpu()
    assert_reads(body, "edge-tpu pycoral 2.0.0")
    process, length = json.loads(note.read_text())
    assert process != os.getpid() and length == len(compiled.edgetpu_body)


def test_what_pycoral_cannot_open_is_said(open_tpu, install_pycoral):
    install_pycoral("Failed to load delegate from libedgetpu.so.1\n")
    body = open_tpu()
    reason = "The Edge TPU cannot be opened: Failed to load delegate from libedgetpu.so.1; films are"
    assert body.status().reason.startswith(reason)
    assert_reads(body, "cpu ")


def test_a_compiled_body_whose_ends_the_manifest_does_not_describe_is_refused():
    bundle, *_ = known_answers()
    features = replace(bundle.manifest.features, zero_point=bundle.manifest.features.zero_point + 1)
    body = TpuBody(Device("stand-in", bundle.body, replace(bundle.manifest, features=features), threads=1))
    with pytest.raises(DeviceLostError, match="cannot be used: features of the body"):
        body.open()
    body.wait()


# What a driver must export, with a delegate that takes no operator off the CPU; the layout is that of
# tensorflow/lite/core/c/common.h. MODE 0 finds no device, 2 refuses the model, 3 aborts with it.
DRIVER = r"""
#include <stdint.h>
#include <stdlib.h>
typedef struct Delegate {
    void *data;
    int (*prepare)(void *context, struct Delegate *delegate);
    void *copy_from, *copy_to, *release;
    int64_t flags;
    void *builder;
} Delegate;
static int prepare(void *context, Delegate *delegate) {
    if (MODE == 3) abort();
    return MODE == 2;
}
Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
    static Delegate delegate = {.prepare = prepare};
    return MODE ? &delegate : NULL;
}
void tflite_plugin_destroy_delegate(Delegate *delegate) {}
"""


@pytest.fixture
def install_driver(tmp_path, monkeypatch):
    """Return a function that builds a driver and puts it where the device's process finds it."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler is on this machine")

    def install(mode: int) -> None:
        (tmp_path / "driver.c").write_text(DRIVER)
        library = tmp_path / "libedgetpu.so.1"
        command = ["cc", "-shared", "-fPIC", f"-DMODE={mode}", "-o", library, tmp_path / "driver.c"]
        subprocess.run(command, check=True, capture_output=True)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path), prepend=os.pathsep)

    return install


def test_the_drivers_delegate_is_taken_where_there_is_no_pycoral(open_tpu, install_driver):
    install_driver(mode=1)
    body = open_tpu()
    assert_reads(body, "edge-tpu ai-edge-litert ")
    assert body.backend.endswith(" libedgetpu.so.1") and not body.status().degraded


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (0, "cannot be opened: no device answers the driver; look at its plug and its power;"),
        (2, "cannot be opened: it does not take the compiled body ("),
        (3, "was lost, look at its plug and its power;"),
    ],
)
def test_what_the_driver_cannot_do_is_said(open_tpu, install_driver, mode, reason):
    install_driver(mode)
    body = open_tpu()
    assert body.status().reason.startswith(f"The Edge TPU {reason}")
    assert_reads(body, "cpu ")


def test_a_device_that_fails_the_golden_films_never_serves(open_tpu, install_driver):
    install_driver(mode=1)

    def prove(body):
        raise BackendError(f"{body.backend} drifted")

    body = open_tpu(prove=prove)
    assert body.status().degraded and "golden films" in body.status().reason
    assert_reads(body, "cpu ")
