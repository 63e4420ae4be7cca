#!/bin/sh
# Proves a bundle on the box that is to read with it: prove-bundle.sh FILE SHA256
# Prints what it would change on the films that this site keeps.
set -eu
cxrbox() { runuser --user cxrbox -- /opt/cxrbox/current/venv/bin/cxrbox "$@"; }
echo "$2  $1" | sha256sum --check --quiet
# The running reader may hold the accelerator: on the CPU.
proof=$(cxrbox selftest --tpu cpu --bundle "$1") || {
    echo "$proof"
    exit 1
}
cxrbox compare /opt/cxrbox/bundle.cxrbundle "$1"
