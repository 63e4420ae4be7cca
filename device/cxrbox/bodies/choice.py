"""Which body reads the films of this box."""

from cxrbundle.bundle import Bundle

from cxrbox.bodies.cpu import CpuBody
from cxrbox.bodies.edge_tpu import edge_tpu_is_there
from cxrbox.bodies.seam import Body, Prove
from cxrbox.bodies.switching import Pauses, SwitchingBody
from cxrbox.bodies.tpu import INVOKE_SECONDS, OPEN_SECONDS, Device
from cxrbox.errors import BackendError, ConfigError

# The values of the setting `tpu`.
CHOICES = ("auto", "cpu", "tpu", "stand-in")


def open_body(
    bundle: Bundle,
    choice: str,
    threads: int,
    prove: Prove,
    *,
    open_seconds: float = OPEN_SECONDS,
    invoke_seconds: float = INVOKE_SECONDS,
    pauses: Pauses | None = None,
) -> Body:
    """Return the body that reads films; a device is opened in the background while the CPU reads.

    Parameters
    ----------
    bundle : Bundle
    choice : str
        `auto` takes the Edge TPU where one is plugged in and the bundle carries a body compiled for it, else the CPU;
        `tpu` wants the Edge TPU whether it is there or not; `cpu`; `stand-in`, for trials without the device.
    threads : int
        Of the interpreter on the CPU.
    prove : Prove
        A device is in service only once it has passed.
    open_seconds, invoke_seconds : float
        Deadlines of the device.
    pauses : Pauses
        Between losing a device and opening it again.

    Raises
    ------
    BackendError
        If the CPU's body cannot be run, or the Edge TPU is wanted and the bundle has no body for it.
    ConfigError
        If there is no such choice.
    """
    check_choice(bundle, choice)
    compiled = bundle.edgetpu_body
    there = choice == "auto" and edge_tpu_is_there()
    if choice == "stand-in":
        device = Device("stand-in", bundle.body, bundle.manifest, threads, open_seconds, invoke_seconds)
    elif choice == "tpu" or (there and compiled):
        device = Device("edge-tpu", compiled, bundle.manifest, threads, open_seconds, invoke_seconds)
    else:
        idle = f"An Edge TPU is plugged in, but {bundle.title} has no body for it; films are read on the processor."
        return CpuBody(bundle, threads, remark=idle if there else "")
    return SwitchingBody(CpuBody(bundle, threads), device, prove, pauses)


def check_choice(bundle: Bundle, choice: str) -> None:
    """Raise ConfigError if there is no such choice, or BackendError if the bundle has no body for it."""
    if choice not in CHOICES:
        raise ConfigError(f"tpu is {choice!r}; it must be one of {', '.join(CHOICES)}")
    if choice == "tpu" and not bundle.edgetpu_body:
        raise BackendError(
            f"tpu is 'tpu', but {bundle.title} has no body for the Edge TPU; compile one, or set it to auto"
        )
