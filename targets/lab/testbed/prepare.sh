#!/bin/bash
# prepare.sh FOLDER: makes what the testbeds boot in FOLDER, unless it is there: vmlinuz, l1.cpio for the machine with
# KVM, l2.cpio for Linux guests in it, plain.cpio for guests of QEMU alone, both with the touch driver of driver/, from
# Debian's arm64 kernel and busybox, whichever are current. Nothing is installed, and nothing outside FOLDER is written;
# no root needed.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
digest=$(cat "$here/prepare.sh" "$here/l1-init.sh" "$here/l2-init.sh" "$here"/driver/* | sha256sum | cut -d' ' -f1)
if [ "$(cat "$folder/digest" 2>/dev/null)" = "$digest" ]; then exit 0; fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/unpacked"
: > "$work/apt/status"

# A package list of its own, so that the machine's apt never hears of arm64; with the machine's own packages, for what
# builds the driver.
own=$(dpkg --print-architecture)
options=(-q -o APT::Architecture=arm64 -o APT::Architectures="arm64,$own" -o Dir::State="$work/apt"
  -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt"
  -o APT::Sandbox::User="$(id -un)")
# depends PACKAGE PREFIX: what PACKAGE depends on and begins with PREFIX.
depends() {
  apt-cache "${options[@]}" depends "$1" | awk -v prefix="$2" '/Depends:/ && index($2, prefix) == 1 { print $2; exit }'
}
cd "$work"
apt-get "${options[@]}" update
kernel=$(depends linux-image-arm64 linux-image-)
headers=${kernel/image/headers}
common=$(depends "$headers" linux-headers-)
kbuild=$(depends "$headers" linux-kbuild-)
apt-get "${options[@]}" download "$kernel" busybox-static "$headers" "$common" "${kbuild%%:*}:$own"
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done
# Debian 13 has them below /usr alone.
for part in lib/modules bin/busybox; do
  if [ ! -e "unpacked/$part" ]; then
    mkdir -p "unpacked/${part%/*}"
    ln -s "../usr/$part" "unpacked/$part"
  fi
done

# The driver, by the kernel's own build; its headers name places where they would be installed. Without BTF, for which
# headers of 6.12 want pahole.
sed -i "s|/usr/src/|$work/unpacked/usr/src/|" "unpacked/usr/src/$headers/Makefile"
cp -r "$here/driver" driver
make -s -C "unpacked/usr/src/$headers" M="$work/driver" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
  CC=aarch64-linux-gnu-gcc KCFLAGS=-Werror CONFIG_DEBUG_INFO_BTF_MODULES= modules
version=$(ls unpacked/lib/modules)
install -D -t "unpacked/lib/modules/$version/extra" driver/baton-touch.ko

depmod -b unpacked "$version"
# archive OUT INIT MODULE...: busybox, an init, and the modules with what they depend on, in the order in which they are
# loaded.
archive() {
  local out=$1 init=$2 image
  shift 2
  image=$(mktemp -d "$work/image.XXXXXX")
  mkdir -p "$image/bin" "$image/modules"
  for module in "$@"; do
    modprobe -d unpacked -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    name=${file##*/}
    # Busybox loads none that are compressed, as Debian 13 has them.
    case $name in
      *.xz) xz -dc "$file" > "$image/modules/${name%.xz}" ;;
      *) cp "$file" "$image/modules/" ;;
    esac
    echo "/modules/${name%.xz}" >> "$image/modules/list"
  done
  cp unpacked/bin/busybox "$image/bin/busybox"
  install -m 755 "$init" "$image/init"
  (cd "$image" && find . | cpio -o -H newc -R 0:0 --quiet) > "$out"
}
archive "$folder/l1.cpio" "$here/l1-init.sh" virtio_pci virtio_console virtio_net 9p 9pnet_virtio vfio-pci \
  vfio_iommu_type1 vhost_vsock
archive "$folder/l2.cpio" "$here/l2-init.sh" virtio_mmio virtio_net vmw_vsock_virtio_transport xhci-plat-hcd usbhid \
  hid-generic evdev baton-touch
archive "$folder/plain.cpio" "$here/l2-init.sh" virtio_mmio virtio_net virtio_input virtio_gpu evdev baton-touch
cp "unpacked/boot/vmlinuz-$version" "$folder/vmlinuz"
echo "$digest" > "$folder/digest"
