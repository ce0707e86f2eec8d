#!/usr/bin/env bash
# A small `aws`: STS's caller, and any operation of ECS with options of one value, sent as the real one sends them. It
# reads the address from the same file, ends with 254 on an error of the service, and refuses what it does not know. It is
# quick because it starts one program, or two with a `--query`.
set -euo pipefail
url='' service=$1 operation=$2 query=''
shift 2
while read -r name _ value; do
  if [ "$name" = endpoint_url ] && [ -z "$url" ]; then url=$value; fi
done <"$AWS_CONFIG_FILE"
case $service in
  sts) echo '{"UserId": "AROASTANDIN:operator", "Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/sudo/operator"}'; exit ;;
  ecs) target=AmazonEC2ContainerServiceV20141113 ;;
  *) echo "aws: error: the quick CLI does not know $service" >&2; exit 252 ;;
esac
# list-tasks becomes ListTasks.
pascal() {
  local IFS=- word
  named=''
  for word in $1; do named+=${word^}; done
}
input=''
while [ $# -gt 0 ]; do
  name=${1#--} value=$2
  shift 2
  case $name in
    output) continue ;;
    query) query=$value; continue ;;
    container-definitions | desired-count) ;;
    *)
      value=${value//\\/\\\\}
      value=\"${value//\"/\\\"}\"
      ;;
  esac
  case $name in services | tasks) value="[$value]" ;; esac
  pascal "$name"
  input+="${input:+, }\"${named,}\": $value"
done
pascal "$operation"
answer=$(curl -sS -w '\n%{http_code}' -X POST "$url/" -H "x-amz-target: $target.$named" \
  -H 'content-type: application/x-amz-json-1.1' --data-binary "{$input}" \
  -H "authorization: AWS4-HMAC-SHA256 Credential=AKIASTANDIN/20260101/us-east-1/$service/aws4_request") || exit 255
code=${answer##*$'\n'} body=${answer%$'\n'*}
if [ "$code" != 200 ]; then
  printf '\nAn error occurred when calling the %s operation: %s\n' "$named" "$body" >&2
  exit 254
fi
if [ -n "$query" ]; then jq -r ".$query" <<<"$body"; else printf '%s\n' "$body"; fi
