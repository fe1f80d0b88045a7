"""Leaves a sign of life in redis: a key that counts up and vanishes when nobody counts any more."""

import argparse
import os
import signal
import socket
import sys
import threading

ANSWER_SECONDS = 2.0
# The key outlives a few missed beats.
BEATS_KEPT = 5

ended = threading.Event()


def ask(port, *words):
    """Asks redis and returns the first line of its answer."""
    request = b"*%d\r\n" % len(words)
    for word in words:
        data = str(word).encode()
        request += b"$%d\r\n%s\r\n" % (len(data), data)
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
        connection.sendall(request)
        answer = connection.makefile("rb").readline().decode().strip()
    if not answer or answer.startswith("-"):
        raise OSError(answer or "redis closed the connection")
    return answer[1:]


def notify(state):
    """Tells whoever started this process how it is."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), address)


def main():
    """Beats until it is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--key", required=True)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    is_announced = False
    lifetime_ms = int(options.seconds * BEATS_KEPT * 1000)
    while not ended.is_set():
        try:
            beat = ask(options.port, "INCR", options.key)
            ask(options.port, "PEXPIRE", options.key, lifetime_ms)
        except OSError as error:
            print(f"ticker: redis: {error}", file=sys.stderr)
        else:
            if not is_announced:
                print(f"ticker beats, {beat}")
                notify("READY=1")
                is_announced = True
        ended.wait(options.seconds)
    notify("STOPPING=1")
    print("ticker ends")


if __name__ == "__main__":
    main()
