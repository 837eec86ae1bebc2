#!/usr/bin/env bash
# Measures the goals of docs/performance.md on this machine and prints the table's rows.
# Numbers of things: SKERRY_BENCH_CLUSTERS, SKERRY_BENCH_PODS, SKERRY_BENCH_RATE,
# SKERRY_BENCH_RELEASES, SKERRY_BENCH_APPLICATIONS.
set -euo pipefail
cd "$(dirname "$0")/.."
export SKERRY_KUBE=$PWD/bin/skerry-kube
STEPS=2
. hack/steps.sh

# measure ARGUMENTS...: go test with the figures shown, and what the servers log kept for a failure.
measure() {
  local log
  log=$(mktemp)
  if ! go test -run '^$' -timeout 20m "$@" >"$log" 2>&1; then
    tail -50 "$log" >&2
    rm -f "$log"
    return 1
  fi
  grep -E '^(pkg|Benchmark)' "$log"
  rm -f "$log"
}

step "Parts alone: control plane, syncer, Releases, rendering" "about 5 min"
measure -bench . -benchtime 5x ./internal/controlplane
measure -bench . -benchtime 6x ./cmd/skerry-kube
measure -bench . -benchtime 200x ./internal/syncer
measure -bench Releases -benchtime "${SKERRY_BENCH_RELEASES:-300}x" ./internal/helm
measure -bench . ./internal/oam/...

step "The whole, on a real local platform" "about 8 min"
SKERRY_BENCH=1 go test -v -count 1 -timeout 60m ./test/bench
