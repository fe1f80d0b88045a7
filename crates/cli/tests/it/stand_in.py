"""Speaks enough of the protocol of the cross-memory server to be started, asked and stopped by the command line.

An implementation of its own, from docs/cross-memory.md: what it and the client library disagree about shows here.
"""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys

HEADER = struct.Struct("<IHHQHHIIIQQ")
HELLO, WELCOME, CALL, REPLY, COMMAND, OUTPUT = 1, 2, 3, 4, 16, 17


def frame(kind, sequence, code=0, detail=0, payload=b"", reference=0, service=0):
    return HEADER.pack(0x4D584E54, 2, kind, sequence, service, 0, code, detail, len(payload), 0, reference) + payload


def answer(name, packet):
    _, _, kind, sequence, service, _, _, _, length, _, _ = HEADER.unpack(packet[:48])
    payload = packet[48 : 48 + length]
    if kind == HELLO:
        welcome = {"server": name, "release": "stand-in", "generation": 1, "epoch": 1, "services": [],
                   "payload_bytes_max": 65536, "calls_max": 16}
        return [frame(WELCOME, sequence, payload=json.dumps(welcome).encode())]
    if kind == CALL and service == 4:
        return [frame(REPLY, sequence, payload=payload, service=service)]
    if kind == CALL and service == 13:
        return [frame(REPLY, sequence, detail=14, payload=b"\x1b[2J", service=service)]
    if kind == CALL:
        refusal = {"subject": "BOB", "class": "FACILITY", "resource": "ZWES.IS.SRV.IDENTIFY", "level": "READ",
                   "rule": "no profile", "remedy": "RDEFINE FACILITY ZWES.IS.SRV.IDENTIFY", "reference": 7}
        return [frame(REPLY, sequence, code=33, payload=json.dumps(refusal).encode(), reference=7, service=service)]
    if kind == COMMAND and payload.startswith(b"DISPLAY"):
        return [frame(OUTPUT, sequence, payload=b"ZWES0222I " + payload),
                frame(OUTPUT, sequence, detail=1, payload=b"")]
    return [frame(OUTPUT, sequence, code=8, detail=1, payload=b"ZWES0227W not a command: " + payload)]


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen()
    return listener


def main():
    words = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
    member = os.path.join(sys.argv[sys.argv.index("--parmlib") + 1], "ZWESIPxx".replace("xx", words.get("MEM", "00")))
    with open(member) as lines:
        words = dict(line.strip().split("=", 1) for line in lines if "=" in line) | words
    name = words.get("NAME", words.get("ZWES.NAME", "ZWESIS_STD"))
    print("ZWES0001I stand-in starting", flush=True)
    if "FAIL" in words:
        print("ZWES0117E not authorised", flush=True)
        sys.exit(int(words["FAIL"]))
    directory = os.path.join(os.environ["TENDER_XMEM_RUN"], name)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    lock = open(os.path.join(directory, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write(json.dumps({"pid": os.getpid(), "since": "today", "version": "0"}))
    lock.flush()
    listeners = []
    for kind in ("socket", "control"):
        path = os.path.join(directory, kind)
        if os.path.exists(path):
            os.unlink(path)
        listeners.append(listen(path))
    if "STUBBORN" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ZWES0109I ready", flush=True)
    connections = []
    while True:
        readable, _, _ = select.select(listeners + connections, [], [])
        for ready in readable:
            if ready in listeners:
                connections.append(ready.accept()[0])
                continue
            packet = ready.recv(1 << 17)
            if not packet:
                connections.remove(ready)
                ready.close()
                continue
            for reply in answer(name, packet):
                ready.send(reply)


main()
