#!/bin/sh
# Install what some tests work with from Debian where it is missing; without it those tests skip and say so.
set -eu
missing=""
for pair in chromium:chromium age:age systemd-analyze:systemd udevadm:udev mkfs.vfat:dosfstools mkfs.exfat:exfatprogs \
    mkfs.ntfs:ntfs-3g; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "some tests will be skipped, for this machine lacks:$missing"
fi
