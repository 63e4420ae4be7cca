"""Which image is trained on, validated on and tested on: NIH's split, one by patient, and the paper's own."""

from collections import Counter
from pathlib import Path

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.errors import FilmsError
from cxrtrain.data.films import TEST, TRAIN, VALIDATION
from cxrtrain.data.metadata import Entry, label_rows, name_culprits

TRAIN_VAL_LIST, TEST_LIST = "train_val_list.txt", "test_list.txt"
PATIENT_TEST_SHARE = 0.2
# Elkins et al. 2020: the seed and the share of their data block.
PAPER_SEED = 42
PAPER_SHARE = 0.2

Parts = dict[str, str]


def read_list(path: Path) -> list[str]:
    """Read one of NIH's lists: an image on each line.

    Raises
    ------
    FilmsError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as err:
        reason = f"cannot be read ({err.strerror})"
        raise FilmsError(f"{path} {reason}; name its folder with --lists, or take --split patient") from err
    except UnicodeDecodeError as err:
        raise FilmsError(f"{path} is not a list of images; download it again") from err


def official_split(entries: list[Entry], lists: Path, seed: int, share: float) -> Parts:
    """Return the part of each image in NIH's split; SHARE of train_val's patients are for validation.

    Raises
    ------
    FilmsError
        If the lists and the entries are not of the same images.
    """
    train_val, test = read_list(lists / TRAIN_VAL_LIST), read_list(lists / TEST_LIST)
    _check_lists(lists, {entry.image for entry in entries}, train_val, test)
    tested = set(test)
    rest = [entry for entry in entries if entry.image not in tested]
    return dict.fromkeys(test, TEST) | _by_patient(rest, draw_patients(rest, seed, share), VALIDATION)


def _check_lists(lists: Path, images: set[str], train_val: list[str], test: list[str]) -> None:
    if both := sorted(set(train_val) & set(test)):
        raise FilmsError(
            f"{lists}: {len(both)} images stand in {TRAIN_VAL_LIST} and {TEST_LIST}: {name_culprits(both)}"
        )
    for name, listed in ((TRAIN_VAL_LIST, train_val), (TEST_LIST, test)):
        if unknown := [image for image in listed if image not in images]:
            raise FilmsError(f"{lists / name} has {len(unknown)} images without metadata: {name_culprits(unknown)}")
    if unlisted := sorted(images.difference(train_val, test)):
        raise FilmsError(f"{lists}: {len(unlisted)} images stand in neither list: {name_culprits(unlisted)}")


def patient_split(entries: list[Entry], seed: int, share: float) -> Parts:
    """Return the part of each image: a fifth of all patients for testing, SHARE of all for validation."""
    tested = draw_patients(entries, seed, PATIENT_TEST_SHARE)
    rest = [entry for entry in entries if entry.patient not in tested]
    validated = draw_patients(rest, seed, share / (1 - PATIENT_TEST_SHARE))
    return _by_patient(entries, tested, TEST) | _by_patient(rest, validated, VALIDATION)


def paper_split(entries: list[Entry]) -> Parts:
    """Return the split of Elkins et al. 2020, by image: of those with a finding the first fifth, once permuted.

    It is here to reproduce their figures. Patients stand in both of its parts, so nothing else is to be
    quoted on it.
    """
    found = [entry.image for entry in entries if any(entry.labels)]
    # The stream of `np.random.seed(42); np.random.permutation(n)`, without touching the global one.
    order = np.random.RandomState(PAPER_SEED).permutation(len(found))
    validated = {found[i] for i in order[: int(PAPER_SHARE * len(found))]}
    return {image: VALIDATION if image in validated else TRAIN for image in found}


def _by_patient(entries: list[Entry], chosen: set[str], part: str) -> Parts:
    """Return PART for the chosen patients' images, and training for all others."""
    return {entry.image: part if entry.patient in chosen else TRAIN for entry in entries}


def draw_patients(entries: list[Entry], seed: int, share: float) -> set[str]:
    """Return SHARE of the patients, stratified by each one's rarest finding and number of images.

    All patients are put in one line, alike ones side by side in random order, and taken at even
    distances from a random start: so the images and every finding are divided much as the patients are.
    """
    rarest = _rarest_findings(entries)
    images = Counter(entry.patient for entry in entries)
    random = np.random.default_rng(seed)
    line = sorted(rarest)
    random.shuffle(line)
    line.sort(key=lambda patient: (rarest[patient], images[patient]))
    marks = np.floor(np.arange(len(line) + 1) * share + random.random())
    return {patient for patient, step in zip(line, np.diff(marks), strict=True) if step}


def _rarest_findings(entries: list[Entry]) -> dict[str, int]:
    """Return the rank by rarity of each patient's rarest finding; 14 for a patient without any."""
    order = np.argsort(label_rows(entries).sum(axis=0), kind="stable")
    rank = {int(finding): place for place, finding in enumerate(order)}
    rarest: dict[str, int] = {}
    for entry in entries:
        own = min((rank[i] for i, on in enumerate(entry.labels) if on), default=len(FINDINGS))
        rarest[entry.patient] = min(own, rarest.get(entry.patient, own))
    return rarest


def split_facts(entries: list[Entry], parts: Parts) -> dict:
    """Return the size of each part, its images with each finding, and what leaks from training."""
    members = {part: [e for e in entries if parts.get(e.image) == part] for part in (TRAIN, VALIDATION, TEST)}
    members = {part: own for part, own in members.items() if own}
    trained = {entry.patient for entry in members.get(TRAIN, [])}
    return {
        "parts": {part: _part_facts(own) for part, own in members.items()},
        "leakage": {part: leakage(own, trained) for part, own in members.items() if part != TRAIN},
    }


def _part_facts(entries: list[Entry]) -> dict:
    return {
        "images": len(entries),
        "patients": len({entry.patient for entry in entries}),
        "findings": dict(zip(FINDINGS, label_rows(entries).sum(axis=0).tolist(), strict=True)),
    }


def leakage(entries: list[Entry], trained: set[str]) -> dict:
    """Return how many images, and patients, are of a patient who is trained on too."""
    patients = {entry.patient for entry in entries}
    images = sum(entry.patient in trained for entry in entries)
    leaked = len(patients & trained)
    return {
        "images": images,
        "share_of_images": round(images / len(entries), 4),
        "patients": leaked,
        "share_of_patients": round(leaked / len(patients), 4),
    }
