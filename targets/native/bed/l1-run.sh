# What the emulated machine runs: gives its devices to vfio-pci, and starts baton-kvm with the options of the shared folder,
# again when it was killed.
for pci in 0000:00:05.0 0000:00:06.0 0000:00:07.0 0000:00:08.0; do
  echo vfio-pci > /sys/bus/pci/devices/$pci/driver_override
  echo $pci > /sys/bus/pci/drivers_probe
done
port() {
  name=$(grep -lx "$1" /sys/class/virtio-ports/*/name)
  echo "/dev/$(basename "$(dirname "$name")")"
}
cp /share/baton-kvm /run/
enforcer=$(port enforcer)
bench=$(port bench)
# shellcheck disable=SC2046
until /run/baton-kvm --bundles /share/bundles.json --enforcer "$enforcer" --bench "$bench" $(cat /share/options); do
  status=$?
  echo "l1: baton-kvm ended with $status"
  [ $status = 137 ] || break
done
