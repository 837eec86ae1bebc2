#!/usr/bin/env bash
# Installs what the local platform needs from the distribution, and with the argument "test" what
# the tests need beside it. Does nothing when all of it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(containerd runc containernetworking-plugins nftables iptables conntrack iproute2 util-linux mount mmdebstrap ca-certificates git)
[[ ${1:-} != test ]] || packages+=(docker-registry)
missing=()
for p in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null) == ii* ]] || missing+=("$p")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi
echo "Installing ${missing[*]} (about a minute)"
if ! command -v apt-get >/dev/null; then
  echo "this machine has no apt-get: install ${missing[*]} by its own means, then run make again" >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "installing needs root: run 'sudo apt-get install ${missing[*]}', then make again" >&2
  exit 1
fi

# The services that Debian starts with containerd are not needed: the platform runs its own.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]] || grep -qs '^# of Skerry' "$policy"; then # ours is there after a run that was killed
  printf '#!/bin/sh\n# of Skerry: hack/prerequisites.sh is at work\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
# Another installation may be running, and a mirror may hiccup: wait for both.
apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)

# update: apt waits for dpkg's lock by itself, but not for that of the package lists.
update() {
  local out
  until out=$(LC_ALL=C "${apt[@]}" update 2>&1); do
    if [[ $out != *"Could not get lock"* ]] || ((SECONDS > 300)); then
      echo "$out" >&2
      return 1
    fi
    read -rt 1 <> <(:) || true
  done
}

install() { "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null; }

update
# An installation that was killed has to be finished first.
install || { dpkg --configure -a && install; }
