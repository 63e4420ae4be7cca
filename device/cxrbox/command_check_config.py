"""`cxrbox check-config`: is a file of settings in order, and what does the box make of it?"""

import argparse
from dataclasses import fields
from pathlib import Path

from cxrbundle.bundle import build_bundle

from cxrbox.bodies.choice import check_choice
from cxrbox.operating_points import load_operating_points
from cxrbox.settings import DEFAULT_CONFIG, Settings, shown
from cxrbox.trust import open_package


def run_check_config(path: Path | None) -> int:
    """Check a file, the bundle and the thresholds it names, and print every setting; return 0.

    Raises
    ------
    ConfigError
        If a setting is unknown, of another type or out of bounds, or the thresholds are another bundle's.
    BundleError
        If the bundle cannot be used.
    BackendError
        If the bundle has no body for what should run it.
    """
    settings = Settings.from_options(argparse.Namespace(config=path))
    package, trust = open_package(settings)
    bundle = build_bundle(package)
    load_operating_points(settings.thresholds, bundle)
    check_choice(bundle, settings.tpu)
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        remark = "" if value == setting.default else f"  (default {shown(setting.default)})"
        print(f"{setting.name:<18} {shown(value)}{remark}")
    file = path or DEFAULT_CONFIG
    which = f"{file} is in order" if file.exists() else f"there is no {file}; the defaults are in order"
    print(f"{which}; films are read with {package.manifest.title} ({trust})")
    return 0
