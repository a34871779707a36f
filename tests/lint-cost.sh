#!/bin/sh
# What `lint` costs on a file of 1 MiB and 20,000 lines: CPU time of ten calls of a release build, in the mean.
# Usage: tests/lint-cost.sh [target/release/ecs-bootstrap]
set -eu
binary=${1:-target/release/ecs-bootstrap}
file=$(mktemp) spent=$(mktemp)
trap 'rm -f "$file" "$spent"' EXIT
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "MY_VARIABLE_NUMBER_%05d=%027d\n", i, i }' > "$file"
wc -lc "$file"
for call in 1 2 3 4 5 6 7 8 9 10; do
    "$binary" lint --output json "$file" > /dev/null
done
# The second line of `times` is the CPU time of the children, user and system.
times > "$spent" # not into a pipe: that shell has had no children
awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); total += t[1] * 60 + t[2] }
    printf "%.1f ms of CPU time a call\n", total * 100 }' "$spent"
