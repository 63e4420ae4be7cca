"""Errors of the contract between training, conversion and the box."""


class BundleError(Exception):
    """Root of all errors about a bundle."""


class ManifestError(BundleError, ValueError):
    """The manifest is missing, of an unknown version, or says something that cannot be."""


class TamperedError(BundleError, ValueError):
    """A file of the bundle is missing, is not the one its manifest names, or was altered after signing."""


class ArchiveError(BundleError, ValueError):
    """The single file of a bundle cannot be read or is not packed as `cxrbundle.archive` packs it."""


class UntrustedError(BundleError, PermissionError):
    """The bundle is unsigned, or signed by a key that is not trusted."""


class KeyFileError(BundleError, ValueError):
    """A file does not hold the public key that it should."""


class BlankFilmError(BundleError, ValueError):
    """The film has no contrast, so nothing can be read from it."""
