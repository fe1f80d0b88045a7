#!/bin/sh
# Is the program there, and are the ports ones that can be listened on?
PATH="${PATH}:/usr/sbin:/usr/local/sbin"
command -v nginx >/dev/null || { echo "nginx needs the program nginx" >&2; exit 8; }
for port in "${ZWE_configs_port:-}" "${ZWE_configs_servicePort:-}" "${ZWE_configs_tlsPort:-7343}"; do
  case "${port}" in
    '' | *[!0-9]*) echo "nginx needs numbers as port, tlsPort and servicePort, not '${port}'" >&2; exit 8 ;;
  esac
done
if command -v validate_port_available >/dev/null; then
  validate_port_available "${ZWE_configs_port}" || exit 8
  if [ -n "${ZWE_zowe_certificate_pem_key:-}" ]; then
    validate_port_available "${ZWE_configs_tlsPort:-7343}" || exit 8
  fi
fi
