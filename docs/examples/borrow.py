#!/usr/bin/env python3
"""Borrows a bundle for as long as a command runs: borrow.py SOCKET BUNDLE COMMAND [ARGUMENTS...]"""

import json
import socket
import subprocess
import sys

if len(sys.argv) < 4 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
path, bundle, *command = sys.argv[1:]
agent = socket.socket(socket.AF_UNIX)
agent.connect(path)
lines = agent.makefile("rw", encoding="utf-8")
request = {"id": 1, "do": "borrow", "bundle": bundle, "purpose": "pin", "leaseMs": 30000}
request["evidence"] = "observed"  # The default; on a bench without isolation it has to be "none".
print(json.dumps(request), file=lines, flush=True)

answer = json.loads(lines.readline() or '{"ok": false, "error": {"message": "the agent ended"}}')
if not answer["ok"]:
    sys.exit(f"{bundle}: {answer['error']['message']}")
print(f"{bundle}: held at epoch {answer['epoch']}")
status = subprocess.run(command).returncode

print(json.dumps({"id": 2, "do": "return", "bundle": bundle}), file=lines, flush=True)
lines.readline()  # Closing the connection alone would give the bundle back as well.
sys.exit(status)
