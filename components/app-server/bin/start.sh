#!/bin/sh
. bin/program.sh
exec "${TENDER_PROGRAM}" desktop run
