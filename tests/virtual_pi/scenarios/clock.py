"""A Pi has no clock of its own."""

from virtual_pi import films
from virtual_pi.lab import Lab, scenario


@scenario("with the clock in 1970 and no network the box reads, and says that its clock is not to be trusted")
def clock_in_1970(lab: Lab, facts: dict) -> None:
    """Boot at the dawn of time."""
    wanted = films.some(2)
    with lab.another("clock") as box:
        box.machine.boot(clock="1970-01-01T00:00:00", offline=True)
        box.wait_until_up()
        box.lay(wanted)
        shown = box.wait_for_films(wanted)
        box.wait_for_notice("clock")
        trusted = {film["reading"]["clock_trusted"] for film in shown.values()}
        assert trusted == {False}, f"results say clock_trusted {trusted}"
        box.assert_sound(wanted)
        facts["the guest's clock"] = box.machine.sh("date -u +%FT%T").strip()


@scenario("once a time server was heard, results say that the clock could be trusted")
def clock_set(lab: Lab, facts: dict) -> None:
    """Boot at the dawn of time, with a time server in the LAN."""
    wanted = films.some(1)
    with lab.another("set") as box:
        box.machine.boot(clock="1970-01-01T00:00:00")
        box.wait_until_up()
        box.wait_for_notice("clock", there=False, seconds=300)
        box.lay(wanted)
        shown = box.wait_for_films(wanted)
        trusted = {film["reading"]["clock_trusted"] for film in shown.values()}
        assert trusted == {True}, f"results say clock_trusted {trusted}"
