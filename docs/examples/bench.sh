#!/bin/sh
# Writes what a bench on one machine needs into a new folder: a key for each pair of parties, the bundle file, and
# three configurations. No broker, no isolation.   sh bench.sh FOLDER
set -eu
umask 077
[ $# = 1 ] && case $1 in -*) false ;; esac || {
  echo "sh bench.sh FOLDER: writes a bench for one machine into a new folder" >&2
  exit 64
}
here=$(cd "$(dirname "$0")" && pwd)
mkdir "$1"
cd "$1"
cp "$here/bundles.json" .

key() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; } # as openssl rand -hex 32
host_android=$(key) host_vault=$(key) between=$(key)
echo "{\"android\": \"$host_android\", \"vault\": \"$host_vault\"}" >host.keys.json
echo "{\"host\": \"$host_android\", \"vault\": \"$between\"}" >android.keys.json
echo "{\"host\": \"$host_vault\", \"android\": \"$between\"}" >vault.keys.json

listen="\"android\": \"unix:$PWD/android.stream\", \"vault\": \"unix:$PWD/vault.stream\""
cat >host.json <<END
{
  "bundles": "bundles.json",
  "keys": "host.keys.json",
  "enforcer": { "kind": "none", "vms": ["android", "vault"] }, // isolates nothing
  "transport": { "kind": "stream", "listen": { $listen } },
  "state": "host-state",
  "control": "host.sock"
}
END
cat >android.json <<END
{
  "vm": "android", // the owner
  "bundles": "bundles.json",
  "keys": "android.keys.json",
  "transport": { "kind": "stream", "address": "unix:$PWD/android.stream" },
  "state": "android-state",
  "control": "android.sock",
  "policy": { "kind": "list", "allow": [{ "bundle": "panel", "borrower": "vault", "leaseMaxMs": 60000 }] }
}
END
cat >vault.json <<END
{
  "vm": "vault", // a borrower
  "bundles": "bundles.json",
  "keys": "vault.keys.json",
  "transport": { "kind": "stream", "address": "unix:$PWD/vault.stream" },
  "state": "vault-state",
  "control": "vault.sock"
}
END
