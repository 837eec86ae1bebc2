#!/usr/bin/env bash
# Stops every local platform that the make targets start and removes its state.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ! -x bin/skerry-kube ]]; then
  echo "nothing to stop: bin/skerry-kube was never built here"
  exit 0
fi
# One that cannot be taken down keeps none of the others.
failed=0
for name in skerry platform-test platform-test-2; do
  bin/skerry-kube local down --name "$name" --purge || failed=1
done
for name in e2e e2e-bare bench; do
  bin/skerry-kube local down --name "$name" --state "/var/lib/skerry-test/$name" --purge || failed=1
done
rm -rf /var/cache/skerry
rmdir /var/lib/skerry /var/lib/skerry-test 2>/dev/null || true
exit "$failed"
