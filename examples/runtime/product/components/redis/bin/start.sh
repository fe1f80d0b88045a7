#!/bin/sh
# Starts the server in the background and ends, as many older start scripts do: it is the server that is followed.
redis-server "${EXAMPLE_REDIS_CONF:?}" &
echo "redis runs as process $!"
