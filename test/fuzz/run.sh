#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run one fuzzer: run.sh OUTPUT SECONDS NAME
set -u
dir=$1/fuzz
mkdir -p "$dir/corpus/$3"
set -- "$@" "$dir/corpus/$3" "$dir/seeds/$3"
[ ! -d "test/fuzz/corpus/$3" ] || set -- "$@" "test/fuzz/corpus/$3"
seconds=$2 name=$3
shift 3
"$dir/$name" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	-artifact_prefix="$dir/$name-" "$@" >"$dir/$name.log" 2>&1
status=$?
if [ $status = 0 ]; then
	: >"$dir/$name.passed"
else
	tail -40 "$dir/$name.log" >&2
fi
echo "  FUZZ    $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/$name.log") runs," \
	"$(grep -o 'cov: [0-9]*' "$dir/$name.log" | tail -1)"
exit $status
