#!/bin/sh
. bin/program.sh
exec "${TENDER_PROGRAM}" discovery run
