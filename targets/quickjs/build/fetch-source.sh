#!/bin/bash
# fetch-source.sh FILE SHA256: makes FILE, the upstream tarball of QuickJS 2025-04-26, unless it is there: from Debian
# 13's source package, by the mirror that this machine's apt has. Nothing is installed, and nothing but FILE and its
# folder is written; no root needed.
set -euo pipefail
file=$1 sha256=$2
if echo "$sha256  $file" | sha256sum --check --status 2>/dev/null; then exit 0; fi

folder=$(dirname "$file")
mkdir -p "$folder"
work=$(mktemp -d "$folder/fetching.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial"
: > "$work/status"
mirror=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list* 2>/dev/null | sed -n '1s/ *$//p')
if [ -z "$mirror" ]; then
  echo "no Debian mirror in /etc/apt: put quickjs_2025.04.26.orig.tar.xz there by hand: $file" >&2
  exit 1
fi
printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$mirror" \
  /usr/share/keyrings/debian-archive-keyring.gpg > "$work/trixie.sources"
options=(-q -o Dir::State="$work" -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status"
  -o Dir::Cache="$work" -o Dir::Etc::sourcelist="$work/trixie.sources" -o Dir::Etc::sourceparts=/nonexistent
  -o APT::Sandbox::User="$(id -un)")
apt-get "${options[@]}" update
cd "$work"
apt-get "${options[@]}" source --download-only --only-source quickjs=2025.04.26-1
echo "$sha256  quickjs_2025.04.26.orig.tar.xz" | sha256sum --check --quiet
mv quickjs_2025.04.26.orig.tar.xz "$file"
