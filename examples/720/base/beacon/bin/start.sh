#!/bin/sh
exec sh lib/beat.sh "${ZWE_zowe_workspaceDirectory:?}/beacon"
