# The probes: the server answers on the network.
PATH="$PATH:/usr/lib/postgresql/15/bin"
exec pg_isready --quiet --host=127.0.0.1 --port="$PORT" --username="$PGUSER_NAME" --dbname="$PGDATABASE_NAME"
