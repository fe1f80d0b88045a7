"""Asks the ledger for its balances and prints one a line."""

import json
import sys
import urllib.request

with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=5) as answer:
    for account, balance in sorted(json.load(answer)["balances"].items()):
        print(account, balance)
