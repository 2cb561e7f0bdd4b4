#!/usr/bin/env python3
"""A platform helper on the enforcer socket (docs/PLATFORMS.md), to start from: enforcer.py SOCKET BUNDLES VM...

Replace the methods of Platform by calls of your hypervisor: they keep account and switch nothing. Lines on standard
input stand in for your VMM: "start vault", "exit vault", "fault vault touch.mmio0 0x0a900010".
"""

import json
import os
import re
import socket
import sys
import threading
import uuid

COMMENTS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.S)
LINE_BYTES_MAX = 65536
EVIDENCE = "asserted"  # "observed" once `reach` asks the machine itself.
CAPABILITIES = {"forceRevoke": True, "reset": True, "faultReport": True}


class Platform:
    def __init__(self):
        self.table = {}  # (bundle, resource) -> VM, or "unknown" until it is settled; absent: blocked

    def block(self, key, entry):  # Every path to it; need not be visible before `settle`.
        if key in self.table:
            self.table[key] = "unknown"

    def settle(self):  # Returns when everything that was blocked is out of reach: how many syncs that took.
        self.table = {key: vm for key, vm in self.table.items() if vm != "unknown"}
        return 1

    def reset(self, device):  # Clears what a holder left, and its interrupts, active then pending.
        pass

    def idle(self, device):  # Whether no DMA is under way and no interrupt pending.
        return True

    def grant(self, key, entry, vm):  # Makes it reachable for the VM, from scratch.
        self.table[key] = vm

    def reach(self, key):  # Who reaches it, read back: a VM, "blocked" or "unknown".
        return self.table.get(key, "blocked")


class Helper:
    def __init__(self, bundles, vms):
        self.platform, self.running, self.lock = Platform(), list(vms), threading.Lock()
        self.devices = {bundle: fields["devices"] for bundle, fields in bundles.items()}
        # (bundle, "touch.interrupt1"): the second of "interrupts" of the device touch, as the bundle file has it.
        self.entries = {(bundle, f"{device}.{kind}{number}"): entry
                        for bundle, devices in self.devices.items() for device, fields in devices.items()
                        for kind, many in (("mmio", "mmio"), ("interrupt", "interrupts"), ("stream", "streams"))
                        for number, entry in enumerate(fields.get(many, []))}
        self.boot = str(uuid.uuid4())  # This process owns the VMs: with each start of it they are others.
        self.unheard = {}  # VM -> "vmStarting" or "vmExited", until it is acknowledged
        self.send = None  # To the host, once it listens.

    def carry_out(self, bundle, op, resource=None, device=None, vm=None):
        """Carries out one call. Raises a LookupError that names what cannot be."""
        key, platform = (bundle, resource), self.platform
        if bundle not in self.devices:
            raise LookupError(f"unknown bundle {bundle}")
        if op == "settle":
            return {"syncs": platform.settle()}
        if op in ("reset", "drained"):
            if device not in self.devices[bundle]:
                raise LookupError(f"unknown device {device} in bundle {bundle}")
            return {"idle": platform.idle(device)} if op == "drained" else platform.reset(device) or {}
        if key not in self.entries or op not in ("fence", "grant", "inspect"):
            raise LookupError(f"unknown resource {resource} in bundle {bundle}, or unknown call {op}")
        if op == "inspect":
            return {"reach": platform.reach(key)}
        if op == "fence":
            return platform.block(key, self.entries[key]) or {}
        if vm not in self.running:
            raise LookupError(f"{resource}: VM {vm} does not run")
        if platform.reach(key) not in ("blocked", vm):
            raise LookupError(f"{resource} is reached by {platform.reach(key)}: fence and settle first")
        return platform.grant(key, self.entries[key], vm) or {}

    def run(self, bundle, calls):
        """Carries out calls in their order, up to the first that fails."""
        answers = []
        for call in calls:
            try:
                names = {name: call[name] for name in ("resource", "device", "vm") if name in call}
                answers.append({"ok": True, **self.carry_out(bundle, call["op"], **names)})
            except LookupError as why:
                return answers + [{"ok": False, "error": why.args[0]}]
        return answers

    def on_host(self, send, line):
        do, vm = line["do"], line.get("vm")
        if do == "hello":
            who = {"name": "example", "kind": "central", "evidence": EVIDENCE, "capabilities": CAPABILITIES}
            send({"id": line["id"], **who, "machineBoot": self.boot, "running": self.running})
        elif do == "listen":
            self.send = send
            for name, event in self.unheard.items():  # What no host has acknowledged.
                send({"event": event, "vm": name})
        elif do == "run":
            send({"id": line["id"], "answers": self.run(line["bundle"], line["calls"])})
        elif do == "acknowledgeStart" and self.unheard.get(vm) == "vmStarting":
            del self.unheard[vm]  # Now the VM may run its first instruction.
            self.running.append(vm)
        elif do == "acknowledgeExit" and self.unheard.get(vm) == "vmExited":
            del self.unheard[vm]  # Now its memory may be freed.

    def on_vmm(self, word, vm, resource="", address="0"):
        if word in ("start", "exit"):
            self.running = [name for name in self.running if name != vm]
            self.unheard[vm] = "vmStarting" if word == "start" else "vmExited"
            told = {"event": self.unheard[vm], "vm": vm}
        else:
            bundle = next(bundle for bundle, name in self.entries if name == resource)
            fault = {"by": "cpu", "vm": vm, "bundle": bundle, "resource": resource, "address": int(address, 0)}
            fault.update({"write": True, "event": "stage-2 abort", "count": 1, "lost": False})
            told = {"event": "faultsPending", "faults": [fault]}
        if self.send:
            self.send(told)

    def serve(self, host):
        """One host at a time, until its connection ends: the next waits meanwhile, and asks anew."""
        with host, host.makefile("rb") as lines:
            try:
                for line in filter(bytes.strip, iter(lambda: lines.readline(LINE_BYTES_MAX), b"")):
                    with self.lock:
                        self.on_host(lambda told: host.sendall(json.dumps(told).encode() + b"\n"), json.loads(line))
            except (OSError, ValueError, KeyError) as why:
                print(f"the host is let go: {why!r}", file=sys.stderr)
            self.send = None

    def hear_vmm(self):
        for line in filter(str.strip, sys.stdin):
            with self.lock:
                self.on_vmm(*line.split())


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:  # JSON with comments, and commas at the end of lists.
        helper = Helper(json.loads(COMMENTS.sub(lambda match: match[1] or "", file.read()))["bundles"], sys.argv[3:])
    threading.Thread(target=helper.hear_vmm, daemon=True).start()
    os.umask(0o177)
    if os.path.exists(sys.argv[1]):
        os.unlink(sys.argv[1])
    with socket.create_server(sys.argv[1], family=socket.AF_UNIX) as listener:
        while True:
            helper.serve(listener.accept()[0])
