#!/bin/sh
# Makes the data directory outside the read-only runtime directory.
mkdir -p "${WORKSPACE:?}/ledger"
