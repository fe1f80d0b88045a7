#!/bin/sh
# Are the programs there, and is the port one that can be listened on?
for program in redis-server redis-cli; do
  command -v "${program}" >/dev/null || { echo "redis needs the program ${program}" >&2; exit 8; }
done
port="${ZWE_configs_port:-}"
case "${port}" in
  '' | *[!0-9]*) echo "redis needs a number as components.redis.port, not '${port}'" >&2; exit 8 ;;
esac
# A function of the launcher: fails when somebody else listens there.
if command -v validate_port_available >/dev/null; then
  validate_port_available "${port}" || exit 8
fi
