#!/bin/bash
# prepare.sh FOLDER: makes what the bed boots in FOLDER, unless it is there: vmlinuz, l1.cpio for the machine and l2.cpio for Linux
# guests in it, from Debian's arm64 kernel and busybox, whichever are current. Nothing is installed, and nothing outside FOLDER
# is written; no root needed.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
stamp=$(cat "$here/prepare.sh" "$here/l1-init.sh" "$here/l2-init.sh" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/unpacked"
: > "$work/apt/status"

# A package list of its own, so that the machine's apt never hears of arm64.
options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$work/apt"
  -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt"
  -o APT::Sandbox::User="$(id -un)")
cd "$work"
apt-get "${options[@]}" update
kernel=$(apt-cache "${options[@]}" depends linux-image-arm64 | awk '/Depends: linux-image-/ { print $2; exit }')
apt-get "${options[@]}" download "$kernel" busybox-static
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done

version=$(ls unpacked/lib/modules)
depmod -b unpacked "$version"
# archive OUT INIT MODULE...: busybox, an init, and the modules with what they depend on, in the order in which they are loaded.
archive() {
  local out=$1 init=$2 image
  shift 2
  image=$(mktemp -d "$work/image.XXXXXX")
  mkdir -p "$image/bin" "$image/modules"
  for module in "$@"; do
    modprobe -d unpacked -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    cp "$file" "$image/modules/"
    echo "/modules/${file##*/}" >> "$image/modules/list"
  done
  cp unpacked/bin/busybox "$image/bin/busybox"
  install -m 755 "$init" "$image/init"
  (cd "$image" && find . | cpio -o -H newc -R 0:0 --quiet) > "$out"
}
archive "$folder/l1.cpio" "$here/l1-init.sh" virtio_pci virtio_console virtio_net 9p 9pnet_virtio vfio-pci vfio_iommu_type1 \
  vhost_vsock
archive "$folder/l2.cpio" "$here/l2-init.sh" virtio_mmio virtio_net vmw_vsock_virtio_transport xhci-plat-hcd usbhid hid-generic evdev
cp "unpacked/boot/vmlinuz-$version" "$folder/vmlinuz"
echo "$stamp" > "$folder/stamp"
