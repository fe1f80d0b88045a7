#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/lib/server.py" \
  --settings "$here/etc/ledger.ini" --data "${WORKSPACE:?}/ledger" --port "${LEDGER_PORT:-7201}"
