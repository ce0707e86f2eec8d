#!/usr/bin/env bash
# Stands before a real tool of the JDK in the container and keeps it to the container's own processes: the list holds no
# JVM of anybody else on this machine, and nothing outside the container is attached to (a JDK may send it a signal).

tool=$(basename "$0")
container=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
real=$(cat "$container/jdk")/$tool
ours() { grep -Fxq -- "$1" "$container/jvms"; }

listing() {
  local out me line pid
  out=$(mktemp)
  "$real" "$@" >"$out" 2>&1 &
  me=$!
  wait "$me"
  local code=$?
  if [ -e "$container/pid_one" ]; then echo '1 -- process information unavailable'; fi
  while IFS= read -r line; do
    pid=${line%% *}
    if ! [[ $pid =~ ^[0-9]+$ ]] || [ "$pid" = "$me" ] || ours "$pid"; then printf '%s\n' "$line"; fi
  done <"$out"
  rm -f "$out"
  exit "$code"
}

case $tool in
  jps) listing "$@" ;;
  jcmd) case "$*" in '' | -l) listing "$@" ;; esac ; pid=${1:-} ;;
  *) pid=${*: -1} ;;
esac

if ! [[ $pid =~ ^[0-9]+$ ]]; then exec "$real" "$@"; fi
if [ "$pid" = 1 ] || { ours "$pid" && [ -e "$container/not_attachable" ]; }; then
  echo "$pid: target process $pid doesn't respond within 10500ms or HotSpot VM not loaded" >&2
  exit 1
fi
if ! ours "$pid"; then
  echo "$pid: No such process" >&2
  exit 1
fi
exec "$real" "$@"
