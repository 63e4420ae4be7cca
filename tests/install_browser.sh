#!/bin/sh
# Install Debian's Chromium for the browser tests where there is none; without it those tests skip and say so.
set -eu
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
    echo "chromium is not installed: the browser tests will be skipped (Debian: apt-get install chromium)"
fi
