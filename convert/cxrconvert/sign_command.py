"""`cxrconvert keygen`, `sign` and `verify`: who vouches for a bundle."""

import argparse
from pathlib import Path

from cxrbundle.archive import pack_files
from cxrbundle.bundle import build_bundle
from cxrbundle.manifest import MANIFEST, SIGNATURE
from cxrbundle.package import read_package
from cxrbundle.signature import find_signer, sign_manifest

from cxrconvert.keys import PASSPHRASE, make_keys, read_private_key
from cxrconvert.pack import read_sound
from cxrconvert.writing import write_file


def add_sign_commands(commands) -> None:
    """Add `keygen`, `sign` and `verify` to the commands of `cxrconvert`."""
    keygen = commands.add_parser("keygen", help="make a pair of keys to sign bundles with")
    keygen.add_argument("-o", "--output", metavar="NAME", type=Path, required=True, help="writes NAME.pem and NAME.pub")
    encrypt = f"encrypt the private key; the passphrase stands in {PASSPHRASE} or is asked for"
    keygen.add_argument("--encrypt", action="store_true", help=encrypt)
    keygen.set_defaults(run=run_keygen_command)

    sign = commands.add_parser("sign", help="sign a bundle; a signature that is there is replaced")
    sign.add_argument("bundle", metavar="BUNDLE", type=Path, help="folder or .cxrbundle file")
    sign.add_argument("--key", metavar="KEY", type=Path, required=True, help="private key that `keygen` wrote")
    sign.set_defaults(run=run_sign_command)

    verify = commands.add_parser(
        "verify", help="say who signed a bundle; refuse it unless it is one of the trusted keys"
    )
    verify.add_argument("bundle", metavar="BUNDLE", type=Path, help="folder or .cxrbundle file")
    trusted = "public key, or a folder of *.pub"
    verify.add_argument("--trusted", metavar="DIR|FILE", type=Path, required=True, help=trusted)
    verify.set_defaults(run=run_verify_command)


def run_keygen_command(arguments: argparse.Namespace) -> None:
    """Run `keygen` with parsed arguments."""
    print(make_keys(arguments.output, arguments.encrypt))


def run_sign_command(arguments: argparse.Namespace) -> None:
    """Run `sign` with parsed arguments."""
    print(sign_bundle(arguments.bundle, arguments.key))


def run_verify_command(arguments: argparse.Namespace) -> None:
    """Run `verify` with parsed arguments."""
    print(verify_bundle(arguments.bundle, arguments.trusted))


def sign_bundle(bundle: Path, key: Path) -> str:
    """Sign a bundle's folder or single file in place and return a sentence that says by whom.

    Raises
    ------
    BundleError
        If the box would refuse the bundle.
    SigningKeyError
        If the private key cannot be used.
    OutputError
        If the signature cannot be written.
    """
    package = read_sound(bundle)
    signature = sign_manifest(package.files[MANIFEST], read_private_key(key))
    if bundle.is_dir():
        write_file(bundle / SIGNATURE, signature.to_json())
    else:
        write_file(bundle, pack_files(package.files | {SIGNATURE: signature.to_json()}))
    return f"{package.manifest.title} is signed by {signature.key}"


def verify_bundle(bundle: Path, trusted: Path) -> str:
    """Return a sentence that says which trusted key signed a sound bundle; raise BundleError where none did."""
    package = read_package(bundle)
    signer = find_signer(package, trusted)  # before more than the manifest is parsed
    build_bundle(package)
    return f"{package.manifest.title} is signed by {signer}"
