#!/bin/sh
# Says, as JSON, what a box is and has; the arguments are the packages it should have. Changes nothing.
set -eu
. /etc/os-release
name_of() { basename "$(readlink "$1" 2>/dev/null)" 2>/dev/null || true; }
missing=
for package in "$@"; do
    case $(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
        ii*) ;;
        *) missing="$missing,\"$package\"" ;;
    esac
done
cat <<END
{"system": "${VERSION_CODENAME:-$ID}",
 "architecture": "$(dpkg --print-architecture 2>/dev/null || uname -m)",
 "free_mb": $(df -Pm /opt /var/lib | awk 'NR > 1 && (least == "" || $4 < least) {least = $4} END {print least}'),
 "overlay": $(grep -q '^[^ ]* / overlay ' /proc/mounts && echo true || echo false),
 "raspberry": $([ -e /etc/rpi-issue ] && echo true || echo false),
 "udev": $([ -S /run/udev/control ] && echo true || echo false),
 "release": "$(name_of /opt/cxrbox/current)",
 "bundle": "$(name_of /opt/cxrbox/bundle.cxrbundle)",
 "missing": [${missing#,}]}
END
