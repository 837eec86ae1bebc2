#!/usr/bin/env bash
# Formatting, vet, static analysis and the import rules of docs/adr/0002.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l $(git ls-files '*.go'))
if [[ -n $unformatted ]]; then
  printf 'not formatted (run gofmt -w on them):\n%s\n' "$unformatted" >&2
  exit 1
fi
headerless=$(git ls-files '*.go' | xargs grep -L 'SPDX-License-Identifier: Apache-2.0' || true)
if [[ -n $headerless ]]; then
  printf 'without the licence header of hack/boilerplate.go.txt:\n%s\n' "$headerless" >&2
  exit 1
fi

# Kubernetes itself is linked into skerry-kube only; the Helm SDK is one package's.
heavy=$(git grep -lE '"k8s.io/kubernetes/' -- '*.go' | grep -vE '^(cmd/skerry-kube|internal/controlplane|internal/local)/' || true)
helm=$(git grep -lE '"helm.sh/helm/' -- '*.go' | grep -vE '^(internal/helm|charts|catalog)/' || true)
if [[ -n $heavy$helm ]]; then
  printf 'imports k8s.io/kubernetes or the Helm SDK where docs/adr/0002 does not allow it:\n%s\n%s\n' "$heavy" "$helm" >&2
  exit 1
fi
go vet ./...
go tool staticcheck ./...
