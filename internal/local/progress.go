// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// action is one step of Up or Down.
type action struct {
	// title is what a person reads, as in "Starting the API server".
	title string
	// usual is how long it took on the first machine that it was measured on; the
	// estimate until there is a measurement of this one.
	usual time.Duration
	// limit ends the action with an error.
	limit time.Duration
	do    func(context.Context) error
}

// runActions runs the actions in order and prints a line for each. It returns how long
// each took, in seconds by title, also with an error.
func runActions(ctx context.Context, out io.Writer, actions []action, before map[string]float64) (map[string]float64, error) {
	took := map[string]float64{}
	for i, a := range actions {
		left := timeLeft(actions[i:], before)
		spin := startSpinner(out, a.title, left)
		began := time.Now()
		err := a.run(ctx)
		spin.stop()
		took[a.title] = seconds(time.Since(began))
		if err != nil {
			fmt.Fprintf(out, " ✗ %s (%.1fs)\n", a.title, took[a.title])
			return took, err
		}
		fmt.Fprintf(out, " ✓ %s (%.1fs)%s\n", a.title, took[a.title], leftText(timeLeft(actions[i+1:], before)))
	}
	return took, nil
}

func (a action) run(ctx context.Context) error {
	if a.limit > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, a.limit, fmt.Errorf("not done within %s", a.limit))
		defer cancel()
		ctx = limited
	}
	return a.do(ctx)
}

// timeLeft estimates how long the actions take, from the last time or the usual one.
func timeLeft(actions []action, before map[string]float64) time.Duration {
	var left time.Duration
	for _, a := range actions {
		if s, ok := before[a.title]; ok {
			left += time.Duration(s * float64(time.Second))
		} else {
			left += a.usual
		}
	}
	return left
}

func leftText(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return fmt.Sprintf(", about %s left", d.Round(time.Second))
}

// spinner shows on a terminal that an action is at work; elsewhere it is silent.
type spinner struct {
	out  io.Writer
	done chan struct{}
	gone chan struct{}
}

var spinnerFrames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func startSpinner(out io.Writer, title string, left time.Duration) *spinner {
	s := &spinner{out: out, done: make(chan struct{}), gone: make(chan struct{})}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		close(s.gone)
		return s
	}
	go s.turn(title, left)
	return s
}

func (s *spinner) turn(title string, left time.Duration) {
	defer close(s.gone)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		// Back to the first column, and erase to the end of the line.
		fmt.Fprintf(s.out, "\r\x1b[K %s %s%s", spinnerFrames[n%len(spinnerFrames)], title, leftText(left))
		select {
		case <-s.done:
			fmt.Fprint(s.out, "\r\x1b[K")
			return
		case <-tick.C:
			left -= 100 * time.Millisecond
		}
	}
}

func (s *spinner) stop() {
	close(s.done)
	<-s.gone
}
