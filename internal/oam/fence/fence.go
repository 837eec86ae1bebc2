// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fence evaluates CUE in processes of their own, with limits of processor time and
// memory. CUE has no such limits, Go cannot stop a goroutine, and running out of
// stack or memory ends a process, so in the process that serves many virtual clusters
// one tenant's definition could stop them all.
//
// The processes are copies of the running program: it calls Serve when started with
// Options.Command. They are started when there is something to evaluate, serve every tenant, keep
// nothing between questions, and end when nobody asks. A tenant has one question at
// a time in evaluation, so however many bad definitions it has, the others' turn comes.
// docs/adr/0010 has the alternatives and what they cost.
package fence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skerry-platform/skerry/internal/oam/render"
)

// Options of New.
type Options struct {
	// Command starts a process that calls Serve: the program and its arguments.
	Command []string
	// Processes that may evaluate at once; 0 is 4.
	Processes int
	// Idle is how long a process is kept without a question; 0 is a minute.
	Idle time.Duration
	Limits
}

// Limits of one question. Zero fields take the defaults.
type Limits struct {
	// CPU is processor time; 0 is 10 s. A definition of the catalog takes milliseconds.
	CPU time.Duration
	// Memory is bytes of heap; 0 is 256 MiB.
	Memory uint64
	// Question and Answer are the most bytes of each; 0 is 16 MiB and 8 MiB.
	Question, Answer int
	// Wall is the time after which a process counts as lost; 0 is 2 minutes.
	Wall time.Duration
}

func (l Limits) orDefaults() Limits {
	if l.CPU == 0 {
		l.CPU = 10 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 256 << 20
	}
	if l.Question == 0 {
		l.Question = 16 << 20
	}
	if l.Answer == 0 {
		l.Answer = 8 << 20
	}
	if l.Wall == 0 {
		l.Wall = 2 * time.Minute
	}
	return l
}

// Fence runs the processes.
type Fence struct {
	opts  Options
	slots chan struct{}

	mu     sync.Mutex
	idle   []*child
	closed bool
}

// New returns a Fence; it starts nothing yet. Close ends its processes.
func New(opts Options) *Fence {
	opts.Limits = opts.Limits.orDefaults()
	if opts.Processes == 0 {
		opts.Processes = 4
	}
	if opts.Idle == 0 {
		opts.Idle = time.Minute
	}
	return &Fence{opts: opts, slots: make(chan struct{}, opts.Processes)}
}

// Close ends the idle processes; those that evaluate end with their question.
func (f *Fence) Close() {
	f.mu.Lock()
	idle := f.idle
	f.idle, f.closed = nil, true
	f.mu.Unlock()
	for _, c := range idle {
		c.stop()
	}
}

// Tenant returns an evaluator for one tenant.
func (f *Fence) Tenant() render.Evaluator {
	return &tenant{fence: f, turn: make(chan struct{}, 1)}
}

// tenant has one question at a time in evaluation.
type tenant struct {
	fence *Fence
	turn  chan struct{}
}

// Evaluate implements render.Evaluator.
func (t *tenant) Evaluate(ctx context.Context, question []byte) ([]byte, error) {
	if most := t.fence.opts.Question; len(question) > most {
		return nil, &render.Error{Message: fmt.Sprintf("the Application and its definitions have %d bytes; %d is the most", len(question), most),
			Hint: "split the Application"}
	}
	for _, wait := range []chan struct{}{t.turn, t.fence.slots} {
		select {
		case wait <- struct{}{}:
			defer func() { <-wait }()
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for a process to evaluate definitions: %w", ctx.Err())
		}
	}
	return t.fence.evaluate(ctx, question)
}

func (f *Fence) evaluate(ctx context.Context, question []byte) ([]byte, error) {
	for {
		c, used, err := f.take()
		if err != nil {
			return nil, err
		}
		answer, err := c.ask(ctx, question, f.opts.Limits)
		var over *render.Error
		switch {
		case err == nil:
			f.put(c)
			return answer, nil
		case errors.As(err, &over) || ctx.Err() != nil:
			return nil, err
		case !used || c.doing != "":
			return nil, fmt.Errorf("evaluating definitions: %w", err)
		}
		// The process had ended while nobody used it; a new one will do.
	}
}

// take returns an idle process, used is then true, or a new one.
func (f *Fence) take() (c *child, used bool, err error) {
	f.mu.Lock()
	if n := len(f.idle); n > 0 {
		c, f.idle = f.idle[n-1], f.idle[:n-1]
	}
	f.mu.Unlock()
	if c != nil {
		c.idle.Stop()
		return c, true, nil
	}
	c, err = start(f.opts.Command, f.opts.Limits)
	return c, false, err
}

// put keeps a process for the next question.
func (f *Fence) put(c *child) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		c.stop()
		return
	}
	defer f.mu.Unlock()
	f.idle = append(f.idle, c)
	c.idle = time.AfterFunc(f.opts.Idle, func() { f.retire(c) })
}

func (f *Fence) retire(c *child) {
	f.mu.Lock()
	i := slices.Index(f.idle, c)
	if i >= 0 {
		f.idle = slices.Delete(f.idle, i, i+1)
	}
	f.mu.Unlock()
	if i >= 0 {
		c.stop()
	}
}
