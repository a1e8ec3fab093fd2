#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run fuzzers, one for each core at a time, and sum up: run_all.sh OUTPUT SECONDS NAME...
set -u
out=$1 seconds=$2
shift 2
for name in "$@"; do
	rm -f "$out/fuzz/$name.passed"
done
printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' test/fuzz/run.sh "$out" "$seconds" '{}'
make="make"
[ "$out" = build ] || make="make O=$out"
passed=0 failed=0
for name in "$@"; do
	if [ -e "$out/fuzz/$name.passed" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED fuzzer $name; again: $make check-fuzz FUZZ_TESTS=$name"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
