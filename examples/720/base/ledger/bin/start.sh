#!/bin/sh
exec python3 -B lib/server.py --settings etc/ledger.ini \
  --data "${ZWE_zowe_workspaceDirectory:?}/ledger" --port "${ZWE_configs_port:?}"
