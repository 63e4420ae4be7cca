"""What the reference DenseNet-121 says of films."""

import csv
from pathlib import Path

from cxrbundle.labels import FINDINGS

from cxrtrain.errors import FilmsError

# Below the folder of the films.
REFERENCE = Path("meta/reference_densenet121_predictions.csv")


def read_reference(path: Path) -> dict[str, list[float]]:
    """Return the reference's probability of each finding by the film's image; empty where the file is absent.

    Raises
    ------
    FilmsError
        If the table is not of that form.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="") as file:
            rows = csv.DictReader(file)
            return {row["Image Index"]: [float(row[f"prob_{finding}"]) for finding in FINDINGS] for row in rows}
    except (KeyError, ValueError) as err:
        raise FilmsError(f"{path}: column or value {err} is not as expected; copy it again") from err
