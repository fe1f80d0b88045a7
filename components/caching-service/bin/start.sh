#!/bin/sh
. bin/program.sh
set -- cache run
[ -z "${ZWE_configs_gateway:-}" ] || set -- "$@" --gateway "${ZWE_configs_gateway}"
exec "${TENDER_PROGRAM}" "$@"
