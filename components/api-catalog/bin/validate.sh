#!/bin/sh
# Can certificates be read, and is the port free?
. bin/program.sh
"${TENDER_PROGRAM}" catalog run --check || exit 8
if command -v validate_port_available >/dev/null; then
  validate_port_available "${ZWE_configs_port:-7552}" || exit 8
fi
