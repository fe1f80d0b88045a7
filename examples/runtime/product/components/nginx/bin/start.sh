#!/bin/sh
PATH="${PATH}:/usr/sbin:/usr/local/sbin"
exec nginx -p "${EXAMPLE_NGINX_HOME:?}" -c "${EXAMPLE_NGINX_HOME}/nginx.conf"
