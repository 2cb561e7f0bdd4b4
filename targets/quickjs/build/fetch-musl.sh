#!/bin/bash
# fetch-musl.sh FOLDER ARCHITECTURE: unpacks Debian's musl-dev of another architecture in FOLDER/usr, unless it is
# there: headers and static library for a cross compiler. Nothing is installed, and nothing outside FOLDER is written;
# no root needed.
set -euo pipefail
folder=$1 architecture=$2
if [ -e "$folder/usr" ]; then exit 0; fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/fetching.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial"
: > "$work/status"
# A separate package list, so that the machine's apt is not configured for another architecture.
options=(-q -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::State="$work"
  -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work"
  -o APT::Sandbox::User="$(id -un)")
cd "$work"
apt-get "${options[@]}" update
apt-get "${options[@]}" download musl-dev
dpkg-deb -x ./musl-dev_*.deb unpacked
mv unpacked/usr "$folder/usr"
