#!/bin/bash
# prepare-qemu.sh FOLDER: makes FOLDER/qemu-system-aarch64, Debian 13's QEMU with its own libraries, unless it is there:
# its SMMUv3 has stage 2, which Debian 12's has not. Nothing is installed, and nothing outside FOLDER is written; no
# root needed.
set -euo pipefail
folder=$1
if [ -x "$folder/qemu-system-aarch64" ]; then exit 0; fi

mkdir -p "$folder"
# Several tests may want it at once: one makes it, the others wait.
exec 9> "$folder/qemu.lock"
flock 9
if [ -x "$folder/qemu-system-aarch64" ]; then exit 0; fi
work=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$folder/qemu"
: > "$work/status"
mirror=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list* 2>/dev/null | sed -n '1s/ *$//p')
printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$mirror" \
  /usr/share/keyrings/debian-archive-keyring.gpg > "$work/trixie.sources"
options=(-q -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o Dir::State="$work"
  -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work"
  -o Dir::Etc::sourcelist="$work/trixie.sources"
  -o Dir::Etc::sourceparts=/nonexistent -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)")
apt-get "${options[@]}" update
# With an empty status file, all that it needs, down to the C library.
mapfile -t packages < <(apt-get "${options[@]}" -s install qemu-system-arm | awk '$1 == "Inst" { print $2 }')
cd "$work/archives"
apt-get "${options[@]}" download "${packages[@]}"
for package in ./*.deb; do dpkg-deb -x "$package" "$folder/qemu"; done

cat > "$folder/qemu-system-aarch64" <<END
#!/bin/sh
root=$folder/qemu
libraries=\$root/usr/lib/x86_64-linux-gnu
exec \$root/usr/lib64/ld-linux-x86-64.so.2 --library-path \$libraries:\$libraries/pulseaudio \\
  \$root/usr/bin/qemu-system-aarch64 -L \$root/usr/share/qemu "\$@"
END
chmod +x "$folder/qemu-system-aarch64"
