# Starts Redis as the master or as a replica of it. The password goes into a configuration
# file on a memory volume, so that it is in no argument and no environment.
#
# Environment: ROLE (master, replica), MASTER (host name; replicas only), PORT, DATA (folder),
# RUN (folder in memory), OPT (folder of this script), CREDENTIALS (folder with the file
# redis-password; empty without authentication).
set -eu
umask 077

say() { echo "start.sh: $*" >&2; }

# A quoted string of redis.conf.
quoted() { printf '"%s"' "$(sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' "$1")"; }

if ! : > "$DATA/.probe"; then
  say "the volume at $DATA is not writable for uid $(id -u): its storage class must honour fsGroup"
  exit 1
fi
rm -f "$DATA/.probe"

{
  echo "port $PORT"
  echo "bind * -::*"
  echo "dir \"$DATA\""
  echo "include \"$OPT/common.conf\""
  echo "include \"$OPT/$ROLE.conf\""
  if [ "$ROLE" = replica ]; then
    echo "replicaof $MASTER"
  fi
  if [ -n "$CREDENTIALS" ]; then
    # printf, because echo of some shells reads backslashes in its own way.
    printf 'requirepass %s\n' "$(quoted "$CREDENTIALS/redis-password")"
    printf 'masterauth %s\n' "$(quoted "$CREDENTIALS/redis-password")"
  else
    # Without a password Redis otherwise answers to its own host only.
    echo "protected-mode no"
  fi
} > "$RUN/redis.conf"
exec redis-server "$RUN/redis.conf"
