"""Who vouches for a bundle: an Ed25519 signature (RFC 8032) over the bytes of manifest.json.

The manifest pins every other file by its SHA-256, so the signature covers the whole bundle.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from cxrbundle.errors import KeyFileError, TamperedError, UntrustedError
from cxrbundle.manifest import MANIFEST, SIGNATURE
from cxrbundle.package import Package

PUBLIC_SUFFIX = ".pub"
FORM = re.compile(rb'\{"key": "([0-9a-f]{16})", "signature": "([A-Za-z0-9+/]{86}==)", "algorithm": "ed25519"\}\n')


@dataclass(frozen=True)
class Signature:
    """What signature.json says.

    Attributes
    ----------
    key : str
        Id of the key that signed, from `key_id`.
    value : bytes
        The signature, 64 bytes.
    """

    key: str
    value: bytes

    def to_json(self) -> bytes:
        """Return the bytes of signature.json."""
        said = {"key": self.key, "signature": base64.b64encode(self.value).decode(), "algorithm": "ed25519"}
        return f"{json.dumps(said)}\n".encode()


def key_id(key: Ed25519PublicKey) -> str:
    """Return a key's name: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign_manifest(manifest: bytes, key: Ed25519PrivateKey) -> Signature:
    """Return the signature of a manifest.json."""
    return Signature(key_id(key.public_key()), key.sign(manifest))


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key of a PEM file.

    Raises
    ------
    KeyFileError
        If the file holds none, or a key of another kind.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else "no public key in PEM"
        raise KeyFileError(f"{path} cannot be read ({reason}); replace it or take it away") from err
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path} is no Ed25519 key; replace it or take it away")
    return key


def read_trusted_keys(path: Path) -> dict[str, Ed25519PublicKey]:
    """Return the keys of a file, or of every *.pub of a folder, by their ids; none where there is no such path."""
    files = sorted(path.glob(f"*{PUBLIC_SUFFIX}")) if path.is_dir() else [path] if path.exists() else []
    return {key_id(key): key for key in map(read_public_key, files)}


def find_signer(package: Package, trusted: Path) -> str:
    """Return the id of the trusted key that signed a bundle.

    Parameters
    ----------
    package : Package
    trusted : Path
        File of a public key, or a folder of them.

    Raises
    ------
    UntrustedError
        If the bundle is not signed, or by none of these keys.
    TamperedError
        If the signature is damaged, or the manifest was altered after signing.
    KeyFileError
        If a file of the trusted keys holds none.
    """
    if SIGNATURE not in package.files:
        raise UntrustedError(f"{package.path} is not signed; sign it with `cxrconvert sign`")
    signature = parse_signature(package.files[SIGNATURE], package.path)
    key = read_trusted_keys(trusted).get(signature.key)
    if key is None:
        raise UntrustedError(
            f"{package.path} is signed by the key {signature.key}, and {trusted} holds no such key; put its .pub there"
        )
    try:
        key.verify(signature.value, package.files[MANIFEST])
    except InvalidSignature as err:
        raise TamperedError(
            f"{package.path} was altered after {signature.key} signed it; copy or sign it again"
        ) from err
    return signature.key


def parse_signature(content: bytes, path: Path) -> Signature:
    """Return a signature.json; raise TamperedError unless it is spelt exactly as `Signature.to_json` spells it."""
    if match := FORM.fullmatch(content):
        signature = Signature(match[1].decode(), base64.b64decode(match[2]))
        if signature.to_json() == content:  # the last letter of base64 has four spellings
            return signature
    raise TamperedError(f"{path}: {SIGNATURE} is not as `cxrconvert sign` writes it; sign the bundle again")
