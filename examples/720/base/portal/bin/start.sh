#!/bin/sh
exec python3 -m http.server --bind 127.0.0.1 --directory "$PWD/www" "${ZWE_configs_port:?}"
