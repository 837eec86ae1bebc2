#!/usr/bin/env bash
# Measures the goals of docs/performance.md on this machine and prints the table's rows.
# Numbers of things: SKERRY_BENCH_CLUSTERS, SKERRY_BENCH_PODS, SKERRY_BENCH_RATE,
# SKERRY_BENCH_RELEASES, SKERRY_BENCH_APPLICATIONS.
set -euo pipefail
cd "$(dirname "$0")/.."
export SKERRY_KUBE=$PWD/bin/skerry-kube
STEPS=2
. hack/steps.sh

step "Parts alone: control plane, syncer, Releases, rendering" "about 5 min"
go test -run '^$' -bench . -benchtime 5x -timeout 20m ./internal/controlplane
go test -run '^$' -bench . -benchtime 6x -timeout 20m ./cmd/skerry-kube
go test -run '^$' -bench . -benchtime 200x -timeout 20m ./internal/syncer
go test -run '^$' -bench Releases -benchtime "${SKERRY_BENCH_RELEASES:-300}x" -timeout 20m ./internal/helm
go test -run '^$' -bench . ./internal/oam/...

step "The whole, on a real local platform" "about 8 min"
SKERRY_BENCH=1 go test -v -count 1 -timeout 60m ./test/bench
