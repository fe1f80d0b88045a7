#!/bin/sh
. bin/program.sh
exec "${TENDER_PROGRAM}" gateway run --provider "${ZWE_configs_provider:-none}" --store "${ZWE_configs_revocations:-memory}"
