#!/bin/bash
# run.sh SECONDS PROGRAM - fuzzes one parser for a while and says in TAP whether it held.
#
# Starts from tests/fuzz/corpus/<name> (kept in the repository) and what earlier runs found (kept
# beside the program). An input that breaks the parser is left in the folder that is named.
set -u
seconds=$1 program=$2
name=${program##*/fuzz_}
seeds=tests/fuzz/corpus/$name
found=$program.corpus
broken=$program.broken

mkdir -p "$found" "$broken"
corpora=("$found")
[ ! -d "$seeds" ] || corpora+=("$seeds")
echo 1..1
if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=262144 \
    -print_final_stats=1 -artifact_prefix="$broken/" "${corpora[@]}" >"$program.log" 2>&1; then
    echo "ok 1 - fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$program.log") inputs"
else
    echo "not ok 1 - fuzz $name"
    tail -40 "$program.log" | sed 's/^/# /'
    echo "# input kept in $broken"
fi
