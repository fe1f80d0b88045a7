# Finds the program that the service is part of; sourced by the other scripts.
# shellcheck shell=sh
if [ -z "${TENDER_PROGRAM:-}" ]; then
  if [ -x "${ZWE_zowe_runtimeDirectory:-}/bin/tender" ]; then
    TENDER_PROGRAM="${ZWE_zowe_runtimeDirectory}/bin/tender"
  else
    TENDER_PROGRAM=tender
  fi
fi
command -v "${TENDER_PROGRAM}" >/dev/null || {
  echo "there is no program tender: neither bin/tender in the runtime directory nor in PATH; set TENDER_PROGRAM" >&2
  exit 28
}
