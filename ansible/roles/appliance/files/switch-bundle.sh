#!/bin/sh
# Lets the box read with a bundle: switch-bundle.sh NAME SECONDS. Prints when its reader was started (UTC).
set -eu
ln -sfn "bundles/$1" /opt/cxrbox/bundle.cxrbundle.new
mv -T /opt/cxrbox/bundle.cxrbundle.new /opt/cxrbox/bundle.cxrbundle
sync --file-system /opt/cxrbox
date -u +%Y-%m-%dT%H:%M:%S
# The page keeps the card of the bundle that it started with. Both say when they are ready.
timeout "$2" systemctl restart cxrbox-reader.service cxrbox-web.service
