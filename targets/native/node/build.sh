#!/bin/sh
# build.sh FILE: makes FILE, the addon, with cc and headers of Node: those of the Node in PATH, or libnode-dev of
# Debian. Its interface (N-API, libuv's uv_poll) is the same from one version of Node to the next.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v cc >/dev/null || { echo "build:native: needs a C compiler: apt-get install gcc libc6-dev" >&2; exit 69; }
headers=$(node -p "require('path').join(process.execPath, '../../include/node')")
[ -e "$headers/node_api.h" ] || headers=/usr/include/node
[ -e "$headers/node_api.h" ] || {
  echo "build:native: no node_api.h beside this node or in $headers: apt-get install libnode-dev" >&2
  exit 69
}
mkdir -p "$(dirname "$1")"
cc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -isystem "$headers" \
  "$here/addon.c" "$here/../core/sockets.c" "$here/../core/hash.c" -o "$1"
