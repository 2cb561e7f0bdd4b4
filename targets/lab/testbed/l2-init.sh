#!/bin/busybox sh
# Init of a Linux guest under baton-kvm: modules, then what the test put beside it (/baton/start.sh), under its name on
# the command line.
busybox=/bin/busybox
$busybox mkdir -p /proc /sys /dev /run /tmp
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs dev /dev
$busybox --install -s /bin
for module in $(cat /modules/list); do insmod "$module" || echo "cannot load $module"; done
VM=$(sed -n 's/.*vm=\([^ ]*\).*/\1/p' /proc/cmdline)
export VM
echo "up after $(cut -d' ' -f1 /proc/uptime) s"
[ -f /baton/start.sh ] && sh /baton/start.sh
poweroff -f
