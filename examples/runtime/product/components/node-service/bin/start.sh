#!/bin/sh
if [ -n "${NODE_HOME:-}" ]; then PATH="${NODE_HOME}/bin:${PATH}"; fi
exec node lib/server.js "${EXAMPLE_NODE_SETTINGS:?}"
