# The probes: the server answers, and has loaded its data.
set -eu
if [ -n "$CREDENTIALS" ]; then
  REDISCLI_AUTH="$(cat "$CREDENTIALS/redis-password")"
  export REDISCLI_AUTH
fi
answer="$(redis-cli -h 127.0.0.1 -p "$PORT" ping)"
[ "$answer" = PONG ] || { echo "$answer" >&2; exit 1; }
