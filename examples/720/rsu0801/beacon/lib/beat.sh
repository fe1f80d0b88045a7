#!/bin/sh
# Writes the time to the file named by the first argument, again and again.
while :; do
  date -u +%Y-%m-%dT%H:%M:%SZ > "$1.new" && mv "$1.new" "$1"
  sleep 60
done
