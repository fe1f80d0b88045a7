#!/bin/sh
# Refuses to start without an interpreter.
command -v python3 >/dev/null || { echo "ledger needs python3" >&2; exit 8; }
