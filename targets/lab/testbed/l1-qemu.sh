# What the emulated machine runs when QEMU, not baton-kvm, is to run its guests: Debian's QEMU for arm64 from a second
# shared folder, on the machine's own KVM and vhost_vsock, by the command lines in guests/ of the shared folder: `sh
# NAME`, one for each guest, all at once.
mkdir -p /qemu /run/bin
# Read once, and kept: all guests run the same program.
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose qemu /qemu
mount -t proc proc /qemu/proc
mount -t sysfs sysfs /qemu/sys
mount -t devtmpfs dev /qemu/dev
mount -t tmpfs tmpfs /qemu/tmp
cp /share/Image /share/files.cpio /qemu/tmp/
cp /share/vsock-relay /run/
printf '#!/bin/sh\nexec chroot /qemu /usr/bin/qemu-system-aarch64 "$@"\n' > /run/bin/qemu-system-aarch64
chmod +x /run/bin/qemu-system-aarch64
export PATH=/run/bin:$PATH
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
while read -r port routes; do
  # shellcheck disable=SC2086
  /run/vsock-relay "$port" $routes &
done < /share/relays
guests=
for guest in /share/guests/*; do
  sh "$guest" 2>&1 | sed "s/^/${guest##*/}: /" &
  guests="$guests $!"
done
# shellcheck disable=SC2086
wait $guests
