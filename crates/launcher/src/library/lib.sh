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
print_level0_message() { printf '%s\n' "=== $1"; }
print_level1_message() { printf '%s\n' "--- $1"; }
print_level0_debug() { print_debug "=== $1"; }
print_level1_debug() { print_debug "--- $1"; }
print_level2_debug() { print_debug "  > $1"; }
print_level0_trace() { print_trace "=== $1"; }
print_level1_trace() { print_trace "--- $1"; }
print_level2_trace() { print_trace "  > $1"; }
print_level2_message() { printf '%s\n' "  > $1"; }

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

# --- text: given as the first word, or, without one, a line of standard input
tender_input() {
  if [ "$#" -gt 0 ]; then printf '%s\n' "$1"; else IFS= read -r tender_line; printf '%s\n' "${tender_line}"; fi
}
lower_case() { tender_input "$@" | tr '[:upper:]' '[:lower:]'; }
upper_case() { tender_input "$@" | tr '[:lower:]' '[:upper:]'; }
trim() { tender_input "$@" | sed 's/^[[:space:]]*//;s/[[:space:]]*$//'; }
sanitize_alphanum() { tender_input "$@" | sed 's/[^[:alnum:]]/_/g'; }
sanitize_alpha() { tender_input "$@" | sed 's/[^[:alpha:]]/_/g'; }
sanitize_num() { tender_input "$@" | sed 's/[^[:digit:]]/_/g'; }
sanitize_ha_instance_id() { sanitize_alphanum "$@" | lower_case; }
base64_encode() { tender_input "$@" | tr -d '\n' | base64 -w 0; printf '\n'; }
# replace TEXT OLD NEW: single characters.
replace() { printf '%s\n' "$1" | tr "$2" "$3"; }
# is_substr_of PART TEXT: ends with 1 when it is, as it always has.
is_substr_of() { case "$2" in *"$1"*) return 1 ;; *) return 0 ;; esac }
padding_left() { printf '%s\n' "$1" | sed "s/^/$2/"; }
remove_trailing_slash() { printf '%s\n' "${1%/}"; }
# item_in_list LIST ITEM: prints `true` when the comma list has exactly this item.
item_in_list() {
  case ",$1," in *",$2,"*) printf 'true\n' ;; esac
}

# --- variables
tender_is_name() { case "$1" in '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;; esac }
get_var_value() { tender_is_name "$1" && eval "printf '%s\\n' \"\${$1:-}\""; }
is_variable_set() {
  [ -n "$(get_var_value "$1")" ] && return 0
  print_error "${2:-$1 is not set}"
  return 1
}
# are_variables_set A,B,…: ends with how many are not.
are_variables_set() {
  tender_missing=0
  for tender_name in $(printf '%s' "$1" | tr ',' ' '); do
    is_variable_set "${tender_name}" || tender_missing=$((tender_missing + 1))
  done
  return "${tender_missing}"
}
function_exists() { case "$(command -V "$1" 2>/dev/null)" in *function*) return 0 ;; *) return 1 ;; esac }

# --- this system
get_sysname() { uname -n | sed 's/\..*//' | lower_case; }
get_user_id() { id -un; }
get_tmp_dir() { printf '%s\n' "${TMPDIR:-/tmp}"; }
get_ipaddress() { getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }'; }
find_direct_child_processes() { awk -v parent="$1" '{ sub(/^.*\) /, ""); if ($2 == parent) print pid(FILENAME) }
  function pid(name) { split(name, parts, "/"); return parts[3] }' /proc/[0-9]*/stat 2>/dev/null; }
find_all_child_processes() {
  for tender_child in $(find_direct_child_processes "$1"); do
    printf '%s\n' "${tender_child}"
    (find_all_child_processes "${tender_child}")
  done
}

# --- components
get_component_manifest() {
  for tender_name in manifest.yaml manifest.yml manifest.json; do
    if [ -f "$1/${tender_name}" ]; then printf '%s\n' "$1/${tender_name}"; return 0; fi
  done
}
find_component_directory() {
  for tender_place in "${ZWE_zowe_runtimeDirectory:-}/components" "${ZWE_zowe_runtimeDirectory:-}" \
    "${ZWE_zowe_extensionDirectory:-}"; do
    if [ -d "${tender_place}/$1" ]; then printf '%s\n' "${tender_place}/$1"; return 0; fi
  done
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
# are_directories_accessible A,B,…: ends with how many are not.
are_directories_accessible() {
  tender_missing=0
  for tender_name in $(printf '%s' "$1" | tr ',' ' '); do
    validate_directory_is_accessible "${tender_name}" || tender_missing=$((tender_missing + 1))
  done
  return "${tender_missing}"
}
are_directories_same() { [ "$(cd "$1" 2>/dev/null && pwd -P)" = "$(cd "$2" 2>/dev/null && pwd -P)" ]; }
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

# is_port_available PORT: says why, and fails, when something listens on it that is not this instance itself.
is_port_available() {
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
validate_port_available() { is_port_available "$@"; }

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
detect_java_home() {
  tender_found=$(command -v java) && tender_found=$(readlink -f "${tender_found}") && dirname "$(dirname "${tender_found}")"
}
detect_node_home() {
  tender_found=$(command -v node) && tender_found=$(readlink -f "${tender_found}") && dirname "$(dirname "${tender_found}")"
}
require_zos() { print_error_and_exit "this function needs z/OS" "" 120; }
