"""How a film hangs: which way up, mirrored or not, as a negative or not, and with both lungs or not."""

from dataclasses import dataclass

import numpy as np

from cxrbox.capture.networks import see_hanging, upright_input

# Odds, as logits, beyond which the heart's side decides; between them somebody is asked.
SURE_OF_MIRROR = 3.0
# Odds above which a film is taken for a negative, or its lungs for cut.
NEGATIVE = 0.0
CUT = 0.5


@dataclass(frozen=True)
class Hanging:
    """How a film was found hanging.

    Attributes
    ----------
    turns : int
        Quarter turns anticlockwise that it hangs turned by.
    mirrored : str
        "yes" or "no" where the heart's shadow tells clearly, else "ask". Nobody but a marker can tell a mirrored
        film from the rare heart on the right: a page that shows "yes" must let people undo it.
    negative : bool
        Bone is dark.
    lungs_cut : bool
        A part of a lung is outside the film.
    turn_odds, mirror_odds, cut_odds : float
        Logits: of the turn against the next best, of mirrored against not, of cut against complete.
    """

    turns: int
    mirrored: str
    negative: bool
    lungs_cut: bool
    turn_odds: float
    mirror_odds: float
    cut_odds: float


def tell_hanging(film: np.ndarray) -> Hanging:
    """Tell how a rectified film hangs, uint8 (height, width)."""
    hanging, negative, cut = _see_all_ways(film)
    of_turns = np.logaddexp(hanging[:4], hanging[4:])
    turns = int(of_turns.argmax())
    mirror = float(hanging[turns + 4] - hanging[turns])
    others = np.delete(of_turns, turns)
    mirrored = "ask" if abs(mirror) < SURE_OF_MIRROR else "yes" if mirror > 0 else "no"
    margin = float(of_turns[turns] - np.logaddexp.reduce(others))
    return Hanging(turns, mirrored, negative > NEGATIVE, cut > CUT, margin, mirror, cut)


def _see_all_ways(film: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the mean logits of the film seen all eight ways: of turn and mirror (8,), negative, and cut."""
    picture = upright_input(film)[0]
    ways = [(flip, turn) for flip in (False, True) for turn in range(4)]
    seen = np.stack([np.rot90(picture[:, ::-1] if flip else picture, turn)[np.newaxis] for flip, turn in ways])
    said = see_hanging(np.ascontiguousarray(seen))
    total = np.zeros(8, np.float32)
    turns = np.arange(4)
    for (flip, turn), logits in zip(ways, said, strict=True):
        # A film that hangs by k turns, flipped, hangs by -k turns and mirrored the other way.
        then = (turn - turns if flip else turn + turns) % 4
        total += np.r_[logits[then + 4 * flip], logits[then + 4 * (not flip)]]
    return total / len(ways), float(said[:, 8].mean()), float(said[:, 9].mean())


def hang_upright(film: np.ndarray, hanging: Hanging) -> np.ndarray:
    """Return the film the right way up, as seen from in front and bone bright; one to ask about stays unmirrored."""
    film = np.rot90(film, -hanging.turns)
    film = film[:, ::-1] if hanging.mirrored == "yes" else film
    return np.ascontiguousarray(255 - film if hanging.negative else film)
