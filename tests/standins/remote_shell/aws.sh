#!/usr/bin/env bash
# Stands in for the AWS CLI as far as a shell in a container of ECS, objects in S3 and the caller's identity need it.
# Its world is the folder $STANDIN_AWS, or `world` beside the folder of this script. It knows no account and no network.
# What a session loses or hides in reality (exit codes, standard error, line ends, everything after the end of standard
# input) is lost here as well.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
world=${STANDIN_AWS:-$here/../world}
words=()

jq -cn '$ARGS.positional' --args -- "$@" >>"$world/calls.jsonl"

major=$(cat "$world/version")
service_error=254 usage_error=252
if [ "$major" = 1 ]; then service_error=255 usage_error=2; fi

# --- faults: a file for each, holding how often it is still to strike (nothing: always) ---
has() { [ -e "$world/faults/$1" ]; }
strikes() {
  has "$1" || return 1
  local left
  left=$(cat "$world/faults/$1")
  [ -z "$left" ] && return 0
  [ "$left" -gt 0 ] || return 1
  echo $((left - 1)) >"$world/faults/$1"
}

fail() { # ERROR OPERATION MESSAGE
  printf '\nAn error occurred (%s) when calling the %s operation: %s\n' "$1" "$2" "$3" >&2
  exit "$service_error"
}
usage() {
  printf '\nusage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\naws: error: %s\n' "$1" >&2
  exit "$usage_error"
}

# --- arguments: words first, options into variables ---
positional=() tasks=()
cluster=default task='' container='' command='' interactive='' family='' service='' desired=''
output=json query='' expires=3600 bucket='' key=''
need() { [ $# -ge 2 ] || usage "argument $1: expected one argument"; }
while [ $# -gt 0 ]; do
  case $1 in
    --version) [ "$major" = 1 ] && echo "aws-cli/1.45.11 Python/3.11.7 Linux/6.1" || echo "aws-cli/2.27.50 Python/3.13.4 Linux/6.1"; exit 0 ;;
    --cluster) need "$@"; cluster=${2##*/}; shift ;;
    --task) need "$@"; task=${2##*/}; shift ;;
    --tasks) shift; while [ $# -gt 0 ] && [[ $1 != --* ]]; do tasks+=("$1"); shift; done; continue ;;
    --container) need "$@"; container=$2; shift ;;
    --command) need "$@"; command=$2; shift ;;
    --interactive) interactive=yes ;;
    --non-interactive) interactive=no ;;
    --family) need "$@"; family=$2; shift ;;
    --service-name) need "$@"; service=${2##*/}; shift ;;
    --desired-status) need "$@"; desired=$2; shift ;;
    --output) need "$@"; output=$2; shift ;;
    --query) need "$@"; query=$2; shift ;;
    --expires-in) need "$@"; expires=$2; shift ;;
    --bucket) need "$@"; bucket=$2; shift ;;
    --key) need "$@"; key=$2; shift ;;
    --region | --profile | --endpoint-url | --content-type | --acl | --sse | --sse-kms-key-id | --cli-connect-timeout | --cli-read-timeout | --color)
      need "$@"; shift ;;
    --no-cli-pager | --debug | --only-show-errors | --quiet | --no-progress | --no-paginate | --no-verify-ssl) : ;;
    --*) usage "Unknown options: $1" ;;
    *) positional+=("$1") ;;
  esac
  shift
done

# --- output: a small part of JMESPath, written in jq ---
to_jq() {
  local part result='' filter rest
  rest=$1
  while [ -n "$rest" ]; do
    part=${rest%%' | '*}
    if [ "$part" = "$rest" ]; then rest=''; else rest=${rest#*' | '}; fi
    if [[ $part =~ ^length\((.*)\)$ ]]; then
      filter="($(to_jq "${BASH_REMATCH[1]}")) | length"
    elif [[ $part =~ ^[][A-Za-z0-9_.*?=\'\`-]+$ ]]; then
      filter=$(sed -E "s/\[\*\]/[]/g; s/\[\?([A-Za-z]+)==['\`]([^'\`]*)['\`]\]/[]? | select(.\1==\"\2\") | ./g; s/\| \.\./| ./g" <<<".$part")
      filter=${filter//../.}
      case $part in *'[]'* | *'[*]'* | *'[?'*) filter="[$filter | select(. != null)]" ;; esac
    else
      return 1
    fi
    result="${result:+$result | }$filter"
  done
  printf '%s' "$result"
}
as_text='def t: if . == null then "None" elif . == true then "True" elif . == false then "False" else tostring end;
  if type == "array" then (if all(.[]; type == "array") and length > 0 then .[] | map(t) | join("\t") else map(t) | join("\t") end) else t end'
show() {
  local filter=.
  if [ -n "$query" ]; then
    filter=$(to_jq "$query") || { echo "Bad value for --query $query: the stand-in does not know such an expression" >&2; exit "$usage_error"; }
  fi
  case $output in
    text)
      [ -n "$query" ] || { echo "the stand-in shows text of a --query only" >&2; exit "$usage_error"; }
      jq -r "$filter | $as_text" ;;
    json) jq --indent 4 "$filter" ;;
    *) usage "argument --output: Invalid choice: $output" ;;
  esac
}

# --- who asks ---
identified() { # OPERATION ERROR
  if has session_over; then
    fail "$2" "$1" 'The security token included in the request is expired'
  fi
}

# --- ECS ---
in_cluster() {
  identified "$1" ExpiredTokenException
  [ -d "$world/clusters/$cluster" ] || fail ClusterNotFoundException "$1" 'Cluster not found.'
}

list_tasks() {
  in_cluster ListTasks
  local file arns=()
  for file in "$world/clusters/$cluster"/*.json; do
    [ -e "$file" ] || continue
    jq -e --arg family "$family" --arg service "$service" --arg desired "${desired:-RUNNING}" '
      .desiredStatus == $desired
      and ($service == "" or .group == "service:" + $service)
      and ($family == "" or (.taskDefinitionArn | split("/")[-1] | split(":")[0]) == $family)' "$file" >/dev/null &&
      arns+=("$(jq -r .taskArn "$file")")
  done
  jq -n '{taskArns: $ARGS.positional}' --args -- "${arns[@]}" | show
}

describe_tasks() {
  [ ${#tasks[@]} -gt 0 ] || usage 'the following arguments are required: --tasks'
  in_cluster DescribeTasks
  local id found=() missing=()
  for id in "${tasks[@]}"; do
    if [ -e "$world/clusters/$cluster/${id##*/}.json" ]; then
      found+=("$world/clusters/$cluster/${id##*/}.json")
    else
      missing+=("$(cat "$world/arn"):task/$cluster/${id##*/}")
    fi
  done
  jq -n --slurpfile tasks <(cat /dev/null "${found[@]}") \
    '{tasks: $tasks, failures: ($ARGS.positional | map({arn: ., reason: "MISSING"}))}' --args -- "${missing[@]}" | show
}

# The agent splits the command into words and starts the first one. There is no shell: `|`, `>` and `&&` are words.
split_words() {
  local text=$1 word='' state=out any=0 i letter
  words=()
  for ((i = 0; i < ${#text}; i++)); do
    letter=${text:i:1}
    case $state in
      out)
        case $letter in
          [[:space:]]) if ((any)); then words+=("$word"); word='' any=0; fi ;;
          \') state=single any=1 ;;
          \") state=double any=1 ;;
          \\) ((i++)); word+=${text:i:1} any=1 ;;
          '#') if ((any)); then word+=$letter; else state=comment; fi ;;
          *) word+=$letter any=1 ;;
        esac ;;
      single) if [ "$letter" = \' ]; then state=out; else word+=$letter; fi ;;
      double)
        case $letter in
          \") state=out ;;
          \\) ((i++)); word+=${text:i:1} ;;
          *) word+=$letter ;;
        esac ;;
      comment) if [ "$letter" = $'\n' ]; then state=out; fi ;;
    esac
  done
  if ((any)); then words+=("$word"); fi
  [ "$state" = out ] || [ "$state" = comment ]
}

# Runs the words in the container; they see its environment and nothing of the caller's.
in_container() {
  local variables=()
  mapfile -t variables <"$world/container/env"
  cd "$world/container/root" && exec env -i "${variables[@]}" "${words[@]}"
}

# What a terminal makes of line ends.
through_terminal() {
  local line
  while IFS= read -r line; do printf '%s\r\n' "$line"; done
  printf '%s' "$line"
}

execute_command() {
  [ -n "$task" ] || usage 'the following arguments are required: --task'
  [ -n "$command" ] || usage 'the following arguments are required: --command'
  [ -n "$interactive" ] || usage 'one of the arguments --interactive --non-interactive is required'
  if [ ! -x "$here/session-manager-plugin" ]; then
    printf '\nSessionManagerPlugin is not found. Please refer to SessionManager Documentation here: http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin-not-found\n' >&2
    exit 255
  fi
  "$here/session-manager-plugin"
  in_cluster ExecuteCommand
  [ "$interactive" = yes ] || fail InvalidParameterException ExecuteCommand 'Interactive is the only mode supported currently.'
  local description=$world/clusters/$cluster/$task.json
  [ -e "$description" ] || fail InvalidParameterException ExecuteCommand 'The task provided in the request was not found.'
  local names
  names=$(jq -r '.containers[].name' "$description")
  if [ -z "$container" ]; then
    [ "$(wc -l <<<"$names")" = 1 ] || fail InvalidParameterException ExecuteCommand 'A container name must be given for a task of several containers.'
    container=$names
  fi
  grep -Fxq -- "$container" <<<"$names" || fail InvalidParameterException ExecuteCommand 'The specified container name does not exist in the task.'
  jq -e --arg name "$container" '.lastStatus == "RUNNING" and .enableExecuteCommand and
    (.containers[] | select(.name == $name).managedAgents // [] | any(.name == "ExecuteCommandAgent" and .lastStatus == "RUNNING"))' \
    "$description" >/dev/null ||
    fail InvalidParameterException ExecuteCommand 'The execute command failed because execute command was not enabled when the task was run or the execute command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again.'
  session
}

session() {
  local id
  id=ecs-execute-command-0$(printf '%s' "$task $(wc -l <"$world/calls.jsonl")" | sha256sum | cut -c1-16)
  printf '\nStarting session with SessionId: %s\n' "$id"
  if strikes silent_failure; then
    printf 'Cannot perform start session: Creating dataChannel failed: websocket: bad handshake\n'
    exit 0
  fi
  if ! split_words "$command"; then
    printf '\n\nSessionId: %s : ----------ERROR-------\nFailed to parse commands input: EOF found when expecting closing quote\n\n\n' "$id"
    exit 0
  fi
  printf '%s\n' "$(jq -cn '$ARGS.positional' --args -- "${words[@]}")" >>"$world/commands.jsonl"
  local path
  path=$(sed -n 's/^PATH=//p' "$world/container/env")
  if ! PATH=$path type -P -- "${words[0]}" >/dev/null; then
    printf '\n\nSessionId: %s : ----------ERROR-------\nUnable to start command: Failed to start pty: exec: "%s": executable file not found in $PATH\n\n\n' "$id" "${words[0]}"
    exit 0
  fi

  # Whoever has no terminal and no open pipe to offer is at the end of standard input at once, and that ends the session
  # on this side only: the command runs in the container to its end, and nobody sees anything of it.
  local first='' ended_before=no
  # Not local: the trap reads these when the script ends.
  out=$world/session.$$
  trap 'rm -f "$out" "$out.in"' EXIT
  if [ ! -e /dev/stdin ] || [ -f /dev/stdin ] || [ "$(readlink -f /dev/stdin)" = /dev/null ]; then
    ended_before=yes
  elif [ ! -t 0 ] && read -r -t 0; then
    IFS= read -r -N 1 first || ended_before=yes
  fi
  if [ "$ended_before" = yes ]; then
    (in_container) >/dev/null 2>&1
    printf 'Cannot perform start session: EOF\n'
    exit 0
  fi

  local remote pump ended=''
  exec 3<&0
  mkfifo "$out.in"
  { printf '%s' "$first"; exec cat; } <&3 >"$out.in" 2>/dev/null &
  pump=$!
  (in_container) <"$out.in" >"$out" 2>&1 3<&- &
  remote=$!
  trap 'kill "$pump" "$remote" 2>/dev/null; exit 130' INT TERM HUP
  if [ -t 0 ]; then
    # The plugin takes keys one by one: on a terminal there is no end of standard input.
    terminal=$(stty -g)
    trap 'rm -f "$out" "$out.in"; stty "$terminal"' EXIT
    stty cbreak min 1 -echo
    wait "$remote"
  else
    wait -n -p ended "$pump" "$remote"
  fi
  if [ "$ended" = "$pump" ]; then
    through_terminal <"$out"
    printf 'Cannot perform start session: EOF\n'
    wait "$remote"
    exit 0
  fi
  kill "$pump" 2>/dev/null
  if strikes truncated; then
    head -n "$(cat "$world/truncated_to")" "$out" | through_terminal
  else
    through_terminal <"$out"
  fi
  printf '\n\nExiting session with sessionId: %s.\n\n' "$id"
  # Whatever became of the command: the plugin sets no exit code.
  exit 0
}

# --- S3 ---
split_uri() { # s3://BUCKET/KEY into bucket and key
  local rest=${1#s3://}
  bucket=${rest%%/*} key=''
  [ "$bucket" = "$rest" ] || key=${rest#*/}
}
transfer_failed() { # WHAT FROM TO ERROR OPERATION MESSAGE
  printf '%s failed: %s to %s An error occurred (%s) when calling the %s operation: %s\n' "$@" >&2
  exit 1
}
copy() {
  local from=$1 to=$2
  if [[ $to == s3://* ]]; then
    [ "$from" = - ] || [ -e "$from" ] || { printf '\nThe user-provided path %s does not exist.\n' "$from" >&2; exit 255; }
    split_uri "$to"
    case $key in '' | */) key+=$(basename -- "$from") ;; esac
    has session_over && transfer_failed upload "$from" "$to" ExpiredToken PutObject 'The provided token has expired.'
    [ -d "$world/s3/$bucket" ] || transfer_failed upload "$from" "$to" NoSuchBucket PutObject 'The specified bucket does not exist'
    has upload_denied && transfer_failed upload "$from" "$to" AccessDenied PutObject 'Access Denied'
    mkdir -p "$(dirname -- "$world/s3/$bucket/$key")"
    if [ "$from" = - ]; then cat >"$world/s3/$bucket/$key"; else cat -- "$from" >"$world/s3/$bucket/$key"; fi
    [ "$from" = - ] || printf 'upload: %s to s3://%s/%s\n' "$from" "$bucket" "$key"
  elif [[ $from == s3://* ]]; then
    split_uri "$from"
    if has session_over || [ ! -f "$world/s3/$bucket/$key" ]; then
      local code=404 text="Key \"$key\" does not exist"
      has session_over && code=400 text='Bad Request'
      printf 'fatal error: An error occurred (%s) when calling the HeadObject operation: %s\n' "$code" "$text" >&2
      exit 1
    fi
    if [ "$to" = - ]; then cat -- "$world/s3/$bucket/$key"; return; fi
    [ -d "$to" ] && to=${to%/}/${key##*/}
    cat -- "$world/s3/$bucket/$key" >"$to" && printf 'download: %s to %s\n' "$from" "$to"
  else
    usage 'the following arguments are required: paths'
  fi
}
remove() {
  split_uri "$1"
  if [ ! -d "$world/s3/$bucket" ]; then
    printf 'delete failed: %s An error occurred (NoSuchBucket) when calling the DeleteObject operation: The specified bucket does not exist\n' "$1" >&2
    exit 1
  fi
  # There is no error for a key that does not exist.
  rm -f -- "$world/s3/$bucket/$key"
  printf 'delete: %s\n' "$1"
}
list() {
  split_uri "$1"
  [ -d "$world/s3/$bucket" ] || fail NoSuchBucket ListObjectsV2 'The specified bucket does not exist'
  local found=1 file
  while IFS= read -r file; do
    [[ $file == "$key"* ]] || continue
    printf '2025-09-17 12:00:00 %10d %s\n' "$(wc -c <"$world/s3/$bucket/$file")" "${file##*/}"
    found=0
  done < <(cd "$world/s3/$bucket" && find . -type f | sed 's|^\./||' | LC_ALL=C sort)
  return "$found"
}
presign() {
  split_uri "$1"
  local date signature
  date=$(date -u -d "@$(cat "$world/clock")" +%Y%m%dT%H%M%SZ)
  signature=$(printf '%s\n' "$(cat "$world/secret")" GET "/$bucket/$key" "$date" "$expires" | sha256sum | cut -d' ' -f1)
  printf '%s/%s/%s?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2Fus-east-1%%2Fs3%%2Faws4_request&X-Amz-Date=%s&X-Amz-Expires=%s&X-Amz-SignedHeaders=host&X-Amz-Signature=%s\n' \
    "$(cat "$world/s3.url")" "$bucket" "$key" "$(cat "$world/key_id")" "${date%%T*}" "$date" "$expires" "$signature"
}
head_object() {
  [ -n "$bucket" ] && [ -n "$key" ] || usage 'the following arguments are required: --bucket, --key'
  [ -f "$world/s3/$bucket/$key" ] || fail 404 HeadObject 'Not Found'
  jq -n --argjson size "$(wc -c <"$world/s3/$bucket/$key")" '{ContentLength: $size}' | show
}

caller() {
  identified GetCallerIdentity ExpiredToken
  show <"$world/caller.json"
}

case "${positional[*]:0:2}" in
  'ecs list-tasks') list_tasks ;;
  'ecs describe-tasks') describe_tasks ;;
  'ecs execute-command') execute_command ;;
  's3 cp') copy "${positional[2]:-}" "${positional[3]:-}" ;;
  's3 rm') remove "${positional[2]:-}" ;;
  's3 ls') list "${positional[2]:-}" ;;
  's3 presign') presign "${positional[2]:-}" ;;
  's3api head-object') head_object ;;
  'sts get-caller-identity') caller ;;
  *) usage "argument command: Invalid choice: ${positional[*]}" ;;
esac
