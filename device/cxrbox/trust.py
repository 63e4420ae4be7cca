"""Which bundles this box reads films with: the shipped ones, those a trusted key signed, and what it is told to."""

import logging

from cxrbundle.errors import UntrustedError
from cxrbundle.package import Package, read_package
from cxrbundle.shipped import is_shipped

from cxrbox.settings import Settings

log = logging.getLogger(__name__)
SHIPPED = "shipped"
UNSIGNED = "unsigned, allowed by the operator"


def open_package(settings: Settings) -> tuple[Package, str]:
    """Read and verify the files of the bundle, and say why it is trusted, before more than its manifest is parsed.

    Returns
    -------
    package : Package
    trust : str
        "shipped", "signed by KEYID" or "unsigned, allowed by the operator".

    Raises
    ------
    BundleError
        If the bundle cannot be used; UntrustedError if nobody whom this box trusts vouches for it.
    """
    package = read_package(settings.bundle)
    trust = _trust(package, settings)
    if trust == UNSIGNED:
        log.warning("%s is unsigned; the operator allows it", package.manifest.title)
    return package, trust


def _trust(package: Package, settings: Settings) -> str:
    # What ships is installed with the code and trusted as the code is.
    if is_shipped(package.path):
        return SHIPPED
    # As much memory as a network: only who has another bundle pays for it.
    from cxrbundle.signature import find_signer

    try:
        return f"signed by {find_signer(package, settings.trusted_keys)}"
    except UntrustedError as err:
        if settings.allow_unsigned:
            return UNSIGNED
        raise UntrustedError(f"{err}, or allow it with --allow-unsigned") from err
