#!/bin/sh
# run.sh TARGET RUNS: that many libFuzzer runs of build/fuzz, from the stored corpus and the seeds
# at hand, in one process for each core. New inputs stay in build/fuzz/corpus/TARGET, findings in
# build/fuzz/findings; the stored corpus is renewed by MERGE=1 (minimized).
set -eu
cd "$(dirname "$0")/../.."
target=$1
runs=$2
jobs=${JOBS:-$(nproc)}
binary=build/fuzz/tests/fuzz/${target}_fuzz
stored=tests/fuzz/corpus/$target
found=tests/fuzz/found/$target
grown=build/fuzz/corpus/$target
mkdir -p "$grown" "$stored" "$found" build/fuzz/findings
case $target in
    mor) longest=2048 seeds='recipes stdlib tests/golden'; dictionary=tests/fuzz/mor.dict ;;
    ir) longest=4096 seeds='tests/golden/pass'; dictionary=tests/fuzz/ir.dict ;;
    jit) longest=1024 seeds=tests/fuzz/corpus/jit dictionary=tests/fuzz/jit.dict ;;
    morstat) longest=4096 seeds=tests/fuzz/corpus/morstat dictionary=tests/fuzz/morstat.dict ;;
    onnx) longest=4096 seeds='build/models/seeds build/models/hostile'; dictionary=tests/fuzz/onnx.dict ;;
    npy | npz | safetensors) longest=2048 seeds=tests/fuzz/corpus/$target dictionary=tests/fuzz/$target.dict ;;
esac
# Seeds lie in directories of several depths; libFuzzer wants flat ones of small files.
flat=build/fuzz/seeds/$target
rm -rf "$flat"
mkdir -p "$flat"
# shellcheck disable=SC2086 # a list of directories
find $seeds -type f \( -name '*.mor' -o -name '*.ir' -o -name '*.onnx' \) -size -64k 2>/dev/null |
    while read -r file; do cp "$file" "$flat/$(echo "$file" | tr / _)"; done

# a small quarantine, or freed memory of many runs counts against the limit of one
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:quarantine_size_mb=16"
if [ "${MERGE:-}" = 1 ]; then
    rm -rf "$stored.new"
    mkdir -p "$stored.new"
    "$binary" -set_cover_merge=1 -use_counters=0 -max_len="$longest" -dict="$dictionary" "$stored.new" "$grown" "$stored" "$found" "$flat"
    rm -rf "$stored"
    mv "$stored.new" "$stored"
    echo "$target: $(find "$stored" -type f | wc -l) inputs stored, $(du -sk "$stored" | cut -f1) KiB"
    exit 0
fi

each=$(((runs + jobs - 1) / jobs))
pids=
i=0
while [ $i -lt "$jobs" ]; do
    "$binary" -runs=$each -seed=$((i + 1)) -max_len="$longest" -timeout=10 -rss_limit_mb=1024 \
        -dict="$dictionary" -artifact_prefix="build/fuzz/findings/$target-" -print_final_stats=1 \
        "$grown" "$stored" "$found" "$flat" >"build/fuzz/$target.$i.log" 2>&1 &
    pids="$pids $!"
    i=$((i + 1))
done
failed=0
for pid in $pids; do wait "$pid" || failed=1; done
sed -n 's/^stat::number_of_executed_units: */runs: /p; s/^stat::average_exec_per_sec: */runs per second: /p' \
    build/fuzz/"$target".*.log
if [ $failed = 1 ]; then
    grep -hE 'ERROR: |SUMMARY: |Assertion|Test unit written' build/fuzz/"$target".*.log || true
    echo "$target: findings in build/fuzz/findings, log in build/fuzz/$target.*.log"
    exit 1
fi
echo "$target: $((each * jobs)) runs, no finding"
