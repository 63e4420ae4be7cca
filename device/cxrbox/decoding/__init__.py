"""Decoding: from a file of unknown kind to a grey film, or a refusal that says why and what to do."""

from cxrbox.decoding.film import DecodedFilm, decode_film
from cxrbox.decoding.limits import MAX_BYTES, MAX_PIXELS, MIN_SIDE

__all__ = ["MAX_BYTES", "MAX_PIXELS", "MIN_SIDE", "DecodedFilm", "decode_film"]
