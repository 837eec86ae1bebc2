#!/usr/bin/env bash
# The main job, visibly: platform up, one request, the five points, an update by a push,
# and where the time went. May be run again: what is there is used.
set -euo pipefail
cd "$(dirname "$0")/.."
STEPS=6
. hack/steps.sh
PATH=$PWD/bin:$PATH
name=customer-service

# edit FILE: what a person would change in the GitOps repository: one more replica of the
# service, and 64 MiB more memory for the database.
edit() {
  awk '
    /^ *replicas:/ && !r { r = 1; match($0, /[0-9]+/); n = substr($0, RSTART, RLENGTH); sub(/[0-9]+/, n % 3 + 1) }
    /^ *memoryLimit:/ && !m { m = 1; match($0, /[0-9]+/); n = substr($0, RSTART, RLENGTH); sub(/[0-9]+/, n + 64) }
    { print }' "$1" >"$1.new"
  mv "$1.new" "$1"
}

# verified: the five points, as soon as they hold: what changed reaches the virtual cluster a moment
# after the host.
verified() {
  local out limit=$((SECONDS + 120))
  until out=$(skerry verify "$name"); do
    if ((SECONDS > limit)); then
      echo "$out"
      return 1
    fi
    read -rt 1 <> <(:) || true
  done
  echo "$out"
}

step "Starting the local platform" "about 40 s, the first time a minute more for images"
skerry up
# A cluster that the person works with otherwise is not meant here.
export KUBECONFIG=/var/lib/skerry/skerry/kubeconfig

step "Creating $name: one request" "about 30 s"
skerry create "$name" --language go --database postgres --cache redis --wait

step "Verifying the five points" "a few seconds"
verified

step "Updating by a push to the GitOps repository" "about 15 s"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The person's own settings (signing, hooks) are not meant for this repository, and nobody is asked.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
git -c http.proxy= -c credential.helper= -c credential.helper="!$PWD/bin/skerry git-credential" clone -q \
  "$(skerry repo clone-url "$name" --gitops)" "$work/gitops"
cd "$work/gitops"
git config http.proxy ""
git config credential.helper "!$OLDPWD/bin/skerry git-credential"
file=oam/applications/application.yaml
edit "$file"
git --no-pager diff -U0 -- "$file" | grep '^[-+] ' || { echo "the edit changed nothing in $file" >&2; exit 1; }
replicas=$(awk '/^ *replicas:/{print $2; exit}' "$file")
memory=$(awk '/^ *memoryLimit:/{print $2; exit}' "$file" | tr -d '"')
git -c user.name="A developer" -c user.email=developer@example.com commit -qam "Run $replicas replicas, give the database $memory"
git push -q
pushed=$(date +%s.%N)
since() { awk -v a="$pushed" -v b="$(date +%s.%N)" 'BEGIN{printf "%.1f", b - a}'; }
skerry kubectl wait -n "$name--default" "statefulset/$name-db-postgresql" --timeout=120s \
  --for=jsonpath='{.spec.template.spec.containers[0].resources.limits.memory}'="$memory" >/dev/null
echo "  host: StatefulSet $name-db-postgresql has memory limit $memory, $(since) s after the push"
skerry connect "$name" -- wait "deployment/$name" --timeout=120s --for=jsonpath='{.spec.replicas}'="$replicas" >/dev/null
echo "  virtual cluster: Deployment $name asks for $replicas replicas, $(since) s after the push"
skerry connect "$name" -- wait "deployment/$name" --timeout=180s --for=jsonpath='{.status.readyReplicas}'="$replicas" >/dev/null
echo "  virtual cluster: $replicas Pods of $name are ready, $(since) s after the push"
skerry kubectl rollout status -n "$name--default" "statefulset/$name-db-postgresql" --timeout=180s >/dev/null
echo "  host: the database runs with its new limit, $(since) s after the push"
cd "$OLDPWD"

step "Verifying the five points again" "a few seconds"
verified

step "Where the time went"
skerry timing "$name"
echo
echo "The platform runs on. Try:  bin/skerry trace $name   |   bin/skerry connect $name -- get pods   |   make down"
