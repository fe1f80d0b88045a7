#!/bin/sh
# Writes the time to the file named by the first argument, again and again.
while :; do
  date > "$1"
  sleep 60
done
