#!/bin/sh
# Removes all releases but the current one and the one before; names what it removed.
set -eu
for release in /opt/cxrbox/releases/*; do
    for kept in /opt/cxrbox/current /opt/cxrbox/previous; do
        [ "$release" != "$(readlink -f $kept)" ] || continue 2
    done
    rm -rf "$release"
    basename "$release"
done
