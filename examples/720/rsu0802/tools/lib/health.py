"""Asks the ledger whether it is well; exit 0 when it is."""

import json
import sys
import urllib.request

with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=5) as answer:
    sys.exit(0 if json.load(answer)["status"] == "UP" else 1)
