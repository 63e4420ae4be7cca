"""The rows of the list: a film each, and one for files that were passed over together, as they would bury the films."""

from itertools import groupby
from os.path import commonpath
from typing import Any

from cxrbox.store import Store

# Rows on a page, so that it stays below 100 kB.
PAGE_LENGTH = 50
# What is no film at first sight. A patient's disc brings a hundred such files along with its program.
PASSED_OVER = {"unknown_format", "empty", "folder_empty", "not_a_file", "broken_link"}
# Fewer are listed each, with what to do about it.
LEAST_TOGETHER = 4
# Looks into the store for one page, of a page's length each: enough for a few thousand files.
MOST_LOOKS = 100


def list_rows(store: Store, before: int | None, each: bool, text: str = "") -> tuple[list[dict[str, Any]], int | None]:
    """Return the rows of one page, the newest first, and the number before which the next page begins.

    Parameters
    ----------
    store : Store
    before : int or None
        The page begins below this number; None: with the newest film.
    each : bool
        Give every file a row.
    text : str
        As of `PageSide.list_films`.

    Returns
    -------
    rows : list of dict
        Films as the store has them; one that stands for several files has `together`: how many, and `below`, the folder
        that holds them all.
    older : int or None
    """
    films: list[dict[str, Any]] = []
    for _ in range(MOST_LOOKS):
        more = store.list_films(PAGE_LENGTH + 1, films[-1]["id"] if films else before, text)
        films += more
        rows = _join(films, each)
        # A run that reaches the end of what was fetched may go on.
        complete = each or not _is_passed_over(films[-1]) if films else True
        if len(more) <= PAGE_LENGTH or (len(rows) > PAGE_LENGTH and complete):
            break
    shown = rows[:PAGE_LENGTH]
    return shown, (shown[-1].get("last", shown[-1]["id"]) if len(rows) > PAGE_LENGTH else None)


def _join(films: list[dict[str, Any]], each: bool) -> list[dict[str, Any]]:
    rows = []
    for passed_over, run in groupby(films, lambda film: not each and _is_passed_over(film)):
        together = list(run)
        if passed_over and len(together) >= LEAST_TOGETHER:
            below = commonpath(["/".join(["", *film["name"].split("/")[:-1]]) for film in together]).strip("/")
            rows.append(together[0] | {"together": len(together), "below": below, "last": together[-1]["id"]})
        else:
            rows += together
    return rows


def _is_passed_over(film: dict[str, Any]) -> bool:
    return film["sha256"] is None and film["refusal_code"] in PASSED_OVER
