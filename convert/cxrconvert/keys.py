"""Pairs of keys: the private one signs bundles on the workstation, the public one lies on every box."""

import getpass
import os
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cxrbundle.signature import PUBLIC_SUFFIX, key_id

from cxrconvert.errors import OutputError, SigningKeyError
from cxrconvert.writing import write_file

PRIVATE_SUFFIX = ".pem"
PASSPHRASE = "CXRCONVERT_PASSPHRASE"


def make_keys(name: Path, encrypt: bool) -> str:
    """Write a new pair of keys, NAME.pem (PKCS8, readable by its owner alone) and NAME.pub; return their id.

    Parameters
    ----------
    name : Path
        Path of both files, without suffix.
    encrypt : bool
        Encrypt the private key with a passphrase, from the environment or asked for.

    Raises
    ------
    OutputError
        If one of the files is there already or cannot be written.
    SigningKeyError
        If no passphrase is given.
    """
    private, public = (name.with_name(name.name + suffix) for suffix in (PRIVATE_SUFFIX, PUBLIC_SUFFIX))
    for path in (private, public):
        if path.exists():
            raise OutputError(f"{path} is there already and may have signed bundles; name other keys with -o")
    lock = (
        serialization.BestAvailableEncryption(ask_passphrase(private, twice=True))
        if encrypt
        else serialization.NoEncryption()
    )
    key = Ed25519PrivateKey.generate()
    pem, forms = serialization.Encoding.PEM, (serialization.PrivateFormat.PKCS8, serialization.PublicFormat)
    write_file(private, key.private_bytes(pem, forms[0], lock), mode=0o600)
    write_file(public, key.public_key().public_bytes(pem, forms[1].SubjectPublicKeyInfo))
    return key_id(key.public_key())


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key of a PEM file, asking for its passphrase where it has one.

    Raises
    ------
    SigningKeyError
        If the file holds no Ed25519 key, or its passphrase is missing or wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise SigningKeyError(f"{path} cannot be read ({err.strerror}); make keys with `cxrconvert keygen`") from err
    passphrase = ask_passphrase(path) if b"ENCRYPTED" in content else None
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        reason = "is no private key, or is damaged" if passphrase is None else "does not open with this passphrase"
        raise SigningKeyError(f"{path} {reason}; name the .pem file that `cxrconvert keygen` wrote") from err
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path} is no Ed25519 key; make one with `cxrconvert keygen`")
    return key


def ask_passphrase(path: Path, twice: bool = False) -> bytes:
    """Return the passphrase of a private key: from the environment, else from whoever sits at the terminal.

    A new one is asked for twice, for nobody sees what is typed.
    """
    given = os.environ.get(PASSPHRASE, "")
    if not given and sys.stdin.isatty():
        given = getpass.getpass(f"Passphrase of {path}: ")
        if twice and getpass.getpass("The same again: ") != given:
            raise SigningKeyError(f"the two passphrases of {path} differ; try again")
    if not given:
        raise SigningKeyError(f"{path} needs a passphrase; put it into {PASSPHRASE}, or type it at a terminal")
    return given.encode()
