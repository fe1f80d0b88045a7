"""The HTTP side of the ledger: GET / lists balances, POST /ACCOUNT/AMOUNT enters one."""

import argparse
import configparser
import http.server
import json
import os

from store import Store


def make_handler(store, settings):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status, body):
            data = json.dumps(body).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            self.answer(200, {"currency": settings["ledger"]["currency"], "balances": store.all()})

        def do_POST(self):
            try:
                account, amount = self.path.strip("/").split("/")
                if abs(float(amount)) > settings["limits"].getfloat("entry_max"):
                    raise ValueError("the amount is over entry_max")
            except ValueError as fault:
                self.answer(400, {"error": str(fault)})
                return
            self.answer(200, {"account": account, "balance": store.enter(account, amount)})

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, default=7201)
    arguments = parser.parse_args()
    settings = configparser.ConfigParser()
    settings.read(arguments.settings)
    store = Store(os.path.join(arguments.data, settings["ledger"]["journal"]))
    address = (settings["http"]["address"], arguments.port)
    with http.server.HTTPServer(address, make_handler(store, settings)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
