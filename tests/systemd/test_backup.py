"""A backup of a real box, opened with a real key and put in place elsewhere; what is not whole is refused."""

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_box import RunningBox, free_port, is_root

LIBEXEC = Path(__file__).parents[2] / "systemd" / "libexec"
COMMAND = Path(sys.executable).parent / "cxrbox"


@dataclass
class Site:
    """A box as the scripts find it, below a folder of its own.

    Attributes
    ----------
    data : Path
        Stands for /var/lib/cxrbox.
    key : Path
        The secret key that opens its backups; on a real site it never lies on the box.
    """

    data: Path
    key: Path

    @property
    def settings(self) -> Path:
        return self.data / "etc"

    @property
    def backups(self) -> list[Path]:
        return sorted(self.data.glob("backups/*.tar.age"))

    def lay(self, recipients: str) -> None:
        """Lay settings as on a box."""
        (self.settings / "keys").mkdir(parents=True)
        (self.settings / "keys" / "site.pub").write_text("a public key")
        (self.settings / "box.toml").write_text(f'state = "{self.data}/state"\nretention_free_mb = 1\n')
        (self.settings / "backup-recipients.txt").write_text(recipients)

    def script(self, name: str, **more) -> subprocess.CompletedProcess:
        places = {"CXRBOX_DATA": self.data, "CXRBOX_SETTINGS": self.settings, "CXRBOX_COMMAND": COMMAND}
        environment = os.environ | {key: str(value) for key, value in places.items()} | {"CXRBOX_OWNER": "root"}
        return subprocess.run([LIBEXEC / name], env=environment, capture_output=True, check=False, **more)

    def back_up(self) -> Path:
        before = self.backups
        done = self.script("backup")
        assert done.returncode == 0, done.stderr
        [new] = set(self.backups) - set(before)
        return new

    def restore(self, content: bytes) -> subprocess.CompletedProcess:
        return self.script("restore", input=content)

    def refuses(self, content: bytes, sentence: str) -> bool:
        """Return whether a restore is refused with a sentence and nothing of it stays."""
        done = self.restore(content)
        left = [path.name for path in self.data.iterdir()]
        return done.returncode == 1 and sentence in done.stderr.decode() and left == []


@pytest.fixture(scope="module")
def age(tmp_path_factory):
    """Return a folder with a secret key, and the public key."""
    if not shutil.which("age"):
        pytest.skip("age is not on this machine")
    key = tmp_path_factory.mktemp("key") / "secret"
    done = subprocess.run(["age-keygen", "-o", key], capture_output=True, text=True, check=True)
    return key, done.stderr.split("Public key: ")[1].strip()


@pytest.fixture(scope="module")
def full(tmp_path_factory, age):
    """Return a site whose box has read two films and refused a letter, and runs on."""
    import cv2
    from cxrbundle.phantom import draw_phantom

    box = RunningBox(tmp_path_factory.mktemp("box"), free_port())
    box.films.mkdir()
    for seed in (1, 2):
        cv2.imwrite(str(box.films / f"{seed}.png"), draw_phantom(seed))
    (box.films / "letter.txt").write_text("no film")
    box.start("--settle-seconds", "0.1", "--retention-free-mb", "0")
    box.wait_for("1.png", "2.png", "letter.txt")
    site = Site(box.folder, age[0])
    site.lay(age[1])
    yield site
    box.stop()


@pytest.fixture
def empty(tmp_path, age):
    """Return a second machine, without films."""
    if not is_root():
        pytest.skip("only root may restore")
    (tmp_path / "second").mkdir()
    return Site(tmp_path / "second", age[0])


@pytest.fixture(scope="module")
def backup(full) -> Path:
    return full.back_up()


@pytest.fixture(scope="module")
def content(backup, full) -> bytes:
    """Return what the secret key finds in the backup."""
    return subprocess.run(["age", "-d", "-i", full.key, backup], capture_output=True, check=True).stdout


def test_a_backup_of_a_running_box_is_put_in_place_on_another(full, backup, content, empty, cxrbox):
    assert b"PNG" not in backup.read_bytes() and backup.stat().st_mode & 0o77 == 0
    done = empty.restore(content)
    assert done.returncode == 0, done.stderr
    for command in (("verify-log",), ("export", "--json")):
        ours, theirs = (cxrbox(*command, "--state", site.data / "state") for site in (full, empty))
        assert theirs.returncode == 0 and theirs.stdout == ours.stdout
    assert cxrbox("replay", "1", "--state", empty.data / "state").returncode == 0
    restored = empty.data / "restored-settings"
    assert (restored / "box.toml").read_text() == (full.settings / "box.toml").read_text()
    assert (restored / "keys" / "site.pub").exists()
    assert sorted(path.name for path in empty.data.iterdir()) == ["restored-settings", "state"]


def test_a_restore_never_goes_over_films(full):
    done = full.restore(b"")
    assert done.returncode == 1 and b"holds films already; move it away first" in done.stderr
    assert (full.data / "state" / "box.sqlite").exists()


@pytest.mark.parametrize("spoil", ["cut", "altered"])
def test_a_backup_that_was_cut_or_altered_is_refused(full, backup, empty, tmp_path, spoil):
    content = bytearray(backup.read_bytes())
    if spoil == "cut":
        del content[-5000:]
    else:
        content[len(content) // 2] ^= 1
    spoiled = tmp_path / "spoiled"
    spoiled.write_bytes(content)
    # As on the command line: what age could open of it goes into restore.
    with subprocess.Popen(
        ["age", "-d", "-i", full.key, spoiled], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as age:
        part = age.stdout.read()
    assert age.returncode != 0
    assert empty.refuses(part, "nothing was put in place")


def repacked(content: bytes, folder: Path, change) -> bytes:
    """Return a backup after a change that whoever has the public key can make."""
    folder.mkdir()
    unpacked = folder / "content"
    subprocess.run(["tar", "-x", "-C", folder, "--one-top-level=content"], input=content, check=True)
    change(unpacked)
    return subprocess.run(["tar", "-c", "-C", unpacked, "."], capture_output=True, check=True).stdout


def alter_original(folder: Path) -> None:
    next(folder.glob("state/originals/*/*")).write_bytes(b"another film")


def lose_original(folder: Path) -> None:
    next(folder.glob("state/originals/*/*")).unlink()


def lose_original_and_its_line(folder: Path) -> None:
    original = next(folder.glob("state/originals/*/*"))
    original.unlink()
    sums = folder / "state" / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if f"/{original.name}\n" not in line))


def add_link(folder: Path) -> None:
    (folder / "state" / "pictures" / "x.jpg").symlink_to("/etc/shadow")


def alter_result(folder: Path) -> None:
    """Alter a result and its hash in the list as well, so that only the ledger can tell."""
    state = folder / "state"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"""
import sqlite3
with sqlite3.connect({str(state / "box.sqlite")!r}) as db:
    db.execute("UPDATE results SET reading = reading || ' '")
db.close()
""",
        ],
        check=True,
    )
    subprocess.run(
        "find . -type f ! -name SHA256SUMS -printf '%P\\0' | xargs -0 sha256sum > ../s; mv ../s SHA256SUMS",
        shell=True,
        cwd=state,
        check=True,
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (alter_original, "is not as it was when the backup was made"),
        (lose_original, "1 files are missing or too many, the first is originals/"),
        (lose_original_and_its_line, "the originals of 1 films are missing"),
        (add_link, "is neither a file nor a folder"),
        (alter_result, "of the ledger is wrong"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_somebody_altered_before_it_was_encrypted_is_refused(content, empty, tmp_path, change, sentence):
    assert empty.refuses(repacked(content, tmp_path / "repacked", change), sentence)


def test_a_backup_that_stops_between_two_files_is_refused(content, empty, tmp_path):
    """Tar itself finds nothing wrong with it."""
    (tmp_path / "tar").write_bytes(content)
    with tarfile.open(tmp_path / "tar") as tar:
        members = [member for member in tar if member.isfile()]
    assert empty.refuses(content[: members[len(members) // 2].offset], "nothing was put in place")


def test_the_newest_three_backups_stay_and_what_a_power_cut_left_goes(full):
    leftover = full.data / "backups" / ".backup.abcdef"
    leftover.mkdir()
    for year in (2021, 2022, 2023, 2024):
        (full.data / "backups" / f"cxrbox-a-{year}-01-01T000000Z.tar.age").touch()
    for old in full.backups[4:]:
        old.unlink()
    kept = full.backups[2:]
    new = full.back_up()
    assert full.backups == [*kept, new]
    assert [path for path in (full.data / "backups").iterdir() if path not in full.backups] == []


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "backup-recipients.txt",
            "# nobody yet\n",
            "names nobody who could open a backup",
        ),
        ("backup-recipients.txt", "age1wrong\n", "has a line that is no key"),
        ("box.toml", "retention_free_mb = 99999999\n", "MiB are free; fetch and remove older ones"),
    ],
)
def test_a_backup_that_cannot_be_made_says_why_and_leaves_nothing(full, name, text, sentence):
    file, before = full.settings / name, full.backups
    kept = file.read_text()
    file.write_text(text + (kept if name == "box.toml" else "").replace("retention_free_mb", "threads"))
    done = full.script("backup")
    file.write_text(kept)
    assert done.returncode == 1 and sentence in done.stderr.decode(), done.stderr
    assert full.backups == before and not list((full.data / "backups").glob(".backup.*"))


def test_a_snapshot_into_a_folder_that_is_in_use_is_refused(full, cxrbox, tmp_path):
    (tmp_path / "mine").touch()
    done = cxrbox("snapshot", "--state", full.data / "state", tmp_path)
    assert done.returncode == 2 and "is not empty; name a new folder" in done.stderr


def test_to_prove_a_snapshot_changes_nothing_in_it(full, cxrbox, tmp_path):
    folder = full.data / "proven"
    assert cxrbox("snapshot", "--state", full.data / "state", folder).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for _ in range(2):
        done = cxrbox("snapshot", "--check", folder)
        assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    shutil.rmtree(folder)
