// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// A repository that has what the platform wants is looked at every ten minutes. That downloads nothing, and the
// people's source code in particular never.
func TestWhatIsThereIsNotDownloaded(t *testing.T) {
	p := newPlatform(t)
	code := p.await(p.apply("code", platformv1alpha1.RepositorySpec{Role: platformv1alpha1.RepositorySource, Template: "go"}), "Available", "ReconcileSuccess")
	config := p.await(p.apply("config", gitops("a: 1\n")), "Available", "ReconcileSuccess")

	dir := p.clone("code")
	p.edit(dir, "big.bin", bulk(2<<20))
	head := p.run(dir, "rev-parse", "HEAD")
	p.sent.Store(0)
	p.touch(code)
	p.touch(config)
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := p.env.Client.Get(ctx, client.ObjectKeyFromObject(code), code); err != nil {
			return err
		}
		if code.Status.Revision != head {
			return fmt.Errorf("revision %s, want %s", code.Status.Revision, head)
		}
		return nil
	})
	p.await(code, "Available", "ReconcileSuccess")
	if n := p.sent.Load(); n > 64<<10 {
		t.Errorf("%d bytes were downloaded to find out that nothing is to be done", n)
	}
}

// bulk is text that does not compress.
func bulk(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

// touch has an object looked at again.
func (p *platform) touch(obj *platformv1alpha1.Repository) {
	p.t.Helper()
	patch := client.MergeFrom(obj.DeepCopy())
	obj.Annotations = map[string]string{"touched": "yes"}
	if err := p.env.Client.Patch(p.t.Context(), obj, patch); err != nil {
		p.t.Fatal(err)
	}
}

// count passes everything on to the Git server and counts what is fetched.
func (p *platform) count(t *testing.T, server string) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if strings.HasSuffix(r.Request.URL.Path, "/git-upload-pack") {
				r.Body = &countingBody{ReadCloser: r.Body, n: &p.sent}
			}
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}

type countingBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}
