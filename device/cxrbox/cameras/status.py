"""How the scan station is, and how often it does what."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """How often, in seconds; the defaults suit a person before the box.

    Attributes
    ----------
    picture : float
        Least time between two previews.
    idle : float
        Time between two looks for a request while nobody looks at the preview.
    rest : float
        Time without a look after which the camera is let go.
    first_pause, longest_pause : float
        Between losing the camera and opening it again; doubled each time.
    """

    picture: float = 1 / 8
    idle: float = 0.2
    rest: float = 30.0
    first_pause: float = 0.5
    longest_pause: float = 10.0


@dataclass(frozen=True)
class StationStatus:
    """How the station is; the page and Health show it.

    Attributes
    ----------
    camera : str
        Name of the camera.
    working : bool
        Whether it sent pictures when it was last asked, and they could be shown.
    resting : bool
        Whether it was let go because nobody looks.
    reason : str
        One sentence for people: why it does not work; empty where it does.
    locked : tuple of str
        What is held of exposure, white balance and focus, as the camera names it.
    flat_field : str
        "in use", "none", or a sentence why the one that was kept is not used.
    fps : int or None
        Previews in a second, coached; None while nobody looks.
    answer : dict or None
        Of the last request: its `token`, whether it was `done`, and a `sentence` for people.
    """

    camera: str
    working: bool
    resting: bool
    reason: str
    locked: tuple[str, ...]
    flat_field: str
    fps: int | None
    answer: dict[str, Any] | None
