#!/bin/sh
# Is there a Node that can run the server, and are the ports numbers?
if [ -n "${NODE_HOME:-}" ]; then PATH="${NODE_HOME}/bin:${PATH}"; fi
command -v node >/dev/null || { echo "node-service needs node; set node.home in zowe.yaml" >&2; exit 8; }
major="$(node --version | sed 's/^v\([0-9]*\).*/\1/')"
if [ "${major:-0}" -lt 16 ]; then
  echo "node-service needs node 16 or later; $(command -v node) is version ${major}" >&2
  exit 8
fi
for port in "${ZWE_configs_port:-}" "${ZWE_configs_redisPort:-}"; do
  case "${port}" in
    '' | *[!0-9]*) echo "node-service needs numbers as port and redisPort, not '${port}'" >&2; exit 8 ;;
  esac
done
if command -v validate_port_available >/dev/null; then
  validate_port_available "${ZWE_configs_port}" || exit 8
fi
