#!/bin/sh
command -v python3 >/dev/null || { echo "ticker needs python3" >&2; exit 8; }
