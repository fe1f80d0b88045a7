#!/bin/sh
# Can certificates be read, and is the port free?
. bin/program.sh
"${TENDER_PROGRAM}" gateway run --check --provider "${ZWE_configs_provider:-none}" \
  --store "${ZWE_configs_revocations:-memory}" || exit 8
if command -v validate_port_available >/dev/null; then
  validate_port_available "${ZWE_configs_port:-7554}" || exit 8
fi
