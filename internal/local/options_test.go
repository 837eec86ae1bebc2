// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompleteFillsDefaults(t *testing.T) {
	o := Options{Executable: "/opt/skerry/bin/skerry-kube"}
	if err := o.Complete(); err != nil {
		t.Fatal(err)
	}
	want := Options{
		Name: "skerry", StateDir: "/var/lib/skerry/skerry", BinDir: "/opt/skerry/bin",
		ImageCache: "/var/cache/skerry/images", Registry: "docker.io", Executable: "/opt/skerry/bin/skerry-kube",
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompleteRefuses(t *testing.T) {
	cases := map[string]struct {
		reason  string
		options Options
		want    string
	}{
		"UpperCase": {"a name is a Node's name", Options{Name: "Skerry"}, "--name"},
		"Path":      {"a name becomes a file name", Options{Name: "../etc"}, "--name"},
		"LongName":  {"a name is part of sockets' paths", Options{Name: strings.Repeat("a", 33)}, "--name"},
		"LongState": {"sockets below the folder would have too long a path", Options{StateDir: "/" + strings.Repeat("a", 80)}, "--state"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.options.Complete()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want an error about %s", c.reason, err, c.want)
			}
		})
	}
}

func TestHostLinkFits(t *testing.T) {
	for _, name := range []string{"a", "skerry", "elevenchars", "twelve-chars", strings.Repeat("x", 32)} {
		link := layout{name: name}.hostLink()
		if len(link) > 15 {
			t.Errorf("link %q of %q is longer than the kernel takes", link, name)
		}
	}
	if a, b := (layout{name: "skerry-test-1"}).hostLink(), (layout{name: "skerry-test-2"}).hostLink(); a == b {
		t.Errorf("two instances share link %s", a)
	}
}

func TestEnvironments(t *testing.T) {
	environ := []string{"PATH=/bin", "SECRET=1", "https_proxy=http://proxy", "NO_PROXY=corp", "HOME=/root"}
	if diff := cmp.Diff([]string{"PATH=/bin", "HOME=/root"}, componentEnv(environ)); diff != "" {
		t.Errorf("a component gets the base only (-want +got):\n%s", diff)
	}
	want := []string{"PATH=/bin", "https_proxy=http://proxy", "HOME=/root",
		"NO_PROXY=localhost,127.0.0.1,10.98.0.0/30,10.244.0.0/16,10.96.0.0/16,.svc,.cluster.local,corp"}
	if diff := cmp.Diff(want, containerdEnv(environ, addressSet(0))); diff != "" {
		t.Errorf("containerd pulls through the proxy, but not from the instance (-want +got):\n%s", diff)
	}
	want = []string{"PATH=/bin", "https_proxy=http://proxy", "NO_PROXY=corp", "HOME=/root"}
	if diff := cmp.Diff(want, watcherEnv(environ)); diff != "" {
		t.Errorf("the watchers hand on what they got (-want +got):\n%s", diff)
	}
}
