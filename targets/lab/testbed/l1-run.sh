# What the emulated machine runs: gives its devices to vfio-pci, and starts baton-kvm as the tests have it with the
# options of the shared folder, again when it was killed.
# Programs are compiled meanwhile; a minute is more than that takes.
tries=0
until [ -f /share/whole ]; do
  [ $tries -lt 600 ] || { echo "l1: the shared folder never became whole"; exit 1; }
  sleep 0.1
  tries=$((tries + 1))
done
for pci in $(cat /share/vfio); do
  echo vfio-pci > /sys/bus/pci/devices/$pci/driver_override
  echo $pci > /sys/bus/pci/drivers_probe
done
# What the kernel says from now on stands on the console, too: refused DMA among it.
echo 7 > /proc/sys/kernel/printk
port() {
  name=$(grep -lx "$1" /sys/class/virtio-ports/*/name)
  echo "/dev/$(basename "$(dirname "$name")")"
}
cp /share/baton-kvm /share/baton-kvm-testbed /share/guest.bin /run/
# As it is shipped it has no more options than it says.
for words in "--bench /dev/null" "--sabotage skip-unmap"; do
  # shellcheck disable=SC2086
  /run/baton-kvm $words 2>&1 | sed "s/^/l1: shipped: ${words%% *}: /"
done
# Linux guests: their files, and a relay from their sockets to the network that leads to the outer machine.
if [ -f /share/relays ]; then
  cp /share/Image /share/files.cpio /share/vsock-relay /run/
  ip addr add 10.0.2.15/24 dev eth0
  ip link set eth0 up
  while read -r port routes; do
    # shellcheck disable=SC2086
    /run/vsock-relay "$port" $routes &
  done < /share/relays
else
  # A device that nobody can make forget is refused by name: PCI slot 1 is the shared folder's.
  /run/baton-kvm --bundles /share/bundles.json --vm android --keeper 0000:00:07.0 --device engine=0000:00:01.0 \
    --enforcer unix:/run/refused.sock --control unix:/run/refused-control.sock 2>&1 | sed 's/^/l1: refused: /'
fi
enforcer=$(port enforcer)
control=$(port control)
# shellcheck disable=SC2046
until /run/baton-kvm-testbed --bundles /share/bundles.json --enforcer "$enforcer" --control "$control" \
  $(cat /share/options); do
  status=$?
  echo "l1: baton-kvm ended with $status"
  [ $status = 137 ] || break
done
