"""What a training says of itself: metrics.csv and TensorBoard, a row an epoch."""

import csv
from pathlib import Path

from tensorboardX import SummaryWriter

METRICS = "metrics.csv"
COLUMNS = (
    "phase",
    "epoch",
    "step",
    "rate",
    "momentum",
    "loss",
    "validation_loss",
    "validation_auc",
    "films_per_second",
    "seconds",
)


class Journal:
    """The journal of a run.

    Parameters
    ----------
    folder : Path
        Of the run.
    steps : int
        Steps that are done already, when a training goes on.
    """

    def __init__(self, folder: Path, steps: int):
        self.path = folder / METRICS
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=steps + 1 if steps else None)

    def write(self, history: list[dict]) -> None:
        """Write all rows anew, and the last one to TensorBoard."""
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(history)
        last = history[-1]
        for name in COLUMNS[3:]:
            self.board.add_scalar(name, last[name], last["step"])
        self.board.flush()

    def close(self) -> None:
        """Close the log of TensorBoard."""
        self.board.close()
