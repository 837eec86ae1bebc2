#!/usr/bin/env bash
# Builds the programs into bin/, saying how far it is: the first build compiles
# Kubernetes itself.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin

# compile NAME...: build each ./cmd/NAME into bin/, with a line of progress every 15 seconds.
compile() {
  local packages=() total log
  for name in "$@"; do packages+=("./cmd/$name"); done
  total=$(go list -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "${packages[@]}" | sort -u | grep -c . || true)
  log=$(mktemp)
  go build -v -ldflags "$LDFLAGS" -o bin/ "${packages[@]}" 2>"$log" &
  local build=$! begun=$SECONDS done
  while kill -0 "$build" 2>/dev/null; do
    for _ in {1..15}; do kill -0 "$build" 2>/dev/null || break; read -rt 1 <> <(:) || true; done
    done=$(wc -l <"$log")
    if kill -0 "$build" 2>/dev/null && ((done > 20 && done < total)); then
      printf '  compiled %d of %d packages, about %d min left\n' "$done" "$total" \
        $((((total - done) * (SECONDS - begun) / done + 59) / 60))
    fi
  done
  if ! wait "$build"; then
    # What -v printed of packages is not the error.
    grep -vE '^[A-Za-z0-9./_-]+$' "$log" >&2 || cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

begun=$SECONDS
echo "Building skerry, skerry-operator, skerry-kube, pause and demo (the first time about 8 minutes on 2 cores, then seconds)"
echo "  fetching the modules"
go mod download
compile skerry skerry-operator skerry-kube pause demo
# kubectl finds its plugins, and the completion of their words, by these names.
ln -sf skerry bin/kubectl-skerry
ln -sf skerry bin/kubectl_complete-skerry
echo "Built in $((SECONDS - begun)) s: $(find bin -type f -exec du -h {} + | awk '{printf "%s %s  ", $2, $1}')"
