"""Whom a film shows, as its DICOM header says; kept in the database alone and never logged."""

from pathlib import Path

from pydicom import dcmread

from cxrbox.decoding.limits import distrust
from cxrbox.errors import RefusedError
from cxrbox.identity import plain
from cxrbox.store.record_side import LONGEST_IDENTITY


def read_patient_id(path: Path) -> str | None:
    """Return the Patient ID (0010,0020) of a DICOM file that was decoded before; None where it has none to be read."""
    try:
        with distrust():
            header = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"], force=True)
            text = str(header.get("PatientID") or "")
    except RefusedError:
        return None
    return plain(text)[:LONGEST_IDENTITY] or None
