#!/bin/sh
# Says "in place" where a release and its settings are in force; else proves that it takes the settings and reads.
# The running reader may hold the accelerator, so the proof reads on the CPU; the reader proves the rest when it starts.
set -eu
release=/opt/cxrbox/releases/$1
if [ "$(readlink -f /opt/cxrbox/current)" = "$release" ] && cmp -s /etc/cxrbox/box.toml /etc/cxrbox/box.toml.new; then
    echo "in place"
    exit
fi
runuser --user cxrbox -- "$release/venv/bin/cxrbox" check-config /etc/cxrbox/box.toml.new
runuser --user cxrbox -- "$release/venv/bin/cxrbox" selftest --tpu cpu --config /etc/cxrbox/box.toml.new
