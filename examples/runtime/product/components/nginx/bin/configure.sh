#!/bin/sh
# Writes the configuration of this instance into the workspace and lets nginx itself check it.
PATH="${PATH}:/usr/sbin:/usr/local/sbin"
home="${ZWE_zowe_workspaceDirectory:?}/nginx/${ZWE_haInstance_id:-default}"
mkdir -p "${home}/temp" || exit 8

# Only root may choose whom the workers run as; they must reach the workspace like nginx itself.
user=""
if [ "$(id -u)" = 0 ]; then user="user $(id -un) $(id -gn);"; fi

# The instance's own certificate, when it has one.
tls=""
if [ -n "${ZWE_zowe_certificate_pem_key:-}" ] && [ -n "${ZWE_zowe_certificate_pem_certificate:-}" ]; then
  tls="listen 127.0.0.1:${ZWE_configs_tlsPort:-7343} ssl;
    ssl_certificate \"${ZWE_zowe_certificate_pem_certificate}\";
    ssl_certificate_key \"${ZWE_zowe_certificate_pem_key}\";
    ssl_protocols TLSv1.2 TLSv1.3;"
fi

cat >"${home}/nginx.conf.new" <<EOF || exit 8
daemon off;
${user}
worker_processes 1;
pid "${home}/nginx.pid";
error_log stderr warn;
events { worker_connections 512; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path "${home}/temp/body";
  proxy_temp_path "${home}/temp/proxy";
  fastcgi_temp_path "${home}/temp/fastcgi";
  uwsgi_temp_path "${home}/temp/uwsgi";
  scgi_temp_path "${home}/temp/scgi";
  server {
    listen 127.0.0.1:${ZWE_configs_port:?};
    ${tls}
    location / {
      proxy_pass http://127.0.0.1:${ZWE_configs_servicePort:?};
      proxy_connect_timeout 2s;
      proxy_set_header X-Forwarded-Proto \$scheme;
    }
  }
}
EOF
nginx -t -q -p "${home}" -c "${home}/nginx.conf.new" || exit 8
mv "${home}/nginx.conf.new" "${home}/nginx.conf" || exit 8

EXAMPLE_NGINX_HOME="${home}"
export EXAMPLE_NGINX_HOME
