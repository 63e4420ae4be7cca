"""Errors of the contract between training, conversion and the box."""


class BundleError(Exception):
    """Root of all errors about a bundle."""


class ManifestError(BundleError, ValueError):
    """The manifest is missing, of an unknown version, or says something that cannot be."""


class TamperedError(BundleError, ValueError):
    """A file of the bundle is missing or is not the one its manifest names."""


class BlankFilmError(BundleError, ValueError):
    """The film has no contrast, so nothing can be read from it."""
