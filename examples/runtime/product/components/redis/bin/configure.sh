#!/bin/sh
# Writes the configuration of this instance into the workspace; the component's own directory is never written.
home="${ZWE_zowe_workspaceDirectory:?}/redis/${ZWE_haInstance_id:-default}"
mkdir -p "${home}/data" && chmod 700 "${home}" || exit 8

# A temporary name first: a server that starts at this moment reads the old file or the new one.
cat >"${home}/redis.conf.new" <<EOF || exit 8
bind 127.0.0.1
port ${ZWE_configs_port:?}
protected-mode yes
daemonize no
dir "${home}/data"
appendonly yes
maxmemory ${ZWE_configs_maxMemory:-64mb}
maxmemory-policy noeviction
EOF
mv "${home}/redis.conf.new" "${home}/redis.conf" || exit 8

EXAMPLE_REDIS_CONF="${home}/redis.conf"
export EXAMPLE_REDIS_CONF
