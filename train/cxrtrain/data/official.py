"""NIH's two lists: which image is for training and validation, and which for testing."""

from dataclasses import replace
from pathlib import Path

from cxrtrain.data.films import TEST, TRAIN_VAL, Film
from cxrtrain.data.tables import name_culprits
from cxrtrain.errors import FilmsError

TRAIN_VAL_LIST, TEST_LIST = "train_val_list.txt", "test_list.txt"


def mark_official(films: list[Film], lists: Path) -> list[Film]:
    """Return the films with their part in the lists of a folder.

    Raises
    ------
    FilmsError
        If the lists cannot be read, or are not of the same images as the films.
    """
    train_val, test = _read_list(lists / TRAIN_VAL_LIST), _read_list(lists / TEST_LIST)
    _check_lists(lists, {film.image for film in films}, train_val, test)
    tested = set(test)
    return [replace(film, official=TEST if film.image in tested else TRAIN_VAL) for film in films]


def has_lists(folder: Path) -> bool:
    """Return whether both lists stand in a folder."""
    return all((folder / name).is_file() for name in (TRAIN_VAL_LIST, TEST_LIST))


def _read_list(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as err:
        reason = f"cannot be read ({err.strerror})"
        raise FilmsError(f"{path} {reason}; name its folder with --lists, or take --split patient") from err
    except UnicodeDecodeError as err:
        raise FilmsError(f"{path} is not a list of images; download it again") from err


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
