#!/usr/bin/env bash
# Runs the tests: unit [default: all], e2e, or all. Says what it does and how long is left.
set -euo pipefail
cd "$(dirname "$0")/.."
which=${1:-all}
VERSION=${VERSION:-$(bin/skerry version | awk 'NR==1{print $2}')}
export SKERRY_KUBE=$PWD/bin/skerry-kube
case $which in
  all) STEPS=3 ;;
  *) STEPS=1 ;;
esac
. hack/steps.sh

packages=$(go list ./... | grep -vE '/test/e2e$|/internal/local$')
if [[ $which != e2e ]]; then
  step "Unit tests, reconcilers against the real API server, CLI scripts" "about 6 min, the first time 5 more"
  # shellcheck disable=SC2086
  go test -p 2 -timeout 40m $packages
fi
if [[ $which == all ]]; then
  step "The local platform: start, kill, recover, remove" "about 4 min"
  # The test asks for images by the version that the programs were built with.
  # And it is about this machine, so its last result says nothing.
  go test -v -count 1 -timeout 40m -ldflags "-X github.com/skerry-platform/skerry/internal/version.Version=$VERSION" ./internal/local
fi
if [[ $which != unit ]]; then
  step "End to end on a real local platform" "about 10 min"
  go test -v -count 1 -timeout 60m ./test/e2e
fi
printf '\nAll tests passed in %d min %d s.\n' $(((SECONDS - STARTED) / 60)) $(((SECONDS - STARTED) % 60))
