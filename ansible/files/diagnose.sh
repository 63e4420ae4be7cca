#!/bin/sh
# Writes an archive to standard output: how this box is and what its services said. No film, no name, no database: what is
# gathered is named below, one by one.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
into() { name=$1; shift; "$@" >"$work/$name" 2>&1 || true; }
into health.json python3 -c 'from urllib.request import urlopen
print(urlopen("http://127.0.0.1:8080/api/health", timeout=20).read().decode())'
into journal.txt journalctl --no-pager --lines 5000 --unit "cxrbox*"
into units.txt systemctl --no-pager --lines 0 status "cxrbox*"
into failed.txt systemctl --no-pager --failed
into settings.txt /opt/cxrbox/current/venv/bin/cxrbox check-config
into releases.txt ls -l /opt/cxrbox /opt/cxrbox/releases /opt/cxrbox/bundles
into wheels.txt ls /opt/cxrbox/current/venv/lib/python3*/site-packages
into packages.txt dpkg-query --show
into system.txt sh -c 'cat /etc/os-release; uname -a; uptime; free -m; timedatectl'
into disks.txt df -h
into memory-of-the-board.txt sh -c 'cat /proc/device-tree/model; vcgencmd get_throttled'
into usb.txt lsusb
into kernel.txt sh -c 'dmesg | tail -n 500'
into firewall.txt nft list table inet cxrbox
tar -C "$work" -czf - .
