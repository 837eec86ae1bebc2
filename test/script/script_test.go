// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package script runs the CLI's stories: one txtar file each, against a real API server. There is no
// operator; the scripts play it with the command `play`. Update the expected outputs with
// go test ./test/script -update.
package script

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/cli"
	"github.com/skerry-platform/skerry/internal/cli/charts"
	"github.com/skerry-platform/skerry/internal/testenv"
)

var update = flag.Bool("update", false, "write the outputs that scripts compare with")

// TestMain lets scripts run the CLI as the program skerry, and as kubectl-skerry.
func TestMain(m *testing.M) {
	program := func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		p := cli.Program{
			IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
			Getenv:    os.Getenv, Home: os.Getenv("HOME"), Charts: charts.Helm{},
		}
		code := p.Main(ctx, os.Args)
		stop()
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){"skerry": program, "kubectl-skerry": program, "kubectl_complete-skerry": program})
}

func TestScripts(t *testing.T) {
	env := testenv.StartOwn(t, testenv.WithScheme(argov1alpha1.AddToScheme))
	for _, name := range []string{"argocd", "skerry-system"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := env.Client.Create(t.Context(), ns); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("KUBECONFIG", env.Kubeconfig)
			e.Setenv("HOST", env.Kubeconfig)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":     await,
			"exits":     exits,
			"namespace": func(ts *testscript.TestScript, _ bool, args []string) { namespace(ts, env.Client, args) },
			"proposes":  proposes,
			"play":      func(ts *testscript.TestScript, _ bool, args []string) { play(ts, env.Client, args) },
		},
	})
}

// exits N PROGRAM ARGS...: the program must end with this code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exits: %v", err)
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		failed, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		code = failed.ExitCode()
	}
	if code != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

// await FILE PATTERN waits until what a program in the background writes to the file matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	said := []byte{}
	patiently(ts, func() bool {
		said, _ = os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		return pattern.Match(said)
	}, func() string { return fmt.Sprintf("%s has no match for %s: %s", args[0], args[1], said) })
}

// proposes PATTERN PROGRAM ARGS...: what the program prints matches, sooner or later.
func proposes(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: proposes PATTERN PROGRAM [ARGS...]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	patiently(ts, func() bool {
		ts.Check(ts.Exec(args[1], args[2:]...))
		return pattern.MatchString(ts.ReadFile("stdout"))
	}, func() string { return fmt.Sprintf("%s has no match for %s", strings.Join(args[1:], " "), args[0]) })
}

// patiently asks again and again, as long as tests wait for anything.
func patiently(ts *testscript.TestScript, done func() bool, otherwise func() string) {
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		ts.Fatalf("%s", otherwise())
	}
}

// namespace NAME creates a namespace of the host.
func namespace(ts *testscript.TestScript, c client.Client, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: namespace NAME")
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: args[0]}}
	ts.Check(ignoreExists(c.Create(context.Background(), ns)))
}

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// play WHAT NAMESPACE/NAME [MESSAGE] plays the operator.
func play(ts *testscript.TestScript, c client.Client, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: play WHAT NAMESPACE/NAME [MESSAGE]")
	}
	ns, name, found := strings.Cut(args[1], "/")
	scene, known := scenes()[args[0]]
	if !found || !known {
		ts.Fatalf("play %s: there is no such scene", strings.Join(args, " "))
	}
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	if err := scene(ctx, c, client.ObjectKey{Namespace: ns, Name: name}, strings.Join(args[2:], " ")); err != nil {
		ts.Fatalf("play %s: %v", strings.Join(args, " "), fmt.Errorf("%w", err))
	}
}
