#!/bin/sh
# Makes a key and a certificate for NAME.local that signs itself. Ten years: on a box offline nothing renews it.
set -eu
umask 077
mkdir -p /etc/cxrbox/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$1.local" \
    -addext "subjectAltName=DNS:$1.local,DNS:$1" -addext "extendedKeyUsage=serverAuth" \
    -keyout /etc/cxrbox/tls/page.key -out /etc/cxrbox/tls/page.part 2>/dev/null
mv /etc/cxrbox/tls/page.part /etc/cxrbox/tls/page.crt
