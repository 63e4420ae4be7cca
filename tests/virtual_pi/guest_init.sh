#!/bin/busybox sh
# All of the initramfs: load what the root disk needs, mount it, hand over.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/mod/$module"; done < /mod/order
for tries in $(seq 100); do [ -b /dev/vda ] && break; sleep 0.1; done
mount -t ext4 -o ro /dev/vda /new || { echo 'initramfs: the root cannot be mounted'; exec sh; }
mount --move /dev /new/dev; umount /proc /sys
exec switch_root /new /sbin/init
