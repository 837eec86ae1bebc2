// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package fence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/skerry-platform/skerry/internal/oam/render"
)

// How a process ends itself that has gone over a limit.
const (
	exitTime   = 64
	exitMemory = 65
)

const (
	// watchInterval is how often a process looks at its own use.
	watchInterval = 20 * time.Millisecond
	// mostStack is for one goroutine; Go's own default is a gigabyte.
	mostStack = 64 << 20
	// gcPercent is Go's GOGC. What lives between questions is small, and what a question
	// leaves behind is cheaper to collect after several.
	gcPercent = 400
	// headroom is address space with data beyond the heap's limit: the program's own, and
	// what one allocation may take between two looks. Beyond it the kernel says no.
	headroom = 768 << 20
)

// Serve answers the questions that arrive on in until it is closed. It sets limits for the
// whole process, which must have nothing else to do.
func Serve(in io.Reader, out io.Writer) error {
	in = bufio.NewReader(in)
	limits, err := readLimits(in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("reading the limits: %w", err)
	}
	debug.SetMaxStack(mostStack)
	debug.SetGCPercent(gcPercent)
	most := limits.Memory + headroom
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		return fmt.Errorf("limiting the memory: %w", err)
	}
	// Should the machine run out of memory, this process is the one to end. Where that
	// cannot be said, the kernel chooses by size.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	for {
		_, question, err := readFrame(in, limits.Question)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		stop := watch(limits)
		err = answer(question, out)
		stop()
		if err != nil {
			return err
		}
	}
}

func answer(question []byte, out io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = writeFrame(out, frameFailed, fmt.Appendf(nil, "CUE failed in a way that it should not: %v", p))
		}
	}()
	data, err := render.Answer(question, func(definition string) {
		// That this could not be told shows when the answer cannot be told either.
		_ = writeFrame(out, frameDoing, []byte(definition))
	})
	if err != nil {
		return writeFrame(out, frameFailed, []byte(err.Error()))
	}
	return writeFrame(out, frameAnswer, data)
}

// watch ends the process when a question takes more than its limits, until stop is called.
func watch(limits Limits) (stop func()) {
	done := make(chan struct{})
	began := processorTime()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	go func() {
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if processorTime()-began > limits.CPU {
				os.Exit(exitTime)
			}
			if metrics.Read(heap); heap[0].Value.Uint64() > limits.Memory {
				os.Exit(exitMemory)
			}
		}
	}()
	return func() { close(done) }
}

// processorTime is what this process has used, in user and system mode.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
