"""The F1 figures that the paper published of its one-vs-all network, from its confusion counts.

Elkins, Freitas, Sanz, J Med Artif Intell 2020;3:8: Pneumothorax against all other films with a finding, decisions at
0.5 on its 10,351 validation films. It states the sample weights 0.5566 and 4.902, by its eq. 1.1, but its figures
are those of the weights 0.5566 and 1.

It names five averages (1.3). Four figures are known here: binary, micro, macro and weighted. The fifth, "samples",
can be no other than "micro": with one answer a film both are the accuracy.
"""

import numpy as np

from cxrtrain.evaluate.decisions import AVERAGES, average_decisions

TRUE_POSITIVES, FALSE_NEGATIVES, TRUE_NEGATIVES, FALSE_POSITIVES = 629, 427, 6439, 2856
PUBLISHED = {"binary": 0.384, "micro": 0.676, "macro": 0.582, "weighted": 0.713}
# Of a film without, and with, the finding.
ACTUAL, STATED, NONE = (0.5566, 1.0), (0.5566, 4.902), (1.0, 1.0)
COLUMNS = {"actual weights": ACTUAL, "stated weights": STATED, "unweighted": NONE}


def paper_decisions() -> tuple[np.ndarray, np.ndarray]:
    """Return truth and calls of the paper's validation films: int of 0 and 1, shape (10351,)."""
    films = (TRUE_POSITIVES, FALSE_NEGATIVES, TRUE_NEGATIVES, FALSE_POSITIVES)
    return np.repeat([1, 1, 0, 0], films), np.repeat([1, 0, 0, 1], films)


def weighted_f1(weights: tuple[float, float]) -> dict[str, float]:
    """Return F1 by average; the weights are of a film without, and with, the finding."""
    truth, called = paper_decisions()
    return average_decisions(truth, called, np.array(weights)[truth])["f1"]


def as_text() -> str:
    """Return a line an average: the published figure, and ours by each pair of weights."""
    tables = [weighted_f1(weights) for weights in COLUMNS.values()]
    heads = ("published", *(f"{name} {list(pair)}" for name, pair in COLUMNS.items()))
    lines = ["F1        " + "".join(f"  {head}" for head in heads)]
    for average in AVERAGES:
        known = f"{PUBLISHED[average]:.3f}" if average in PUBLISHED else "-"
        cells = (known, *(f"{table[average]:.3f}" for table in tables))
        lines.append(
            f"{average:<10}" + "".join(f"  {cell:>{len(head)}}" for cell, head in zip(cells, heads, strict=True))
        )
    return "\n".join([*lines, "samples: not among the figures known here; with one answer a film it equals micro"])
