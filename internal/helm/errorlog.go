// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"helm.sh/helm/v4/pkg/action"
)

// errorLog is the logger of Helm's SDK. It writes nothing: what matters is returned, with one
// exception, an uninstall, which logs why an object cannot be deleted and returns
// only that one could not. So it keeps the last error.
type errorLog struct {
	mu   sync.Mutex
	last error
}

// Enabled for all levels: the SDK logs that error for debugging.
func (l *errorLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps the attribute "error", which is an error or a list of them.
func (l *errorLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "error" {
			return true
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		switch v := a.Value.Any().(type) {
		case error:
			l.last = v
		case []error:
			l.last = errors.Join(v...)
		}
		return false
	})
	return nil
}

// WithAttrs and WithGroup change nothing that is kept.
func (l *errorLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *errorLog) WithGroup(string) slog.Handler      { return l }

// because adds what was logged last to an error that does not say why.
func because(err error, cfg *action.Configuration) error {
	l, ok := cfg.Logger().Handler().(*errorLog)
	if err == nil || !ok {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || errors.Is(err, l.last) {
		return err
	}
	return fmt.Errorf("%w: %w", err, l.last)
}
