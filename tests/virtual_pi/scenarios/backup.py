"""A backup of one box, restored on another."""

from pathlib import Path

from virtual_pi import films
from virtual_pi.box import FILMS, STATE
from virtual_pi.lab import Lab, scenario
from virtual_pi.machine import wait_until
from virtual_pi.provision import HOST

# A film that was read is read again, moved a little, when there is time: that is part of its result.
UNTRIED = f"""
import sqlite3
db = sqlite3.connect("file:{STATE}/box.sqlite?mode=ro", uri=True)
print(db.execute("SELECT count(*) FROM results WHERE unstable IS NULL").fetchone()[0])
"""


@scenario("a backup of one box can be restored on another: every film, every result, and the ledger holds")
def backup_and_restore(lab: Lab, facts: dict) -> None:
    """Fetch an encrypted backup, open it with the admin's key on a second machine, and compare."""
    desk, wanted = lab.workstation, films.some(3)
    with lab.another("first") as box:
        box.machine.boot()
        box.wait_until_up()
        box.lay(wanted)
        box.wait_for_films(wanted)
        wait_until(
            lambda: int(box.machine.root("python3 -", stdin=UNTRIED.encode())) == 0,
            300,
            "all films were read once more",
        )
        before = box.wait_for_films(wanted)
        ledger = box.command("verify-log --json")
        folder = lab.folder / "backups"
        play = desk.play("backup.yml", desk.inventory(box.machine), "-e", f"backup_folder={folder}")
        play.assert_done()
    [archive] = folder.glob("*.age")
    assert not _holds(archive, wanted), "the backup holds a film that anybody can see"
    with lab.another("second") as box:
        box.machine.boot()
        box.wait_until_up()
        told = {"cxrbox_backup": archive, "cxrbox_identity": desk.age_key, "cxrbox_restore_to": HOST}
        options = [word for name, value in told.items() for word in ("-e", f"{name}={value}")]
        desk.play("restore.yml", desk.inventory(box.machine), *options).assert_done()
        box.wait_until_up()
        after = box.wait_for_films(wanted)
        for sha256, film in before.items():
            assert after[sha256]["reading"] == film["reading"], "a result is another one after the restore"
        box.assert_sound(wanted)
        assert box.command("verify-log --json") == ledger, "the ledger is another one"
        # The same films again are known: what was restored is what the box works with.
        box.machine.root(f"rm -f {FILMS}/*")
        box.lay({f"again-{name}": content for name, content in wanted.items()})
        new = films.some(1, first=400)
        box.lay(new)
        box.wait_for_films(new)
        assert len(box.films()) == len(wanted) + 1
    facts["backup"] = f"{archive.stat().st_size >> 10} KiB"


def _holds(archive: Path, wanted: dict[str, bytes]) -> bool:
    content = archive.read_bytes()
    return any(film[100:200] in content for film in wanted.values())
