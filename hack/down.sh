#!/usr/bin/env bash
# Stops every local platform that the make targets start and removes its state.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ! -x bin/skerry-kube ]]; then
  echo "nothing to stop: bin/skerry-kube was never built here"
  exit 0
fi
for name in skerry e2e e2e-bare bench platform-test platform-test-2; do
  bin/skerry-kube local down --name "$name" --purge
done
rm -rf /var/cache/skerry
rmdir /var/lib/skerry 2>/dev/null || true
