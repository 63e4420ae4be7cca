"""`cxrbox retain`: remove originals that must not or cannot be kept, once; a timer runs it."""

from cxrbox.errors import ConfigError
from cxrbox.retention import MOST_AT_ONCE, Keeper, open_with_room
from cxrbox.settings import Settings
from cxrbox.store import open_store


def run_retain(settings: Settings) -> int:
    """Remove originals past their age, or the oldest where the disk fills up, and say how many; return 0.

    Raises
    ------
    ConfigError
        If some of them are another user's.
    """
    keeper = Keeper(settings, open_with_room(settings.state, open_store))
    removed = [keeper.look()]
    while removed[-1] >= MOST_AT_ONCE:
        removed.append(keeper.look())
    if any(removed):
        print(f"the originals of {sum(removed)} films were removed; their results stay")
    if keeper.forbidden:
        raise ConfigError(
            f"{len(keeper.forbidden)} originals of {settings.state} are another user's and cannot be removed;"
            " give them to the user of the box"
        )
    return 0
