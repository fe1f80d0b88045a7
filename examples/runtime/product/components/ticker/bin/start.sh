#!/bin/sh
exec python3 -B -u lib/ticker.py --port "${ZWE_configs_redisPort:?}" --seconds "${ZWE_configs_seconds:-1}" \
  --key "ticker:${ZWE_haInstance_id:-default}"
