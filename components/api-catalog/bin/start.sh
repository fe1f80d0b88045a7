#!/bin/sh
. bin/program.sh
exec "${TENDER_PROGRAM}" catalog run
