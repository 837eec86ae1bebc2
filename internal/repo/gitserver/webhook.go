// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// A receiver that restarts is back within this: 100 ms doubling to 30 s, 14 attempts,
// about three minutes. After that the engine's own interval finds the revision.
const (
	firstRetry     = 100 * time.Millisecond
	longestRetry   = 30 * time.Second
	attempts       = 14
	attemptTimeout = 10 * time.Second
)

// sender posts push events. A push never waits for it.
type sender struct {
	url, secretFile string
	log             logr.Logger
	client          *http.Client
	stop            chan struct{}
	running         sync.WaitGroup
}

func newSender(url, secretFile string, log logr.Logger) *sender {
	return &sender{
		url: url, secretFile: secretFile, log: log.WithName("webhook"),
		client: &http.Client{Timeout: attemptTimeout}, stop: make(chan struct{}),
	}
}

// send posts the event in the background, again and again until it is taken.
func (s *sender) send(event PushEvent) {
	if s.url == "" {
		return
	}
	s.running.Go(func() {
		log := s.log.WithValues("repository", event.Repository.FullName, "ref", event.Ref, "after", event.After)
		wait := firstRetry
		for attempt := 1; ; attempt++ {
			err := s.post(event)
			if err == nil {
				log.V(1).Info("push event taken", "attempt", attempt)
				return
			}
			if attempt == attempts {
				log.Error(err, "giving up on a push event", "attempts", attempt)
				return
			}
			select {
			case <-time.After(wait):
				wait = min(2*wait, longestRetry)
			case <-s.stop:
				log.Error(err, "dropping a push event at shutdown", "attempts", attempt)
				return
			}
		}
	})
}

// post makes one attempt. Headers and signature are GitHub's.
// Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func (s *sender) post(event PushEvent) error {
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	secret, err := os.ReadFile(s.secretFile)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	req, err := http.NewRequest(http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Skerry-Hookshot")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", rand.Text())
	req.Header.Set("X-Hub-Signature-256", Sign(bytes.TrimSpace(secret), body))
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answered %s: %s", resp.Status, strings.TrimSpace(string(answer)))
	}
	return nil
}

// Sign returns the value of X-Hub-Signature-256 for a body.
func Sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// drain ends the waiting between attempts and lets those under way finish, until ctx ends.
func (s *sender) drain(ctx context.Context) {
	close(s.stop)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// logWriter turns the error output of git http-backend into log lines.
type logWriter struct{ log logr.Logger }

func (w *logWriter) Write(p []byte) (int, error) {
	if line := trimLine(p); line != "" {
		w.log.Info("git http-backend", "message", line)
	}
	return len(p), nil
}
