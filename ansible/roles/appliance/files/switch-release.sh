#!/bin/sh
# Makes a release and a file of settings those in force: switch-release.sh RELEASE SETTINGS SECONDS
# Going back takes the same way. Prints when the box was started (UTC).
set -eu
folder=/opt/cxrbox/releases/$1 settings=$2 seconds=$3
current=$(readlink -f /opt/cxrbox/current || true)
services="cxrbox-intake.service cxrbox-reader.service cxrbox-web.service"

schema() { "$1/venv/bin/python" -c 'from cxrbox.store import SCHEMA_VERSION; print(SCHEMA_VERSION)'; }

# A rename: after a power cut the link leads to the old release or to the new one. That of `current` comes last, so that
# a switch that was cut short is not taken for done.
link() {
    ln -sfn "$2" "/opt/cxrbox/$1.new"
    mv -T "/opt/cxrbox/$1.new" "/opt/cxrbox/$1"
}

# Where a file of a release's folder systemd/ goes.
place() {
    case $1 in
        udev/*) echo /etc/udev/rules.d ;;
        tmpfiles/*) echo /etc/tmpfiles.d ;;
        journald/*) echo /etc/systemd/journald.conf.d ;;
        system/*) echo /etc/systemd/system.conf.d ;;
        libexec/*) echo /usr/local/lib/cxrbox ;;
        *) echo /etc/systemd/system ;;
    esac
}

files_of() { find "$1/systemd" -type f -printf '%P\n'; }

# What the other release brought and this one has no more.
remove_units() {
    files_of "$current" | while read -r file; do
        if [ -e "$1/systemd/$file" ]; then continue; fi
        case $file in *.service | *.timer) systemctl --quiet disable --now "$file" || true ;; esac
        rm -f "$(place "$file")/$(basename "$file")"
    done
}

install_units() {
    files_of "$1" | while read -r file; do
        install -D -p -m "$(stat -c %a "$1/systemd/$file")" "$1/systemd/$file" "$(place "$file")/$(basename "$file")"
    done
    systemd-tmpfiles --create /etc/tmpfiles.d/cxrbox.conf
    if [ -S /run/udev/control ]; then udevadm control --reload; fi
    # Takes in the units, the hardware watchdog and the size of the journal.
    systemctl daemon-reexec
    systemctl restart systemd-journald.service
    # shellcheck disable=SC2086
    systemctl --quiet enable cxrbox.target $services cxrbox-retention.timer cxrbox-selftest.timer
}

# shellcheck disable=SC2086
systemctl stop cxrbox.target $services 2>/dev/null || true

# A box migrates its state folder forward when it starts; back, only the newer release knows the way.
if [ -n "$current" ] && [ -e /var/lib/cxrbox/state/box.sqlite ]; then
    wanted=$(schema "$folder")
    if [ "$(schema "$current")" -gt "$wanted" ]; then
        runuser --user cxrbox -- "$current/venv/bin/cxrbox" migrate --to "$wanted" >&2
    fi
fi

if [ "$settings" = /etc/cxrbox/box.toml.new ] && [ -e /etc/cxrbox/box.toml ]; then
    cp -p /etc/cxrbox/box.toml /etc/cxrbox/box.toml.previous
fi
cp -p "$settings" /etc/cxrbox/box.toml.part
mv /etc/cxrbox/box.toml.part /etc/cxrbox/box.toml
if [ -n "$current" ] && [ "$current" != "$folder" ]; then
    link previous "releases/$(basename "$current")"
fi
if [ -n "$current" ]; then remove_units "$folder"; fi
install_units "$folder"
link current "releases/$1"

date -u +%Y-%m-%dT%H:%M:%S
# Each of them says when it is ready; systemd would try for ever.
# shellcheck disable=SC2086
timeout "$seconds" systemctl start $services cxrbox.target
