#!/bin/busybox sh
# Init of the emulated machine: modules, the folder that the outer machine shares, then run.sh from it; then off.
busybox=/bin/busybox
$busybox mkdir -p /proc /sys /dev /run /share
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs dev /dev
$busybox --install -s /bin
for module in $(cat /modules/list); do insmod "$module" || echo "l1: cannot load $module"; done
mount -t tmpfs tmpfs /run
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /share || echo "l1: no shared folder"
sh /share/run.sh
poweroff -f
