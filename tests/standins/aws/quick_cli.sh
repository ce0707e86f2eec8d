#!/usr/bin/env bash
# A small `aws`: STS's caller, and any operation of ECS and SSM with options of one value, sent as the real one sends them.
# It reads the address from the same file, ends with 254 on an error of the service, and refuses what it does not know.
set -euo pipefail
url=$(sed -n 's/^endpoint_url = //p' "$AWS_CONFIG_FILE")
service=$1 operation=$2
shift 2
case $service in
  sts) echo '{"UserId": "AROASTANDIN:operator", "Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/sudo/operator"}'; exit ;;
  ecs) target=AmazonEC2ContainerServiceV20141113 ;;
  ssm) target=AmazonSSM ;;
  *) echo "aws: error: the quick CLI does not know $service" >&2; exit 252 ;;
esac
pascal() { sed -E 's/(^|-)(.)/\U\2/g' <<<"$1"; }
input='{}' query=''
while [ $# -gt 0 ]; do
  name=${1#--}
  case $name in
    output | no-cli-pager) [ "$name" = no-cli-pager ] || shift; shift; continue ;;
    query) query=$2; shift 2; continue ;;
    with-decryption) input=$(jq -c '. + {WithDecryption: true}' <<<"$input"); shift; continue ;;
  esac
  key=$(pascal "$name")
  if [ "$service" = ecs ]; then key=${key,}; fi
  case $name in
    services | tasks) value=$(jq -cn --arg v "$2" '[$v]') ;;
    container-definitions) value=$2 ;;
    desired-count) value=$2 ;;
    *) value=$(jq -cn --arg v "$2" '$v') ;;
  esac
  input=$(jq -c --arg key "$key" --argjson value "$value" '. + {($key): $value}' <<<"$input")
  shift 2
done
answer=$(curl -sS -w '\n%{http_code}' -X POST "$url/" -H "x-amz-target: $target.$(pascal "$operation")" \
  -H 'content-type: application/x-amz-json-1.1' --data-binary "$input" \
  -H "authorization: AWS4-HMAC-SHA256 Credential=AKIASTANDIN/20260101/us-east-1/$service/aws4_request") || exit 255
code=${answer##*$'\n'} body=${answer%$'\n'*}
if [ "$code" != 200 ]; then
  printf '\nAn error occurred (%s) when calling the %s operation: %s\n' "$(jq -r '.__type // "Unknown"' <<<"$body")" \
    "$(pascal "$operation")" "$(jq -r '.message // .Message // ""' <<<"$body")" >&2
  exit 254
fi
if [ -n "$query" ]; then jq -r ".$query" <<<"$body"; else printf '%s\n' "$body"; fi
