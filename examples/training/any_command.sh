#!/bin/sh
# Tracks a command that knows nothing of Penstock: awk fits a line, prints its loss, and writes its weights.
#
#   PENSTOCK_URL=http://127.0.0.1:8600 PENSTOCK_API_KEY=psk_... sh any_command.sh
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/model"
awk 'BEGIN { srand(0); for (n = 0; n < 200; n++) { x = rand() * 4 - 2; print x, 3 * x + 1 + rand() * 0.1 } }' >"$work/points.txt"

penstock runs exec --experiment regression --name awk --metrics pairs \
    --param rate=0.1 --param steps=40 --note "Does awk find the slope?" \
    --dataset "$work/points.txt" --artifact "$work/points.txt" --model "$work/model" --register line-awk \
    -- awk -v out="$work/model/weights.txt" '
        { x[NR] = $1; y[NR] = $2 }
        END {
            for (step = 0; step < 40; step++) {
                loss = 0; down = 0; aside = 0
                for (n = 1; n <= NR; n++) {
                    error = slope * x[n] + base - y[n]
                    loss += error ^ 2 / NR; down += 2 * error * x[n] / NR; aside += 2 * error / NR
                }
                printf "step=%d loss=%.6f\n", step, loss
                slope -= 0.1 * down; base -= 0.1 * aside
            }
            print slope, base >out
        }' "$work/points.txt"
