"""How old the patient of a DICOM film was."""

import re
from datetime import datetime

from pydicom import Dataset

from cxrbox.decoding.limits import distrust

# Of an Age String (PS3.5 6.2), in years; some machines leave the unit out.
UNITS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
# Years; older are those whose birth date was blotted out with another.
OLDEST = 120
# When the film was taken, the most certain first.
TAKEN = "AcquisitionDate", "ContentDate", "StudyDate"


def read_age(dataset: Dataset) -> float | None:
    """Return the age in years that a header tells, by itself or by two dates; None where it tells none that can be.

    An age of nothing is none: it stands where a header was made anonymous.
    """
    with distrust():
        age = _of_age(str(dataset.get("PatientAge") or "")) or _of_dates(dataset)
    return age if age and 0 < age < OLDEST else None


def _of_age(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.strip(" \0").upper())
    return int(found[1]) * UNITS[found[2]] if found else None


def _of_dates(dataset: Dataset) -> float | None:
    born = _date(dataset, "PatientBirthDate")
    taken = next((day for name in TAKEN if (day := _date(dataset, name))), None)
    return (taken - born).days / 365.25 if born and taken else None


def _date(dataset: Dataset, keyword: str) -> datetime | None:
    try:
        return datetime.strptime(str(dataset.get(keyword) or ""), "%Y%m%d")
    except ValueError:
        return None
