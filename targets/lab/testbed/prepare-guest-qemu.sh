#!/bin/bash
# prepare-guest-qemu.sh FOLDER: makes FOLDER/qemu-arm64, Debian's QEMU for arm64 with all that it needs, unless it is
# there: for the emulated machine, which runs guests by its own KVM with it. Nothing is installed, and nothing outside
# FOLDER is written; no root needed.
set -euo pipefail
folder=$1
if [ -d "$folder/qemu-arm64" ]; then exit 0; fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/root"
: > "$work/apt/status"

options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$work/apt"
  -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt"
  -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)")
cd "$work"
apt-get "${options[@]}" update
# With an empty status file, all that it needs, down to the C library.
mapfile -t packages < <(apt-get "${options[@]}" -s install qemu-system-arm | awk '$1 == "Inst" { print $2 }')
apt-get "${options[@]}" download "${packages[@]}"
# Debian 13 has all of it below /usr: without the links of a whole system nothing would find the loader of programs.
mkdir -p root/usr
for part in bin lib sbin; do
  if ! dpkg-deb -c "$(ls ./libc6_*.deb)" | grep -qE "^d.* \./$part/$"; then
    mkdir -p "root/usr/$part"
    ln -s "usr/$part" "root/$part"
  fi
done
for package in ./*.deb; do dpkg-deb -x "$package" root; done
# Places where the machine that runs it mounts what it has.
mkdir -p root/proc root/dev root/sys root/tmp
mv root "$folder/qemu-arm64"
