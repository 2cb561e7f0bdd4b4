"""Reads an input device of this machine and feeds the enforcer `qmp`: what it reads reaches the holder's VM alone.

    python3 feed_input.py /dev/input/event5 /run/baton/panel.input

The device is grabbed, so this machine itself no longer gets its events. Needs read access (group input).
"""
import errno, fcntl, json, socket, struct, sys

EVENT = struct.Struct("@llHHi")  # struct input_event: seconds, microseconds, type, code, value
SYN, KEY, REL, ABS = 0, 1, 2, 3
GRAB, ABS_INFO = 0x40044590, 0x80184540  # EVIOCGRAB, EVIOCGABS(0)
BUTTONS = {0x110: "left", 0x14A: "left", 0x111: "right", 0x112: "middle"}  # BTN_LEFT, BTN_TOUCH, BTN_RIGHT, BTN_MIDDLE
AXES = {0x00: "x", 0x01: "y", 0x35: "x", 0x36: "y"}  # ABS_X, ABS_Y, ABS_MT_POSITION_X, ABS_MT_POSITION_Y
# Up to 88 (F12) Linux and QEMU number keys alike; of the others, those of a usual keyboard.
KEYS = {96: "kp_enter", 97: "ctrl_r", 98: "kp_divide", 100: "alt_r", 102: "home", 103: "up", 104: "pgup", 105: "left",
        106: "right", 107: "end", 108: "down", 109: "pgdn", 110: "insert", 111: "delete", 125: "meta_l", 126: "meta_r"}


def ask(device, request, argument):
    """An ioctl; None where the device has no such thing, as a file of recorded events."""
    try:
        return fcntl.ioctl(device, request, argument)
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL):
            raise
        return None


def scale(device, code):
    info = ask(device, ABS_INFO + code, bytes(24))
    low, high = struct.unpack("6i", info)[1:3] if info else (0, 0x7FFF)
    return lambda value: max(0, min(0x7FFF, (value - low) * 0x7FFF // max(1, high - low)))


def translate(kind, code, value, scales):
    """One event in the words of QMP's input-send-event; None for what QEMU's input devices do not have."""
    if kind == KEY and code in BUTTONS:
        return {"type": "btn", "data": {"down": value != 0, "button": BUTTONS[code]}}
    if kind == KEY and (1 <= code <= 88 or code in KEYS):
        key = {"type": "qcode", "data": KEYS[code]} if code in KEYS else {"type": "number", "data": code}
        return {"type": "key", "data": {"down": value != 0, "key": key}}
    if kind == ABS and code in AXES:
        return {"type": "abs", "data": {"axis": AXES[code], "value": scales[code](value)}}
    if kind == REL and code in (0, 1):
        return {"type": "rel", "data": {"axis": "xy"[code], "value": value}}
    return None


def main(path, address):
    feed = socket.socket(socket.AF_UNIX)
    feed.connect(address)
    with open(path, "rb", buffering=0) as device:
        if ask(device, GRAB, 1) is None:
            print(f"{path}: cannot be grabbed, its events also reach this machine", file=sys.stderr)
        scales = {code: scale(device, code) for code in AXES}
        events = []
        while len(record := device.read(EVENT.size)) == EVENT.size:
            _, _, kind, code, value = EVENT.unpack(record)
            event = translate(kind, code, value, scales)
            if event:
                events.append(event)
            if events and (kind == SYN or len(events) == 32):
                feed.sendall(json.dumps({"events": events}).encode() + b"\n")
                events = []


if __name__ == "__main__":
    main(*sys.argv[1:3])
