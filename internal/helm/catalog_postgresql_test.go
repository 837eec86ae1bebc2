// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// postgres is a node with a release of the chart.
type postgres struct{ *node }

func newPostgres(t *testing.T) postgres {
	t.Helper()
	needs(t, "apt-get install postgresql-15", "postgres", "initdb", "psql", "pg_isready")
	n := newNode(t, "postgres")
	n.env["PGDATA"], n.env["SOCKETS"] = filepath.Join(n.dir("data"), "pgdata"), n.dir("run")
	return postgres{n}
}

// install writes what the chart renders, as an install or upgrade followed by a restart does.
func (p postgres) install(values string) {
	p.t.Helper()
	objects, err := render(p.t, "postgresql", "db-postgresql", values)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(p.opt, objects.files(p.t, "db-postgresql"))
	p.write(p.cred, objects.secret(p.t, "db-postgresql"))
	binding := objects.secret(p.t, "db-binding")
	p.env["PGUSER_NAME"], p.env["PGDATABASE_NAME"] = binding["username"], binding["database"]
}

// connect as a client in the same cluster would.
func (p postgres) connect(user, password, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d sslmode=disable", p.port))
	if err != nil {
		return nil, err
	}
	config.User, config.Password, config.Database = user, password, database
	ctx, cancel := context.WithTimeout(p.t.Context(), soon)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// query returns one text.
func (p postgres) query(user, password, database, sql string) string {
	p.t.Helper()
	conn, err := p.connect(user, password, database)
	if err != nil {
		p.t.Fatalf("as %s: %v", user, err)
	}
	defer conn.Close(p.t.Context())
	var out string
	if err := conn.QueryRow(p.t.Context(), sql).Scan(&out); err != nil {
		p.t.Fatalf("as %s: %s: %v", user, sql, err)
	}
	return out
}

// keep makes a table with one note in it.
func (p postgres) keep(user, password, database string) {
	p.t.Helper()
	conn, err := p.connect(user, password, database)
	if err != nil {
		p.t.Fatalf("as %s: %v", user, err)
	}
	defer conn.Close(p.t.Context())
	if _, err := conn.Exec(p.t.Context(), "CREATE TABLE notes AS SELECT 'kept' AS text"); err != nil {
		p.t.Fatal(err)
	}
}

// The life of a database: first start, a crash, changed passwords, another user.
func TestPostgreSQLScripts(t *testing.T) {
	p := newPostgres(t)
	const first, second = `it's "a" $(secret) \\ \o/ :'x'`, "another one"
	p.install(fmt.Sprintf("auth: {username: 'my app', password: %q, postgresPassword: admin-1, database: 'my orders'}", first))
	p.start()
	p.untilReady()
	p.keep("my app", first, "my orders")
	if owner := p.query("postgres", "admin-1", "my orders", "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"); owner != "my app" {
		t.Errorf("the database belongs to %q", owner)
	}
	if encoding := p.query("postgres", "admin-1", "postgres", "SHOW server_encoding"); encoding != "UTF8" {
		t.Errorf("encoding %s", encoding)
	}

	p.kill()
	p.install(fmt.Sprintf("auth: {username: 'my app', password: %q, postgresPassword: admin-2, database: 'my orders'}", second))
	p.start()
	p.untilReady()
	if got := p.query("my app", second, "my orders", "SELECT text FROM notes"); got != "kept" {
		t.Errorf("after the crash the note is %q", got)
	}
	for user, old := range map[string]string{"my app": first, "postgres": "admin-1", "nobody": ""} {
		if conn, err := p.connect(user, old, "my orders"); err == nil {
			conn.Close(t.Context())
			t.Errorf("%s may still log in with the old password", user)
		}
	}

	p.kill()
	p.install("auth: {enablePostgresUser: false, username: other, password: pw, database: 'my orders'}")
	p.start()
	p.untilReady()
	if got := p.query("other", "pw", "my orders", "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"); got != "other" {
		t.Errorf("after the change of user the database belongs to %q", got)
	}
	if _, err := p.connect("postgres", "admin-2", "my orders"); err == nil {
		t.Error("the administrator may log in over the network")
	}
	for _, secret := range []string{first, second, "admin-1", "admin-2"} {
		p.saysNot(secret)
	}
}

// Killed at many moments of the first start, the database still comes up whole.
func TestPostgreSQLFirstStartMayBeKilled(t *testing.T) {
	p := newPostgres(t)
	if p.user == nil {
		t.Skip("only root can end a group of processes for sure")
	}
	p.install("auth: {username: app, password: pw, database: app}")
	data, path := p.env["PGDATA"], p.env["PATH"]
	// However late the test looks, initdb has not ended.
	bin, script := p.dir("bin"), "#!/bin/sh\nPATH=\"${PATH#*:}\" initdb \"$@\" && sleep 3600\n"
	if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "initdb"), []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	p.env["PATH"] = bin + ":" + path
	p.start()
	testenv.Eventually(t, func(context.Context) error {
		_, err := os.Stat(data + ".new")
		return err
	})
	p.kill()
	if _, err := os.Stat(data); err == nil {
		t.Error("half a database cluster has its final name")
	}
	p.env["PATH"] = path
	for after := 200 * time.Millisecond; after < 1500*time.Millisecond; after += 300 * time.Millisecond {
		p.start()
		select {
		case <-time.After(after):
		case <-p.end:
			t.Fatal("the script ended")
		}
		p.kill()
	}
	p.start()
	p.untilReady()
	if got := p.query("app", "pw", "app", "SELECT current_user::text"); got != "app" {
		t.Errorf("current_user is %q", got)
	}
}

// With no user named the administrator owns what is asked for, and the binding says so.
func TestPostgreSQLAdministratorOnly(t *testing.T) {
	p := newPostgres(t)
	p.install("auth: {postgresPassword: pw, database: orders}")
	p.start()
	p.untilReady()
	if got := p.query("postgres", "pw", "orders", "SELECT current_database()::text"); got != "orders" {
		t.Errorf("database %q", got)
	}
}
