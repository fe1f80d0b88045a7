#!/bin/sh
# Makes the data directory outside the read-only runtime directory.
mkdir -p "${ZWE_zowe_workspaceDirectory:?}/ledger"
