"""The Edge TPU itself. Only the child process opens it: a USB fault aborts the process that holds the device."""

from pathlib import Path

from cxrbox.bodies.network import Network, find_runtime
from cxrbox.errors import BackendError

DRIVER = "libedgetpu.so.1"
# A USB Coral before and after its firmware was loaded.
USB_IDS = ("1a6e:089a", "18d1:9302")


def edge_tpu_is_there(root: Path = Path("/")) -> bool:
    """Return whether the kernel knows an Edge TPU on USB or PCIe; the device is not opened."""
    ids = (_usb_id(device.parent) for device in root.glob("sys/bus/usb/devices/*/idVendor"))
    return any(name in USB_IDS for name in ids) or any(root.glob("dev/apex_*"))


def _usb_id(device: Path) -> str:
    try:
        return ":".join((device / name).read_text().strip() for name in ("idVendor", "idProduct"))
    except OSError:  # unplugged meanwhile
        return ""


def open_edge_tpu(content: bytes, threads: int) -> tuple[Network, str]:
    """Open the Edge TPU with a compiled body, by pycoral where it is installed, else by the driver's delegate.

    Returns
    -------
    tuple of Network and str
        What runs, and the runtime it runs through, with the version.

    Raises
    ------
    BackendError
        If there is no driver or no device, or it does not take the body; the sentence goes on from "it cannot be
        opened".
    """
    try:
        return _open_with_pycoral(content)
    except ImportError:
        return _open_with_delegate(content, threads)


def _open_with_pycoral(content: bytes) -> tuple[Network, str]:
    import pycoral
    from pycoral.utils.edgetpu import make_interpreter

    try:
        return Network(make_interpreter(content)), f"pycoral {pycoral.__version__}"
    except (RuntimeError, ValueError) as err:
        raise BackendError(_in_one_line(err)) from err


def _open_with_delegate(content: bytes, threads: int) -> tuple[Network, str]:
    runtime, name = find_runtime()
    try:
        delegate = runtime.load_delegate(DRIVER)
    except OSError as err:
        raise BackendError(f"its driver is not installed ({_in_one_line(err)})") from err
    except ValueError as err:
        raise BackendError("no device answers the driver; look at its plug and its power") from err
    try:
        interpreter = runtime.Interpreter(model_content=content, num_threads=threads, experimental_delegates=[delegate])
        return Network(interpreter), f"{name} {DRIVER}"
    except (RuntimeError, ValueError) as err:
        raise BackendError(f"it does not take the compiled body ({_in_one_line(err)})") from err


def _in_one_line(err: Exception) -> str:
    return " ".join(str(err).split())
