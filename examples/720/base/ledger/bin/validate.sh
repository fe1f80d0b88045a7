#!/bin/sh
# Refuses to start without an interpreter or with a port that is no number.
command -v python3 >/dev/null || { echo "ledger needs python3" >&2; exit 8; }
case "${LEDGER_PORT:-7201}" in
  *[!0-9]*) echo "LEDGER_PORT is not a number: $LEDGER_PORT" >&2; exit 8 ;;
esac
