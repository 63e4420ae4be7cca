"""All hardships, entered into `virtual_pi.lab.SCENARIOS` in the order in which they are played."""

# ruff: noqa: F401, I001
from virtual_pi.scenarios import logits
from virtual_pi.scenarios import sticks
from virtual_pi.scenarios import devices
from virtual_pi.scenarios import faults
from virtual_pi.scenarios import flash
from virtual_pi.scenarios import inventories
from virtual_pi.scenarios import clock
from virtual_pi.scenarios import backup
from virtual_pi.scenarios import power
