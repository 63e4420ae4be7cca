"""DICOM: is it a frontal chest film, and its pixels in grey."""

import io
import unicodedata
from typing import Any

import cv2
import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.filereader import read_dataset
from pydicom.uid import UID, UID_dictionary

from cxrbox.decoding.age import read_age
from cxrbox.decoding.colour import check_colour
from cxrbox.decoding.frame import SYNTAXES, decode_frame
from cxrbox.decoding.limits import DAMAGED, check_size, distrust
from cxrbox.decoding.presentation import present
from cxrbox.decoding.sniff import DICOM_START
from cxrbox.refusals import refuse

# Defined terms of PS3.3 C.7.3.1.1.1. DR is no term but many machines write it; OT is what scanners of paper
# film write.
RADIOGRAPHS = {"CR", "DX", "DR", "RG", "OT", ""}
# What a refusal may name: it never quotes the header itself, in which anything could stand.
MODALITIES = {
    "CT": "a CT slice (CT)",
    "MR": "an MR slice (MR)",
    "US": "an ultrasound picture (US)",
    "MG": "a mammogram (MG)",
    "XA": "an angiogram (XA)",
    "RF": "a fluoroscopy (RF)",
    "NM": "a scintigram (NM)",
    "PT": "a PET slice (PT)",
    "IO": "a dental film (IO)",
    "PX": "a dental film (PX)",
    "SR": "a written report (SR)",
    "DOC": "a document (DOC)",
}
# In the languages of machines, without accents; no part of the words for the thoracic spine.
CHEST = ("CHEST", "THORAX", "TORAX", "TORACE", "LUNG", "BRUSTKORB", "PULM", "POUMON", "POITRINE", "PECHO", "PEITO")
# The German word is part of the one for the spine; the others say nothing.
CHEST_ALONE = {"BRUST", "PETTO"} | {"", "UNKNOWN", "OTHER", "NONE", "UNDEFINED", "UNSPECIFIED"}
FRONTAL = {"PA", "AP"}
# Laterals, obliques and decubitus among the terms for View Position (PS3.3 C.8.1.1).
NOT_FRONTAL = {"LL", "RL", "LLO", "RLO", "LLD", "RLD", "LAO", "RAO", "LPO", "RPO"}
# What machines write beside the terms: laterals, obliques, decubitus, the swimmer's view, a beam across the table.
NOT_FRONTAL_WORDS = ("LAT", "OBL", "DECUB", "SWIM", "XTABLE", "X-TABLE", "CROSS")
# SNOMED CT codes of the lateral views in PS3.16 CID 4010, and their SNOMED-RT forms in older files.
LATERAL_CODES = {"399067008", "399173006", "399198007", "399352003", "399260004", "260427002", "399368009"}
LATERAL_CODES |= {"R-102CD", "R-10236", "R-10232", "R-10228", "R-10224", "R-40783", "R-10226"}
GREYS = {"MONOCHROME1", "MONOCHROME2"}
# Whole numbers of the Image Pixel module (PS3.3 C.7.6.3) and what stands for an absent one.
NUMBERS = {
    "Rows": 0,
    "Columns": 0,
    "NumberOfFrames": 1,
    "SamplesPerPixel": 1,
    "BitsAllocated": 0,
    "BitsStored": 0,
    "PixelRepresentation": 0,
}
PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag (7FE0,0010), little and big endian

# Checking values against their VR would only add warnings that quote them.
config.settings.reading_validation_mode = config.IGNORE


def decode_dicom(content: bytes) -> tuple[np.ndarray, str | None, float | None]:
    """Return the film, uint8 of shape (height, width) and bone bright, its view, and the patient's age in years.

    Raises
    ------
    RefusedError
        If it is no frontal chest film, or its pixels cannot be decoded completely.
    """
    syntax = _check_syntax(content)
    with distrust():
        dataset = dcmread(io.BytesIO(content), force=True)
    _check_modality(dataset)
    _check_body_part(dataset)
    view, age = _check_view(dataset), read_age(dataset)
    _check_pixels(dataset, content)
    pixels = decode_frame(dataset, syntax)
    if pixels.ndim == 3:
        check_colour(pixels)
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), view, age
    return present(pixels, dataset), view, age


def _check_syntax(content: bytes) -> UID | None:
    """Return the transfer syntax that the file meta names, None if it names none.

    It is looked at before pydicom reads the rest, because pydicom inflates a deflated data set without any
    limit: 256 MB could become 256 GB.
    """
    file = io.BytesIO(content)
    file.seek(DICOM_START + 4 if content[DICOM_START : DICOM_START + 4] == b"DICM" else 0)
    with distrust():
        meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 0x0002)
        syntax = str(meta.get("TransferSyntaxUID") or "")  # hostile ones have several values
    if not syntax:
        return None
    if syntax not in SYNTAXES:
        name = UID_dictionary[syntax][0] if syntax in UID_dictionary else "an unknown one"
        raise refuse("unsupported_compression", f"the film is compressed in a way that cannot be read ({name})")
    return UID(syntax)


def _check_modality(dataset: Dataset) -> None:
    modality = _text(dataset, "Modality")
    if modality not in RADIOGRAPHS:
        raise refuse("wrong_modality", f"this is {MODALITIES.get(modality, 'not an X-ray film')}")


def _check_body_part(dataset: Dataset) -> None:
    part = _without_accents(_text(dataset, "BodyPartExamined"))
    if part not in CHEST_ALONE and not any(name in part for name in CHEST):
        raise refuse("wrong_body_part", "the film's header names another part of the body than the chest")


def _check_view(dataset: Dataset) -> str | None:
    """Return PA, AP or, for any other word that does not rule out a frontal film, None."""
    view = _text(dataset, "ViewPosition")
    words = any(word in view for word in NOT_FRONTAL_WORDS)
    if view in NOT_FRONTAL or words or _is_coded_lateral(dataset) or (not view and _lies_sideways(dataset)):
        raise refuse("lateral_view", "the film is not a frontal view")
    return view if view in FRONTAL else None


def _is_coded_lateral(dataset: Dataset) -> bool:
    with distrust():
        codes = dataset.get("ViewCodeSequence") or []
        return any(code.get("CodeValue") in LATERAL_CODES for code in codes)


def _lies_sideways(dataset: Dataset) -> bool:
    """Tell whether a film's rows run from front to back or the reverse (PS3.3 C.7.6.1.1.1): only a lateral's do."""
    with distrust():
        directions = dataset.get("PatientOrientation") or ""
        rows = directions if isinstance(directions, str) else directions[0]
        return rows.strip().upper()[:1] in {"A", "P"}


def _check_pixels(dataset: Dataset, content: bytes) -> None:
    """Refuse what has no single film in it, before any pixel is decoded."""
    if not _has_pixels(dataset):
        # pydicom leaves out an element that the end of the file cuts in two.
        if any(tag in content for tag in PIXEL_DATA):
            raise refuse("damaged", DAMAGED)
        raise refuse("no_pixels", "the file holds no picture")
    numbers = {keyword: _whole(dataset, keyword, default) for keyword, default in NUMBERS.items()}
    if numbers["NumberOfFrames"] > 1:
        raise refuse("several_pictures", "the file holds several pictures")
    check_size(numbers["Columns"], numbers["Rows"])
    allocated, stored, signed = (numbers[key] for key in ("BitsAllocated", "BitsStored", "PixelRepresentation"))
    is_grey = _text(dataset, "PhotometricInterpretation") in GREYS and numbers["SamplesPerPixel"] == 1
    is_colour = numbers["SamplesPerPixel"] == 3 and allocated == 8
    if not (is_grey or is_colour) or allocated not in (8, 16) or not 8 <= stored <= allocated or signed not in (0, 1):
        raise refuse("unsupported_pixels", "the film is stored in a way that no chest film is")
    # Pixels that do not begin with the lowest bit: with all bits below the highest none is lost (PS3.5 8.1.1).
    if stored <= (high := _whole(dataset, "HighBit", stored - 1)) < allocated:
        numbers["BitsStored"] = high + 1
    _write_back(dataset, numbers)


def _write_back(dataset: Dataset, numbers: dict[str, int]) -> None:
    """Let pydicom see the numbers that were checked, whatever VR the file gave them."""
    with distrust():
        for keyword, number in (numbers | {"NumberOfFrames": 1}).items():
            dataset.add_new(keyword, dictionary_VR(keyword), number)


def _has_pixels(dataset: Dataset) -> bool:
    with distrust():
        return bool(dataset.get("PixelData"))


def _text(dataset: Dataset, keyword: str) -> str:
    """Return a value in capitals without blanks at its ends, "" if it is absent."""
    with distrust():
        return str(dataset.get(keyword) or "").strip(" \0").upper()


def _without_accents(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def _whole(dataset: Dataset, keyword: str, default: int) -> int:
    value: Any = None
    with distrust():
        value = dataset.get(keyword)
        return default if value is None else int(value)
