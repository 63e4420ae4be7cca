"""A USB device with the Coral's ids, made by the guest's own kernel: a controller wired to itself, and a gadget.

It appears as 1a6e:089a, and as 18d1:9302 once its "firmware" is loaded, as the real one does. It answers no inference.
"""

from virtual_pi.machine import Machine

BOOTLOADER, READY = ("1a6e", "089a"), ("18d1", "9302")
_GADGET = "/sys/kernel/config/usb_gadget/coral"
_PLUG = f"""
modprobe dummy_hcd is_super_speed=1 && modprobe libcomposite
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
mkdir -p {_GADGET}/configs/c.1 {_GADGET}/functions/SourceSink.0
echo 0x%s > {_GADGET}/idVendor && echo 0x%s > {_GADGET}/idProduct && echo 0x0300 > {_GADGET}/bcdUSB
ln -s {_GADGET}/functions/SourceSink.0 {_GADGET}/configs/c.1/
ls /sys/class/udc | head -1 > {_GADGET}/UDC
udevadm settle
"""
_UNPLUG = f"""
echo > {_GADGET}/UDC
rm {_GADGET}/configs/c.1/SourceSink.0 && rmdir {_GADGET}/configs/c.1 {_GADGET}/functions/SourceSink.0 {_GADGET}
udevadm settle
"""
_FIND = "grep -l %s /sys/bus/usb/devices/*/idVendor | head -1 | xargs -r dirname"


def plug(machine: Machine, ids: tuple[str, str]) -> None:
    """Plug the device in with a vendor and a product id."""
    machine.root(_PLUG % ids)


def unplug(machine: Machine) -> None:
    """Take the device away."""
    machine.root(_UNPLUG)


def find(machine: Machine, ids: tuple[str, str]) -> str:
    """Return the device's folder in sysfs, empty where it is not there."""
    return machine.root(_FIND % ids[0]).strip()
