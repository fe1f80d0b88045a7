#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
exec sh "$here/lib/beat.sh" "${WORKSPACE:?}/beacon"
