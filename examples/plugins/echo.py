#!/usr/bin/env python3
"""An echo plug-in that speaks the protocol of docs/cross-memory.md with nothing but Python's own library."""

import json
import select
import socket
import struct
import sys

HEADER = struct.Struct("<IHHQHHIIIQQ")  # 48 bytes
MAGIC, VERSION = 0x4D584E54, 2
CALL, REPLY = 3, 4
DESCRIPTOR, START, READY, PING, PONG, COMMAND, OUTPUT, ANCHOR, TERM = range(32, 41)
MEMFD = 4
PACKET = HEADER.size + 64 * 1024


def frame(kind, sequence=0, payload=b"", service=0, code=0, detail=0):
    return HEADER.pack(MAGIC, VERSION, kind, sequence, service, 0, code, detail, len(payload), 0, 0) + payload


def receive(end):
    """One frame as (kind, sequence, service, flags, payload); None at the end of the connection."""
    packet, descriptors, _, _ = socket.recv_fds(end, PACKET, 1)
    if not packet:
        return None
    magic, version, kind, sequence, service, flags, _, _, length, _, _ = HEADER.unpack_from(packet)
    if magic != MAGIC or version != VERSION:
        raise SystemExit("what came is no frame of this protocol")
    payload = packet[HEADER.size:]
    if flags & MEMFD:
        with open(descriptors[0], "rb") as file:
            payload = file.read(length)
    return kind, sequence, service, flags, payload


def serve(payload):
    """Answers one call: return code of the service, and what it says."""
    (length,) = struct.unpack_from("<I", payload)
    caller = json.loads(payload[4:4 + length])
    request = payload[4 + length:]
    if caller["service"] != "ECHO":
        return 14, b""
    return (0, request) if len(request) <= 64 * 1024 else (33, b"longer than 64 KiB")


def command(words, count):
    """Answers an operator: 3 consumed or 1 not known, and what it says."""
    if words == [b"COUNT"]:
        return 3, str(count).encode()
    if words in ([verb, b"STATUS"] for verb in (b"D", b"DIS", b"DISPLAY")):
        return 3, b"PYECHO is ready, %d calls" % count
    return 1, b""


def main():
    try:
        control, calls = (socket.fromfd(number, socket.AF_UNIX, socket.SOCK_SEQPACKET) for number in (3, 4))
        control.getpeername()
    except OSError:
        print("ZWES0058E The communication area is not there: a plug-in is started by the cross-memory server, "
              "not by hand.", file=sys.stderr)
        return 8
    services = [{"name": "ECHO", "version": 1}]
    description = {"name": "PYECHO", "nickname": "PYEC", "version": 1, "anchor_layout": 0, "services": services}
    control.send(frame(DESCRIPTOR, payload=json.dumps(description).encode()))
    count = 0
    while True:
        ready, _, _ = select.select([control, calls], [], [])
        if calls in ready:
            call = receive(calls)
            if call is None:
                return 8
            _, sequence, service, _, payload = call
            count += 1
            code, answer = serve(payload)
            calls.send(frame(REPLY, sequence, answer, service=service, detail=code))
        if control in ready:
            order = receive(control)
            if order is None:
                return 8
            kind, sequence, _, _, payload = order
            if kind == START:
                control.send(frame(READY))
            elif kind == PING:
                control.send(frame(PONG, sequence))
            elif kind == COMMAND:
                code, answer = command(payload.split(), count)
                control.send(frame(OUTPUT, sequence, answer, code=code))
            elif kind == TERM:
                return 0


if __name__ == "__main__":
    sys.exit(main())
