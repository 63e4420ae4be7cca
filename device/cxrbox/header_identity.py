"""Whom a film shows, as its DICOM header says; kept in the database alone and never logged."""

from pathlib import Path

from pydicom import dcmread

from cxrbox.decoding.limits import distrust
from cxrbox.errors import RefusedError
from cxrbox.names import plain
from cxrbox.store.record_side import LONGEST_IDENTITY


def read_patient_id(path: Path) -> str | None:
    """Return the Patient ID (0010,0020) of a DICOM file that was decoded before; None where it has none that can be."""
    try:
        with distrust():
            header = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"], force=True)
            # Several values, which the standard does not allow, are one text: a backslash parts them (PS3.5 6.4).
            values = header.get("PatientID") or ""
            text = plain(values if isinstance(values, str) else "\\".join(map(str, values)))
    except RefusedError:
        return None
    # Cut off, two patients could become one.
    return text if 0 < len(text) <= LONGEST_IDENTITY else None
