#!/bin/sh
# Writes the settings as JSON; node itself does the quoting.
home="${ZWE_zowe_workspaceDirectory:?}/node-service/${ZWE_haInstance_id:-default}"
mkdir -p "${home}" || exit 8
if [ -n "${NODE_HOME:-}" ]; then PATH="${NODE_HOME}/bin:${PATH}"; fi
node -e '
  const environment = process.env;
  process.stdout.write(JSON.stringify({
    port: Number(environment.ZWE_configs_port),
    redisPort: Number(environment.ZWE_configs_redisPort),
    greeting: environment.ZWE_configs_greeting || "Good day",
    instance: environment.ZWE_haInstance_id || "default",
  }, null, 2) + "\n");
' >"${home}/settings.json.new" || exit 8
mv "${home}/settings.json.new" "${home}/settings.json" || exit 8

EXAMPLE_NODE_SETTINGS="${home}/settings.json"
export EXAMPLE_NODE_SETTINGS
