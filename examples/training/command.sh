#!/bin/sh
# Tracks any command that prints lines such as "step 3 loss 0.25", with nothing but curl.
#
#   PENSTOCK_URL=http://127.0.0.1:8600 PENSTOCK_API_KEY=psk_... sh command.sh EXPERIMENT COMMAND [ARGUMENT...]
set -eu
experiment=$1
shift

call() { # METHOD PATH BODY
    curl --silent --show-error --fail-with-body -X "$1" "$PENSTOCK_URL/api/v1/$2" \
        -H "authorization: Bearer $PENSTOCK_API_KEY" -H "content-type: application/json" -d "$3"
}
id_of() { sed -n 's/^{"id":"\([^"]*\)".*/\1/p'; }

group=$(call POST experiments "{\"name\":\"$experiment\"}" | id_of)
run=$(call POST runs "{\"experiment_id\":\"$group\",\"name\":\"$1\"}" | id_of)
status=finished
output=$(mktemp)
"$@" >"$output" || status=failed
sed -n 's/.*step \([0-9][0-9]*\) loss \([0-9.e+-][0-9.e+-]*\).*/\1 \2/p' "$output" | while read -r step loss; do
    call PATCH "runs/$run" "{\"metrics\":[{\"key\":\"loss\",\"value\":$loss,\"step\":$step}]}" >/dev/null
done
rm -f "$output"
call PATCH "runs/$run" "{\"status\":\"$status\"}" >/dev/null
echo "$run"
[ "$status" = finished ]
