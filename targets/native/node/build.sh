#!/bin/sh
# build.sh FILE: makes FILE, the addon, with cc and the headers of the Node that is in PATH. They come with Node, or with libnode-dev of Debian.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v cc >/dev/null || { echo "build:native: needs a C compiler: apt-get install gcc libc6-dev" >&2; exit 69; }
headers=$(node -p "require('path').join(process.execPath, '../../include/node')")
[ -e "$headers/node_api.h" ] || { echo "build:native: no $headers/node_api.h: apt-get install libnode-dev" >&2; exit 69; }
mkdir -p "$(dirname "$1")"
cc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -isystem "$headers" \
  "$here/addon.c" "$here/../core/sockets.c" "$here/../core/hash.c" -o "$1"
