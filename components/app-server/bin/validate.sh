#!/bin/sh
# Can certificates be read, and is the port free?
. bin/program.sh
"${TENDER_PROGRAM}" desktop run --check || exit 8
if command -v validate_port_available >/dev/null; then
  validate_port_available "${ZWE_configs_port:-7556}" || exit 8
fi
