# What the emulated machine runs: gives its device to vfio-pci, and starts baton-kvm with the options of the shared folder.
pci=0000:00:05.0
echo vfio-pci > /sys/bus/pci/devices/$pci/driver_override
echo $pci > /sys/bus/pci/drivers_probe
port() {
  name=$(grep -lx "$1" /sys/class/virtio-ports/*/name)
  echo "/dev/$(basename "$(dirname "$name")")"
}
cp /share/baton-kvm /run/
# shellcheck disable=SC2046
/run/baton-kvm --bundles /share/bundles.json --device engine=$pci --enforcer "$(port enforcer)" --bench "$(port bench)" \
  $(cat /share/options)
echo "l1: baton-kvm ended with $?"
