"""`cxrbox migrate`: bring a state folder to another release's schema, forward or back."""

from cxrbox.settings import Settings
from cxrbox.store import change_schema
from cxrbox.store.database import require_state
from cxrbox.supervise import PARTS, state_locks


def run_migrate(settings: Settings, to: int) -> int:
    """Change the schema while no part of the box runs, and say so.

    Raises
    ------
    ConfigError
        If this release does not know the schema.
    AlreadyRunningError
        If a box works with the state folder.
    """
    require_state(settings.state)
    with state_locks(settings, PARTS):
        before = change_schema(settings.state, to)
    print(f"the state folder was of schema {before} and is of schema {to} now")
    return 0
