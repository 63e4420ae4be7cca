#!/bin/sh
# Installs the wheels of a release into its venv: build-release.sh FOLDER [OPTION OF PIP...]
# `complete` is written last: a release that a power cut left half-built is built again.
set -eu
umask 022
cd "$1"
shift
rm -rf venv
python3 -m venv --system-site-packages venv
venv/bin/pip --disable-pip-version-check --quiet install --no-deps --require-hashes --no-cache-dir \
    --find-links wheels "$@" --requirement requirements-box.txt
rm -rf wheels
sync --file-system .
touch complete
