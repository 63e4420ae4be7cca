"""Every reason to refuse a film, and what a person does about it: one table, so that no advice is forgotten."""

from cxrbox.errors import RefusedError

AGAIN = "copy it again from its source"
FRONTAL = "choose the frontal film of the chest (PA or AP)"
EXPORT = "export it again as uncompressed DICOM or as PNG"

ADVICE = {
    # The file, before it is opened.
    "missing": "check its name and whether the drive is plugged in",
    "broken_link": "copy the film itself, not a shortcut to it",
    "directory": "name a film, or send the films of the folder one by one",
    "not_a_file": "name a film that is stored on a disk or a memory stick",
    "empty": AGAIN,
    "file_too_large": "export the film alone, as DICOM or PNG",
    "vanished": "plug the drive in again and send the film once more",
    "unreadable": "check the drive and the permissions of the file",
    "folder_empty": "copy films (DICOM, PNG, JPEG, TIFF or BMP) into it",
    # What the file holds.
    "unknown_format": "save the film as DICOM, PNG, JPEG, TIFF or BMP",
    "damaged": AGAIN,
    "too_many_pixels": "export the film with at most 64 million pixels",
    "too_small": "export the film at its full size, not as a thumbnail",
    "several_pictures": "save each film as its own file",
    "colour_picture": "photograph or scan the film alone, without what is around it",
    "unsupported_compression": EXPORT,
    "unsupported_pixels": EXPORT,
    "no_pixels": "export the film itself from the X-ray machine or its archive",
    # What the film shows.
    "wrong_modality": "choose a chest X-ray film",
    "wrong_body_part": "choose a chest X-ray film",
    "lateral_view": FRONTAL,
    "blank": "check the exposure and the export, then send the film again",
    # The reader itself.
    "reader_crashed": EXPORT,
    "took_too_long": "export the film at a smaller size and send it again",
    "out_of_memory": "export the film at a smaller size and send it again",
}


def refuse(code: str, reason: str) -> RefusedError:
    """Return the refusal of a film, to be raised.

    Parameters
    ----------
    code : str
        A key of `ADVICE`.
    reason : str
        Why, as half a sentence in plain English that names no patient and no file.

    Returns
    -------
    RefusedError
        Its sentence is "<reason>; <advice>".
    """
    return RefusedError(code, f"{reason}; {ADVICE[code]}")
