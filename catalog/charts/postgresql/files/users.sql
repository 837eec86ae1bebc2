-- Brings users and database to what the Secret and the values say; repeatable. Passwords
-- are read from files, so that they are in no argument and in no log.
\set admin `cat "$CREDENTIALS/postgres-password"`
ALTER ROLE postgres WITH LOGIN PASSWORD :'admin';

SELECT :'user' <> 'postgres' AS own_user \gset
\if :own_user
\set password `cat "$CREDENTIALS/password"`
SELECT format('CREATE ROLE %I', :'user')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'user') \gexec
ALTER ROLE :"user" WITH LOGIN PASSWORD :'password';
\endif

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'user')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
-- Not the administrator's own database: the others of the cluster rely on it.
SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'user')
WHERE :'database' <> 'postgres'
  AND (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = :'database') <> :'user' \gexec
SELECT format('GRANT ALL ON DATABASE %I TO %I', :'database', :'user')
WHERE :'database' = 'postgres' AND :'user' <> 'postgres' \gexec
