#!/usr/bin/python3
"""A plug-in that tells what it can do, when it is asked."""
import json, os, socket, struct, sys

HEADER = struct.Struct("<IHHQHHIIIQQ")
control = socket.socket(fileno=3)


def send(kind, payload=b"", sequence=0, code=0):
    control.send(HEADER.pack(0x4D584E54, 2, kind, sequence, 0, 0, code, 0, len(payload), 0, 0) + payload)


def can(action):
    try:
        action()
        return True
    except OSError:
        return False


def facts():
    return {
        "argument": sys.argv[1],
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:6],
        "environment": sorted(os.environ),
        "no_new_privs": "NoNewPrivs:\t1" in open("/proc/self/status").read(),
        "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
        "seccomp": [line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")],
        "writes /tmp": can(lambda: open("/tmp/auxiliary-was-here", "w")),
        "reads /etc/shadow": can(lambda: open("/etc/shadow")),
        "reads /etc/passwd": can(lambda: open("/etc/passwd")),
        "interfaces": [name for _, name in socket.if_nameindex()],
    }


descriptor = {"name": "FACTS", "nickname": "FACT", "version": 1, "services": [{"name": "ASK", "version": 1}]}
send(32, json.dumps(descriptor).encode())
while True:
    packet = control.recv(65536 + 48)
    if not packet:
        sys.exit(0)
    kind, sequence = HEADER.unpack(packet[:48])[2:4]
    if kind == 33:
        send(34)
    elif kind == 35:
        send(36, sequence=sequence)
    elif kind == 37:
        send(38, json.dumps(facts()).encode(), sequence, 2)
    elif kind == 40:
        sys.exit(0)
