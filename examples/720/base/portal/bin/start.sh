#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
exec python3 -m http.server --bind 127.0.0.1 --directory "$here/www" "${PORTAL_PORT:-7202}"
