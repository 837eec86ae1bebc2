# Starts PostgreSQL: makes the database cluster when there is none, sets users and
# passwords to what the Secret says, then becomes the server. It may be killed at any moment
# and started again.
#
# Environment: PGDATA, PORT, PGUSER_NAME, PGDATABASE_NAME, CREDENTIALS (folder with the
# files postgres-password and password), OPT (folder of this script), SOCKETS.
set -eu
umask 077
PATH="$PATH:/usr/lib/postgresql/15/bin"
private="${TMPDIR:-/tmp}/setup"

say() { echo "start.sh: $*" >&2; }

# A cluster appears under its name only when it is whole.
make_cluster() {
  [ -s "$PGDATA/PG_VERSION" ] && return 0
  if ! mkdir -p "$(dirname "$PGDATA")" || ! : > "$PGDATA.probe"; then
    say "the volume at $(dirname "$PGDATA") is not writable for uid $(id -u): its storage class must honour fsGroup"
    exit 1
  fi
  rm -rf "$PGDATA.probe" "$PGDATA.new"
  say "making a new database cluster"
  # Collation C.UTF-8 gives one order of texts on every image; C is there on all.
  for locale in C.UTF-8 C; do
    if initdb --pgdata="$PGDATA.new" --username=postgres --encoding=UTF8 --locale="$locale" \
      --auth=scram-sha-256 --pwfile="$CREDENTIALS/postgres-password" >"$private/initdb.log" 2>&1; then
      mv "$PGDATA.new" "$PGDATA"
      return 0
    fi
    rm -rf "$PGDATA.new"
  done
  cat "$private/initdb.log" >&2
  exit 1
}

# The server runs for a moment on a socket that only this script can open, and where it
# therefore needs no password.
set_users() {
  echo "local all all trust" > "$private/hba.conf"
  pg_ctl --pgdata="$PGDATA" --wait --timeout=3600 --log="$private/server.log" --silent start --options="\
    -c config_file=$OPT/postgresql.conf -c hba_file=$private/hba.conf \
    -c listen_addresses='' -c unix_socket_directories='$private' \
    -c log_min_error_statement=panic -c log_statement=none" >/dev/null || {
    cat "$private/server.log" >&2
    exit 1
  }
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="$private" --username=postgres --dbname=postgres \
    --set=user="$PGUSER_NAME" --set=database="$PGDATABASE_NAME" \
    --file="$OPT/users.sql" >/dev/null
  pg_ctl --pgdata="$PGDATA" --wait --timeout=3600 --mode=fast --silent stop
}

rm -rf "$private"
mkdir -p "$private"
make_cluster
# The number of the last process means nothing in a new container, where it may be
# anybody's; that there is but one server on the volume is the StatefulSet's promise.
rm -f "$PGDATA/postmaster.pid"
set_users
rm -rf "$private"
say "starting the server"
exec postgres -D "$PGDATA" -c config_file="$OPT/postgresql.conf" -c hba_file="$OPT/pg_hba.conf" \
  -c port="$PORT" -c unix_socket_directories="$SOCKETS"
