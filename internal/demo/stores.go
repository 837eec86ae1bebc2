// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// keep is how many values stay in the table.
const keep = 1000

type postgres struct {
	pool    *pgxpool.Pool
	binding Binding
	// created is set once the table is there.
	created atomic.Bool
}

func newPostgres(b Binding) (*postgres, error) {
	u := url.URL{
		Scheme: "postgres", Host: b.address(), Path: "/" + b.Database,
		User: url.UserPassword(b.Username, b.Password), RawQuery: "connect_timeout=3",
	}
	cfg, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		// The text of the error may repeat the address with the password in it.
		return nil, fmt.Errorf("reading %s_*: host %q, port %q or database %q cannot be used",
			databasePrefix, b.Host, b.Port, b.Database)
	}
	cfg.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to PostgreSQL at %s: %w", b.address(), err)
	}
	return &postgres{pool: pool, binding: b}, nil
}

func (p *postgres) close()                         { p.pool.Close() }
func (p *postgres) ping(ctx context.Context) error { return p.explain("reaching", p.pool.Ping(ctx)) }

func (p *postgres) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s PostgreSQL at %s: %w", doing, p.binding.address(), err)
}

func (p *postgres) roundtrip(ctx context.Context, value string) Result {
	r := Result{Configured: true, Host: p.binding.address()}
	id, err := p.write(ctx, value)
	if err != nil {
		r.Error = p.explain("writing to", err).Error()
		return r
	}
	r.Written = value
	err = p.pool.QueryRow(ctx, `SELECT value, current_setting('server_version') FROM roundtrip WHERE id = $1`, id).
		Scan(&r.Read, &r.ServerVersion)
	if err != nil {
		r.Error = p.explain("reading from", err).Error()
	}
	return r
}

// write stores the value and returns its key.
func (p *postgres) write(ctx context.Context, value string) (id int64, err error) {
	if !p.created.Load() {
		// The lock is for replicas that start together: CREATE TABLE IF NOT EXISTS alone
		// fails when two of them do it at once.
		_, err := p.pool.Exec(ctx, `DO $$ BEGIN
			PERFORM pg_advisory_xact_lock(7415);
			CREATE TABLE IF NOT EXISTS roundtrip (id bigserial PRIMARY KEY, value text NOT NULL, written_at timestamptz NOT NULL DEFAULT now());
		END $$`)
		if err != nil {
			return 0, err
		}
		p.created.Store(true)
	}
	err = p.pool.QueryRow(ctx, `INSERT INTO roundtrip (value) VALUES ($1) RETURNING id`, value).Scan(&id)
	if err != nil {
		// The table may have gone with a database that was replaced.
		p.created.Store(false)
		return 0, err
	}
	_, err = p.pool.Exec(ctx, `DELETE FROM roundtrip WHERE id <= $1`, id-keep)
	return id, err
}

type redisStore struct {
	client  *redis.Client
	binding Binding
}

func newRedis(b Binding) *redisStore {
	return &redisStore{binding: b, client: redis.NewClient(&redis.Options{
		Addr: b.address(), Username: b.Username, Password: b.Password, DialTimeout: 3 * time.Second, PoolSize: 4,
		DisableIdentity: true,
	})}
}

func (c *redisStore) close() { _ = c.client.Close() }

func (c *redisStore) ping(ctx context.Context) error {
	if err := c.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reaching Redis at %s: %w", c.binding.address(), err)
	}
	return nil
}

func (c *redisStore) roundtrip(ctx context.Context, value string) Result {
	r := Result{Configured: true, Host: c.binding.address()}
	key := "roundtrip:" + rand.Text()
	if err := c.client.Set(ctx, key, value, time.Hour).Err(); err != nil {
		r.Error = fmt.Sprintf("writing to Redis at %s: %v", r.Host, err)
		return r
	}
	r.Written = value
	read, err := c.client.Get(ctx, key).Result()
	if err != nil {
		r.Error = fmt.Sprintf("reading from Redis at %s: %v", r.Host, err)
		return r
	}
	r.Read = read
	info, err := c.client.Info(ctx, "server").Result()
	if err == nil {
		r.ServerVersion = field(info, "redis_version:")
	}
	return r
}

// field returns the rest of the line of an INFO answer that starts with name.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
