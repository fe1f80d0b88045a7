"""A small service as a company writes one: it answers, registers itself, and renews its lease each second.

GET  …/who    its name
GET  …/large  200 000 bytes
GET  …/wait   its name, once there is a file `go` in its directory
POST …        its name, having written down the body as a line of `NAME.done`
"""

import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

SETTINGS = json.loads(sys.argv[1])
NAME, ADDRESS, PORT, DIRECTORY = (SETTINGS[key] for key in ("name", "address", "port", "directory"))
IS_SECURE = SETTINGS["is_secure"]
INSTANCE = f"{ADDRESS}:{SETTINGS['service']}:{PORT}"
METADATA = {
    "apiml.routes.api_v1.gatewayUrl": "api/v1",
    "apiml.routes.api_v1.serviceUrl": "/own",
    "apiml.service.title": NAME,
}


def say(line):
    print(line, flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are one piece of the network: whoever is killed has sent both or nothing.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.endswith("/wait"):
            say("asked to wait")
            while not os.path.exists(os.path.join(DIRECTORY, "go")):
                time.sleep(0.02)
        self.answer(b"0123456789" * 20000 if self.path.endswith("/large") else NAME.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < 1000:
            with open(os.path.join(DIRECTORY, f"{NAME}.done"), "ab") as done:
                done.write(body + b"\n")
        self.answer(f"{NAME} {len(body)}".encode())


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def finish_request(self, request, client_address):
        # In the thread of the connection: who does not go on with a handshake keeps nobody waiting.
        try:
            if IS_SECURE:
                request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        self.RequestHandlerClass(request, client_address, self)

    def handle_error(self, request, client_address):
        pass


def context(purpose, pair):
    made = ssl.create_default_context(purpose, cafile=SETTINGS["trust"])
    made.load_cert_chain(pair[1], pair[0])
    return made


class Registration:
    """Keeps the service registered with the first discovery service that answers."""

    def __init__(self):
        self.context = context(ssl.Purpose.SERVER_AUTH, SETTINGS["registers"])
        self.discovery = list(SETTINGS["discovery"])

    def ask(self, method, path, body=None):
        for base in list(self.discovery):
            request = urllib.request.Request(base + path, method=method, data=body)
            request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=2, context=self.context) as answer:
                    return base, answer.status
            except urllib.error.HTTPError as error:
                return base, error.code
            except OSError:
                # The others first from now on.
                self.discovery.remove(base)
                self.discovery.append(base)
        return None, None

    def document(self):
        return json.dumps({"instance": {
            "instanceId": INSTANCE, "app": SETTINGS["service"], "hostName": ADDRESS, "ipAddr": ADDRESS, "status": "UP",
            "vipAddress": SETTINGS["service"], "secureVipAddress": SETTINGS["service"],
            "port": {"$": PORT, "@enabled": not IS_SECURE}, "securePort": {"$": PORT, "@enabled": IS_SECURE},
            "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
            "leaseInfo": {"renewalIntervalInSecs": 1, "durationInSecs": SETTINGS["lease_s"]},
            "metadata": METADATA | SETTINGS["metadata"],
        }}).encode()

    def run(self):
        code = 404
        while True:
            if code == 404:
                base, code = self.ask("POST", f"/apps/{SETTINGS['service']}", self.document())
                say(f"registered at {base}: {code}")
            else:
                base, code = self.ask("PUT", f"/apps/{SETTINGS['service']}/{INSTANCE}")
                say(f"renewed at {base}: {code}")
            if code != 404:
                time.sleep(1)


def main():
    server = Server((ADDRESS, PORT), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(SETTINGS["serves"][1], SETTINGS["serves"][0])
    say("listens")
    threading.Thread(target=Registration().run, daemon=True).start()
    server.serve_forever()


main()
