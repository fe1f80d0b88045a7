"""Clients that keep their connections, as browsers and programs do, and ask until their input ends.

A connection that cannot be made is made to the next address. A read whose connection broke before the first byte of its
answer is asked once more over another connection; a change is not. What remains has failed.
"""

import http.client
import json
import ssl
import sys
import threading
import time

SETTINGS = json.loads(sys.argv[1])
CONTEXT = ssl.create_default_context(cafile=SETTINGS["trust"])
BROKEN = (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Counts:
    def __init__(self):
        self.lock = threading.Lock()
        self.answered = 0
        self.by = {}
        self.connections = 0
        # Connections that could not be made: because nobody listens or answers, or because they broke while they were made.
        self.unreachable = 0
        self.dropped = 0
        # Reads that were asked again, by whether their connection had been used before.
        self.broken_reused = 0
        self.broken_new = 0
        # How often, by what became of it.
        self.failed = {}
        self.done = []
        self.unsure = []

    def count(self, name, number=1):
        with self.lock:
            setattr(self, name, getattr(self, name) + number)

    def answer(self, text):
        with self.lock:
            self.answered += 1
            self.by[text] = self.by.get(text, 0) + 1
            if self.answered % 50 == 0:
                print("answered", self.answered, flush=True)

    def fail(self, text):
        with self.lock:
            self.failed[text] = self.failed.get(text, 0) + 1
            print("failed", sum(self.failed.values()), flush=True)


COUNTS = Counts()
IS_OVER = threading.Event()


class Nowhere(Exception):
    pass


class Client(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.number = number
        self.at = number
        self.connection = None
        self.is_new = True

    def connect(self):
        addresses = SETTINGS["addresses"]
        while True:
            for _ in addresses:
                host, port = addresses[self.at % len(addresses)].split(":")
                connection = http.client.HTTPSConnection(host, int(port), timeout=3, context=CONTEXT)
                try:
                    connection.connect()
                    connection.sock.settimeout(SETTINGS["answer_timeout_s"])
                    COUNTS.count("connections")
                    self.connection, self.is_new = connection, True
                    return
                except OSError as error:
                    connection.close()
                    is_refused = isinstance(error, (ConnectionRefusedError, TimeoutError))
                    COUNTS.count("unreachable" if is_refused else "dropped")
                    self.at += 1
            if not SETTINGS["is_patient"] or IS_OVER.is_set():
                raise Nowhere
            time.sleep(0.02)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def send(self, body):
        if self.connection is None:
            self.connect()
        self.connection.request("GET" if body is None else "POST", SETTINGS["path"], body=body)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        self.is_new = False
        if answer.will_close or not SETTINGS["keeps"]:
            self.close()
        return answer.status, text

    def ask(self, body):
        for is_last in (False, True):
            try:
                return self.send(body)
            except BROKEN as error:
                was_new = self.is_new
                self.close()
                # Another one may be alive.
                self.at += 1
                if body is not None or is_last:
                    raise
                COUNTS.count("broken_new" if was_new else "broken_reused")

    def turn(self, body):
        try:
            status, text = self.ask(body)
        except Nowhere:
            if not IS_OVER.is_set():
                COUNTS.fail("nowhere: no address takes a connection")
                time.sleep(0.05)
            return
        except (http.client.HTTPException, OSError) as error:
            self.close()
            self.at += 1
            if body is not None:
                COUNTS.unsure.append(body)
            else:
                COUNTS.fail(f"{type(error).__name__}: {error}")
            return
        if status == 200:
            COUNTS.answer(text.split(" ")[0])
            if body is not None:
                COUNTS.done.append(body)
        elif body is not None and status == 500:
            # It may have been done.
            COUNTS.unsure.append(body)
        else:
            COUNTS.fail(f"{status}: {text}")

    def run(self):
        number = 0
        while not IS_OVER.is_set():
            self.turn(f"{self.number}-{number}" if SETTINGS["changes"] else None)
            number += 1
        self.close()


def main():
    clients = [Client(number) for number in range(SETTINGS["clients"])]
    for client in clients:
        client.start()
    sys.stdin.read()
    IS_OVER.set()
    for client in clients:
        client.join()
    result = {name: value for name, value in vars(COUNTS).items() if name != "lock"}
    print("over", json.dumps(result), flush=True)


main()
