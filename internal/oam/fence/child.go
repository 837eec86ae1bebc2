// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package fence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/skerry-platform/skerry/internal/oam/render"
)

// child is one evaluating process. It answers one question at a time.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *tail
	// doing is the definition that the last question has got to.
	doing string
	// idle ends the process when nobody asks.
	idle *time.Timer
}

func start(command []string, limits Limits) (*child, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{} // it needs nothing of ours, secrets least
	c := &child{cmd: cmd, stderr: &tail{}}
	cmd.Stderr = c.stderr
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting a process to evaluate definitions: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a process to evaluate definitions: %w", err)
	}
	c.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a process to evaluate definitions: %w", err)
	}
	if err := writeLimits(c.in, limits); err != nil {
		c.stop()
		return nil, fmt.Errorf("starting a process to evaluate definitions: %w", err)
	}
	return c, nil
}

// ask sends a question and waits for the answer. With any error the process is gone. An
// *render.Error says that it was the question's fault.
func (c *child) ask(ctx context.Context, question []byte, limits Limits) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Wall)
	defer cancel()
	kill := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	c.doing = ""
	answer, err := c.exchange(question, limits)
	if kill() && err == nil {
		return answer, nil
	}
	if errors.Is(err, errTooLarge) {
		c.stop()
		return nil, c.over(fmt.Sprintf("it renders more than %d MiB", limits.Answer>>20))
	}
	_ = c.in.Close()
	_ = c.cmd.Process.Kill() // it may have closed its end and still run
	_ = c.cmd.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("evaluating %s: %w", c.doing, ctx.Err())
	}
	return nil, c.autopsy(err, limits)
}

func (c *child) exchange(question []byte, limits Limits) ([]byte, error) {
	if err := writeFrame(c.in, frameQuestion, question); err != nil {
		return nil, err
	}
	for {
		kind, data, err := readFrame(c.out, limits.Answer)
		switch {
		case err != nil:
			return nil, err
		case kind == frameAnswer:
			return data, nil
		case kind == frameDoing:
			c.doing = string(data)
		default:
			return nil, failure(data)
		}
	}
}

// failure is what a process says before it gives up on a question.
type failure string

func (f failure) Error() string { return string(f) }

// autopsy says why a process ended.
func (c *child) autopsy(err error, limits Limits) error {
	text := c.stderr.String()
	var said failure
	switch code := c.cmd.ProcessState.ExitCode(); {
	case errors.As(err, &said):
		return c.over(said.Error())
	case code == exitTime:
		return c.over(fmt.Sprintf("evaluating it takes more than %s of processor time", limits.CPU))
	case code == exitMemory || strings.Contains(text, "out of memory") || strings.Contains(text, "cannot allocate memory"):
		return c.over(fmt.Sprintf("evaluating it takes more than %d MiB of memory", limits.Memory>>20))
	case strings.Contains(text, "stack overflow") || strings.Contains(text, "stack exceeds"):
		return c.over("evaluating it never ends: it refers to itself too deeply")
	}
	first, _, _ := strings.Cut(text, "\n")
	return fmt.Errorf("the process that evaluates definitions ended: %s: %s: %w", c.cmd.ProcessState, first, err)
}

func (c *child) over(message string) error {
	return &render.Error{Definition: c.doing, Message: message,
		Hint: "shorten its comprehensions and recursions, or give it smaller parameters; it is tried again when it or the Application changes"}
}

// stop ends a process that has nothing to do.
func (c *child) stop() {
	_ = c.in.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// tail keeps the first bytes that a process wrote to its standard error: the Go runtime says
// first why it gives up.
type tail struct{ text []byte }

const mostTail = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[:min(len(p), mostTail-len(t.text))]...)
	return len(p), nil
}

func (t *tail) String() string { return string(t.text) }
