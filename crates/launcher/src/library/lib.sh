# Functions that lifecycle scripts of components may use. Read before every validate, configure and start script.
# Written for any Bourne shell; defines functions only and changes nothing else.

# --- messages: `print_error` and what is formatted as an error count as a failed check of `validate`.
print_raw_message() {
  if [ "${2:-}" = "true" ]; then printf '%s\n' "$1" >&2; else printf '%s\n' "$1"; fi
}
print_message() { printf '%s\n' "$1"; }
print_empty_line() { printf '\n'; }
print_error() {
  printf 'ERROR: %s\n' "$1" >&2
  ZWE_PRIVATE_ERRORS_FOUND=$((${ZWE_PRIVATE_ERRORS_FOUND:-0} + 1))
  ERRORS_FOUND=${ZWE_PRIVATE_ERRORS_FOUND}
  export ZWE_PRIVATE_ERRORS_FOUND ERRORS_FOUND
}
print_error_message() { print_error "$1"; }
print_error_and_exit() {
  print_error "$1"
  exit "${3:-1}"
}
print_debug() {
  case "${ZWE_PRIVATE_LOG_LEVEL_ZWELS:-}" in DEBUG | TRACE) printf 'DEBUG: %s\n' "$1" ;; esac
}
print_trace() {
  case "${ZWE_PRIVATE_LOG_LEVEL_ZWELS:-}" in TRACE) printf 'TRACE: %s\n' "$1" ;; esac
}
print_level0_message() { printf '=== %s\n' "$1"; }
print_level1_message() { printf '--- %s\n' "$1"; }
print_level2_message() { printf '  > %s\n' "$1"; }

# print_formatted_message SERVICE LOGGER LEVEL TEXT; `-` as text reads standard input.
print_formatted_message() {
  tender_text="$4"
  if [ "${tender_text}" = "-" ]; then tender_text=$(cat); fi
  case "$3" in
    TRACE | DEBUG)
      case "${ZWE_PRIVATE_LOG_LEVEL_ZWELS:-INFO}:$3" in
        TRACE:* | DEBUG:DEBUG) ;;
        *) unset tender_text; return 0 ;;
      esac
      ;;
  esac
  printf '%s\n' "${tender_text}" | while IFS= read -r tender_line; do
    printf '%s <%s:%s> %s %s (%s) %s\n' "$(date -u '+%Y-%m-%d %H:%M:%S')" "$1" "$$" \
      "${USER:-${LOGNAME:-$(id -un)}}" "$3" "$2" "${tender_line}"
  done
  unset tender_text
}
print_formatted_trace() { print_formatted_message "$1" "$2" TRACE "$3"; }
print_formatted_debug() { print_formatted_message "$1" "$2" DEBUG "$3"; }
print_formatted_info() { print_formatted_message "$1" "$2" INFO "$3"; }
print_formatted_warn() { print_formatted_message "$1" "$2" WARN "$3"; }
print_formatted_error() { print_formatted_message "$1" "$2" ERROR "$3" >&2; }

# --- text
lower_case() { printf '%s\n' "$1" | tr '[:upper:]' '[:lower:]'; }
upper_case() { printf '%s\n' "$1" | tr '[:lower:]' '[:upper:]'; }
trim() { printf '%s\n' "$1" | sed 's/^[[:space:]]*//;s/[[:space:]]*$//'; }
sanitize_alphanum() { printf '%s' "$1" | tr -c '[:alnum:]' '_'; printf '\n'; }
sanitize_alpha() { printf '%s' "$1" | tr -c '[:alpha:]' '_'; printf '\n'; }
remove_trailing_slash() { printf '%s\n' "${1%/}"; }
# item_in_list LIST ITEM: prints `true` when the comma list has exactly this item.
item_in_list() {
  case ",$1," in *",$2,"*) printf 'true\n' ;; esac
}

# --- files
convert_to_absolute_path() {
  case "$1" in /*) printf '%s\n' "$1" ;; *) printf '%s/%s\n' "$(pwd)" "$1" ;; esac
}
is_file_accessible() { [ -f "$1" ] && [ -r "$1" ]; }
is_directory_accessible() { [ -d "$1" ] && [ -x "$1" ]; }
is_directory_writable() { [ -d "$1" ] && [ -w "$1" ]; }
validate_file_accessible() { is_file_accessible "$1" || { print_error "file $1 cannot be read"; return 1; }; }
validate_directory_is_accessible() {
  is_directory_accessible "$1" || { print_error "directory $1 is not there or cannot be entered"; return 1; }
}
validate_directory_is_writable() {
  is_directory_writable "$1" || { print_error "directory $1 is not there or cannot be written"; return 1; }
}
create_tmp_file() { mktemp "${TMPDIR:-/tmp}/${1:-zwe}-XXXXXX"; }

# --- checks
# validate_this COMMAND LOGGER: runs the command; its output becomes an error when it fails.
validate_this() {
  tender_said=$(eval "$1" 2>&1)
  tender_rc=$?
  if [ "${tender_rc}" -ne 0 ]; then
    print_error "${2:+$2: }${tender_said:-$1 ended with ${tender_rc}}"
  elif [ -n "${tender_said}" ]; then
    print_debug "${tender_said}"
  fi
  return "${tender_rc}"
}
check_runtime_validation_result() {
  if [ "${ZWE_PRIVATE_ERRORS_FOUND:-0}" -gt 0 ]; then
    printf '%s errors were found during validation of %s\n' "${ZWE_PRIVATE_ERRORS_FOUND}" "${1:-this component}" >&2
    exit "${ZWE_PRIVATE_ERRORS_FOUND}"
  fi
}
runtime_check_for_validate_errors_found() { check_runtime_validation_result "$@"; }

# validate_port_available PORT: fails when something listens on it, other than this instance itself.
validate_port_available() {
  if [ "${ZWE_zowe_network_server_validatePortFree:-true}" = "false" ] \
    || [ "${ZWE_configs_zowe_network_server_validatePortFree:-true}" = "false" ]; then
    return 0
  fi
  case "$1" in '' | *[!0-9]*) print_error "port '$1' is not a number"; return 1 ;; esac
  case ",${TENDER_OWN_PORTS:-}," in *",$1,"*) return 0 ;; esac
  tender_hex=$(printf '%04X' "$1")
  if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null \
    | awk -v port="${tender_hex}" '$4 == "0A" && $2 ~ (":" port "$") { found = 1 } END { exit !found }'; then
    print_error "port $1 is in use already"
    return 1
  fi
}

# --- programs
ensure_java_is_on_path() {
  if [ -n "${JAVA_HOME:-}" ]; then
    case ":${PATH}:" in *":${JAVA_HOME}/bin:"*) ;; *) PATH="${JAVA_HOME}/bin:${PATH}"; export PATH ;; esac
  fi
}
ensure_node_is_on_path() {
  if [ -n "${NODE_HOME:-}" ]; then
    case ":${PATH}:" in *":${NODE_HOME}/bin:"*) ;; *) PATH="${NODE_HOME}/bin:${PATH}"; export PATH ;; esac
  fi
}
validate_java_home() {
  ensure_java_is_on_path
  command -v java >/dev/null 2>&1 || { print_error "java is not found: set java.home in zowe.yaml"; return 1; }
}
validate_node_home() {
  ensure_node_is_on_path
  command -v node >/dev/null 2>&1 || { print_error "node is not found: set node.home in zowe.yaml"; return 1; }
}
require_java() { validate_java_home || exit 122; }
require_node() { validate_node_home || exit 121; }
check_java() { validate_java_home; }
check_node() { validate_node_home; }
require_zos() { print_error_and_exit "this function needs z/OS" "" 120; }
