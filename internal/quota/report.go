// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// EventReason is what Kubernetes' own controllers call a Pod or claim that was refused.
const EventReason = "FailedCreate"

const (
	// mostAnswer is how much of a refusal is read; an API server's is a few hundred bytes.
	mostAnswer = 64 << 10
	// reportTimeout bounds what a refused request waits for its report.
	reportTimeout = 3 * time.Second
)

// ReportRefusals is a copy of a configuration of the host that leaves an Event in the namespace
// when a share refuses a request, as Kubernetes' controllers do for theirs. The Event is how
// the operator hears that a namespace needs more of the total.
func ReportRefusals(config *rest.Config) *rest.Config {
	out := rest.CopyConfig(config)
	out.Wrap(func(next http.RoundTripper) http.RoundTripper { return &reporter{next} })
	return out
}

type reporter struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *reporter) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusForbidden || req.Method == http.MethodGet {
		return resp, err
	}
	read, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	resp.Body = &rejoined{io.MultiReader(bytes.NewReader(read), resp.Body), resp.Body}
	if err != nil {
		return resp, nil // the caller reads the error where it stands
	}
	if event := refusalEvent(req.URL, read, time.Now()); event != nil {
		if err := t.send(req, event); err != nil {
			log.FromContext(req.Context()).Info("a refusal was not reported", "namespace", event.Namespace, "error", err.Error())
		}
	}
	return resp, nil
}

// rejoined is a body of which a part was read.
type rejoined struct {
	io.Reader
	io.Closer
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (t *reporter) WrappedRoundTripper() http.RoundTripper { return t.next }

// refusalEvent is nil when the answer is no share's refusal.
func refusalEvent(at *url.URL, answer []byte, now time.Time) *corev1.Event {
	obj, _, err := clientgoscheme.Codecs.UniversalDeserializer().Decode(answer, nil, nil)
	status, ok := obj.(*metav1.Status)
	if err != nil || !ok {
		return nil
	}
	if _, ok := ParseRefusal(status.Message); !ok {
		return nil
	}
	namespace := namespaceOf(at.Path)
	if namespace == "" {
		return nil
	}
	what := ""
	if d := status.Details; d != nil {
		what = d.Group + "/" + d.Kind + "/" + d.Name
	}
	id := fnv.New64a()
	fmt.Fprint(id, what)
	return &corev1.Event{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		// One for each object that is refused, however often it is tried.
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%x", Name, id.Sum64())},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "ResourceQuota", Namespace: namespace, Name: Name},
		Reason:         EventReason, Type: corev1.EventTypeWarning, Message: status.Message,
		FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now), Count: 1,
		Source: corev1.EventSource{Component: "skerry"}, ReportingController: "platform.skerry.dev/quota",
	}
}

// send writes the Event with server-side apply, so that a repeated refusal is one request too. It goes
// through the same transport, as the same user.
func (t *reporter) send(req *http.Request, event *corev1.Event) error {
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), reportTimeout)
	defer cancel()
	to := *req.URL
	to.Path = fmt.Sprintf("%s/api/v1/namespaces/%s/events/%s", prefixOf(req.URL.Path), event.Namespace, event.Name)
	to.RawQuery = url.Values{"fieldManager": {"skerry-quota"}, "force": {"true"}}.Encode()
	apply, err := http.NewRequestWithContext(ctx, http.MethodPatch, to.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	apply.Header = req.Header.Clone() // who it is, also when that was written further out
	apply.Header.Set("Content-Type", "application/apply-patch+yaml")
	apply.Header.Set("Accept", "application/json")
	resp, err := t.next.RoundTrip(apply)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("writing Event %s/%s: %s", event.Namespace, event.Name, resp.Status)
	}
	return nil
}
