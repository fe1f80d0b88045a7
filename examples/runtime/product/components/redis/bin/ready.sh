#!/bin/sh
# A server that still reads its data answers, but not with PONG.
test "$(redis-cli -h 127.0.0.1 -p "${ZWE_configs_port:?}" ping 2>/dev/null)" = PONG
