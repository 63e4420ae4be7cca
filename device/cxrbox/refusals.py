"""Every reason to refuse a film, and what a person does about it: one table, so that no advice is forgotten."""

from cxrbox.errors import RefusedError

AGAIN = "copy it again from its source"
FRONTAL = "choose the frontal film of the chest (PA or AP)"
EXPORT = "export it again as uncompressed DICOM or as PNG"

# What is wrong with a photograph of a film (`cxrbox.capture`).
CAPTURE_ADVICE = {
    "no_film": "hold the camera straight before the lit film until the whole film is in the picture",
    "several_films": "photograph one film at a time and cover the others",
    "film_cut": "move back until all four edges of the film are in the picture",
    "film_far": "move closer until the film fills most of the picture",
    "film_tilted": "hold the camera straight before the middle of the film",
    "underexposed": "switch the light box on, or expose longer",
    "overexposed": "expose less, or dim the light box",
    "glare": "tilt the lamp or the film, or shade the window, until the bright spot is gone",
    "blurred": "hold the camera still and let it focus on the film",
    "lungs_cut": "photograph the whole film, with both lungs from top to bottom",
}
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
    "unwritable": "make room on it, or take the results from the page",
    "folder_empty": "copy films (DICOM, PNG, JPEG, TIFF or BMP) into it",
    # What the file holds.
    "unknown_format": "save the film as DICOM, PNG, JPEG, TIFF or BMP",
    "damaged": AGAIN,
    "too_many_pixels": "export the film with at most 64 million pixels",
    "too_small": "export the film at its full size, not as a thumbnail",
    "too_narrow": "export the film alone, at its full size",
    "few_greys": "export the film in grey, with 256 shades or more",
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
    "not_a_chest_film": "put in a whole frontal chest film, upright",
    "turned": "turn the film upright and send it again",
    "negative": "scan it as a positive, with bone bright",
    "child": "have it read by somebody who reads films of children",
    **CAPTURE_ADVICE,
    # The reader itself.
    "reader_crashed": EXPORT,
    "took_too_long": "export the film at a smaller size and send it again",
    "out_of_memory": "export the film at a smaller size and send it again",
}

# What a person who has seen the film may have read all the same. Where no film was found there is nothing to read, and
# of several nobody could say which was.
OVERRIDABLE = {*CAPTURE_ADVICE, "not_a_chest_film", "turned", "negative", "child"} - {"no_film", "several_films"}


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
