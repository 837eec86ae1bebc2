// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

const (
	// mostPayload is GitHub's own limit.
	mostPayload = 25 << 20
	// mostEvents are read at once: whoever reaches the port can send them, and a signature can only be
	// verified over the whole.
	mostEvents = 4
	// payloadLimit is how long an event may take to arrive.
	payloadLimit = 10 * time.Second
)

// Webhook receives GitHub push events and has the Applications of that repository and
// branch look at it at once. It answers 202 with the names of the Applications, 403 to a
// wrong signature, and 503 while the engine does not run in this process (the sender tries
// again). Payloads without a signature are refused.
// Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
type Webhook struct {
	secret func(ctx context.Context) ([]byte, error)
	slots  chan struct{}

	mu     sync.Mutex
	engine *reconciler
}

// NewWebhook returns a handler that verifies with the key that secret returns at each event.
func NewWebhook(secret func(ctx context.Context) ([]byte, error)) *Webhook {
	return &Webhook{secret: secret, slots: make(chan struct{}, mostEvents)}
}

func (h *Webhook) bind(r *reconciler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine = r
}

// pushPayload is what is read of a push event.
type pushPayload struct {
	Ref        string `json:"ref"`
	After      string `json:"after"`
	Repository struct {
		CloneURL      string `json:"clone_url"`
		HTMLURL       string `json:"html_url"`
		SSHURL        string `json:"ssh_url"`
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
}

// ServeHTTP implements http.Handler.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST a GitHub push event here", http.StatusMethodNotAllowed)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return
	}
	// Without a connection under it (in a test) there is no deadline to set.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(payloadLimit))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostPayload))
	if err != nil {
		http.Error(w, "reading the event: "+err.Error(), http.StatusBadRequest)
		return
	}
	secret, err := h.secret(r.Context())
	secret = bytes.TrimSpace(secret) // a key from a file may end with a line end; the sender trims it too
	if err != nil || len(secret) == 0 {
		log.FromContext(r.Context()).Error(errors.Join(err, errors.New("no webhook key")), "verifying a push event")
		http.Error(w, "the webhook's key cannot be read; the operator's log says why", http.StatusServiceUnavailable)
		return
	}
	if !signedBy(secret, body, r.Header.Get("X-Hub-Signature-256")) {
		http.Error(w, "X-Hub-Signature-256 does not fit the payload and the webhook's key", http.StatusForbidden)
		return
	}
	if event := r.Header.Get("X-GitHub-Event"); event != "push" {
		_, _ = io.WriteString(w, "nothing to do for this event\n")
		return
	}
	var push pushPayload
	if err := json.Unmarshal(body, &push); err != nil {
		http.Error(w, "reading the push event: "+err.Error(), http.StatusBadRequest)
		return
	}
	names, err := h.trigger(r.Context(), push)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string][]string{"applications": names})
}

// signedBy compares in constant time.
func signedBy(secret, body []byte, signature string) bool {
	given, err := hex.DecodeString(strings.TrimPrefix(signature, "sha256="))
	if err != nil || !strings.HasPrefix(signature, "sha256=") {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hmac.Equal(given, mac.Sum(nil))
}

var errNotRunning = errors.New("the GitOps engine does not run in this process")

// trigger asks the Applications that the push concerns to look at their repository.
func (h *Webhook) trigger(ctx context.Context, push pushPayload) ([]string, error) {
	h.mu.Lock()
	engine := h.engine
	h.mu.Unlock()
	if engine == nil {
		return nil, errNotRunning
	}
	list := &argov1alpha1.ApplicationList{}
	if err := engine.client.List(ctx, list, client.InNamespace(engine.opts.Namespace)); err != nil {
		return nil, err
	}
	names := []string{}
	for i := range list.Items {
		app := &list.Items[i]
		if app.Spec.Source == nil || !push.concerns(*app.Spec.Source) {
			continue
		}
		key := client.ObjectKeyFromObject(app)
		engine.tracked(key).refresh.Store(true)
		if !engine.enqueue(key) {
			return nil, errNotRunning
		}
		names = append(names, app.Name)
	}
	return names, nil
}

// concerns reports whether the push is to the source's repository and moved its revision.
func (p pushPayload) concerns(source argov1alpha1.ApplicationSource) bool {
	want := normalURL(source.RepoURL)
	if want != normalURL(p.Repository.CloneURL) && want != normalURL(p.Repository.HTMLURL) && want != normalURL(p.Repository.SSHURL) {
		return false
	}
	name := strings.TrimPrefix(strings.TrimPrefix(p.Ref, "refs/heads/"), "refs/tags/")
	switch source.TargetRevision {
	case "", "HEAD":
		return name == p.Repository.DefaultBranch
	case name, p.Ref:
		return true
	}
	return false
}
