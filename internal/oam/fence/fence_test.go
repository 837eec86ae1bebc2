// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package fence_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/fence"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// The test binary is its own evaluating process, as skerry-kube is.
const serve = "-serve-definitions"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serve {
		if err := fence.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newFence(t testing.TB, change func(*fence.Options)) *fence.Fence {
	t.Helper()
	opts := fence.Options{Command: []string{"/proc/self/exe", serve}}
	if change != nil {
		change(&opts)
	}
	f := fence.New(opts)
	t.Cleanup(f.Close)
	return f
}

// input is an Application with one component of a definition with this template.
func input(ev render.Evaluator, template string) render.Input {
	def := &oamv1.ComponentDefinition{}
	def.Name, def.Namespace = "mine", "team"
	def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: template}}
	app := &oamv1.Application{}
	app.Name, app.Namespace = "shop", "team"
	app.Spec.Components = []oamv1.ApplicationComponent{{Name: "web", Type: "mine", Properties: &runtime.RawExtension{Raw: []byte(`{}`)}}}
	return render.Input{Application: app, Definitions: render.NewDefinitions(def), Evaluator: ev}
}

const good = "output: {apiVersion: \"v1\", kind: \"ConfigMap\", data: of: context.appName}\nparameter: {}"

func renders(t *testing.T, ev render.Evaluator) {
	t.Helper()
	res, err := render.Render(t.Context(), input(ev, good))
	if err != nil {
		t.Fatalf("a good definition: %v", err)
	}
	if got, _, _ := unstructured.NestedString(res.Objects()[0].Object, "data", "of"); got != "shop" {
		t.Fatalf("rendered %v", res.Objects()[0].Object)
	}
}

// Each of these would stop or end the process that evaluates it. The error names the
// definition and the way out, and the next question is answered as if nothing had been.
func TestRunawayDefinitions(t *testing.T) {
	if testing.Short() {
		t.Skip("uses up limits")
	}
	f := newFence(t, func(o *fence.Options) { o.CPU, o.Memory = 2*time.Second, 128<<20 })
	mine := f.Tenant()
	for name, c := range map[string]struct{ template, want string }{
		"a huge comprehension": {
			`import "list"` + "\na: [for x in list.Range(0, 100, 1) for y in list.Range(0, 10000, 1) for z in list.Range(0, 10000, 1) {x * y * z}]\n" + good, "evaluating it takes more than"},
		"a list of a billion": {`import "list"` + "\na: len(list.Range(0, 1000000000, 1))\n" + good, "evaluating it takes more than"},
		"an allocation that no look is quick enough for": {
			"import (\"strings\", \"list\")\noutput: data: a: strings.Join([for i in list.Range(0, 3000, 1) {\"x\" * 1000000}], \"\")\n" + good, "MiB of memory"},
		"a chain too deep for a stack": {chain(20000) + "output: data: a: \"\\(a0)\"\n" + good, "it refers to itself too deeply"},
		"a disjunction of disjunctions": {"a: " + strings.Repeat(`({x: 1} | {y: 1} | {z: 1} | {u: 1, x: >0, y: <9}) & `, 40) +
			"{w: int}\noutput: data: a: \"\\(a.x)\"\n" + good, "processor time"},
		"more than a cluster takes": {`import "list"` + "\noutputs: {for i in list.Range(0, 100, 1) {\"\\(i)\": {apiVersion: \"v1\", kind: \"ConfigMap\", " +
			"data: x: \"x\" * 100000}}}\n" + good, "it renders more than 8 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render.Render(t.Context(), input(mine, c.template))
			var refused *render.Error
			if !errors.As(err, &refused) || refused.Definition != "ComponentDefinition team/mine" ||
				!strings.Contains(err.Error(), c.want) || refused.Hint == "" {
				t.Fatalf("got %v, want an error about the definition that says %q", err, c.want)
			}
			renders(t, mine)
		})
	}
}

// chain is a0 to aN, each one more than the next.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: a%d + 1\n", i, i+1)
	}
	fmt.Fprintf(&b, "a%d: 0\n", n)
	return b.String()
}

// While one tenant's definition uses up its time, the other tenants are served.
func TestOneTenantDoesNotHoldUpAnother(t *testing.T) {
	f := newFence(t, func(o *fence.Options) { o.Processes, o.CPU, o.Memory = 2, time.Hour, 1<<40 })
	bad, other := f.Tenant(), f.Tenant()
	endless := `import "list"` + "\na: len([for x in list.Range(0, 100000, 1) for y in list.Range(0, 100000, 1) if x == -1 {x}])\n" + good
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 3)
	for range 3 { // more than there are processes
		go func() {
			_, err := render.Render(ctx, input(bad, endless))
			results <- err
		}()
	}
	for range 3 {
		renders(t, other)
	}
	cancel()
	for range 3 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("an evaluation without an end ended with %v", err)
		}
	}
	renders(t, bad)
}

// A process that somebody killed while it had nothing to do is replaced unnoticed.
func TestKilledWhileIdle(t *testing.T) {
	f := newFence(t, nil)
	mine := f.Tenant()
	renders(t, mine)
	for _, pid := range fence.Processes(f) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	renders(t, mine)
}

// A process that nobody needs ends by itself.
func TestIdleProcessesEnd(t *testing.T) {
	f := newFence(t, func(o *fence.Options) { o.Idle = time.Millisecond })
	renders(t, f.Tenant())
	for deadline := time.Now().Add(30 * time.Second); len(fence.Processes(f)) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("a process is still there")
		}
		time.Sleep(time.Millisecond)
	}
}

// A question that is too large is not even asked.
func TestTooLarge(t *testing.T) {
	f := newFence(t, func(o *fence.Options) { o.Question = 1000 })
	_, err := render.Render(t.Context(), input(f.Tenant(), good+"\n//"+strings.Repeat("x", 1000)))
	var refused *render.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "1000 is the most") {
		t.Errorf("got %v", err)
	}
}

// Fenced or not, what comes out is the same.
func TestSameAsUnfenced(t *testing.T) {
	f := newFence(t, nil)
	template := good + "\noutputs: s: {apiVersion: \"v1\", kind: \"Service\", spec: {ports: [{port: 80}], share: 0.5}}"
	fenced, err := render.Render(t.Context(), input(f.Tenant(), template))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := render.Render(t.Context(), input(nil, template))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain.Objects(), fenced.Objects()); diff != "" {
		t.Errorf("-unfenced +fenced:\n%s", diff)
	}
}

// BenchmarkEvaluate is the cost of the fence beside that of CUE.
func BenchmarkEvaluate(b *testing.B) {
	f := newFence(b, nil)
	for name, ev := range map[string]render.Evaluator{"fenced": f.Tenant(), "unfenced": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := render.Render(b.Context(), input(ev, good)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart is the cost of the first question after a pause.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		f := newFence(b, nil)
		if _, err := render.Render(b.Context(), input(f.Tenant(), good)); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
