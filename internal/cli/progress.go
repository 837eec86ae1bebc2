// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	frameTime = 100 * time.Millisecond
	// patience is how long a plain log stays silent about what is waited for.
	patience = 5 * time.Second
)

// line is one step that is done or under way.
type line struct {
	key, text string
	took      time.Duration
}

// progress shows steps as they are done, and in between what is waited for: redrawn in place on a
// terminal, one line each elsewhere.
type progress struct {
	out     io.Writer
	width   int // of the terminal; 0 when it is none
	started time.Time

	mu      sync.Mutex
	shown   map[string]bool
	waiting string
	// drawn is whether the terminal's last line is the spinner; said and saidAt are for plain logs.
	drawn  bool
	said   string
	saidAt time.Time
	frame  int

	stop    chan struct{}
	stopped chan struct{}
}

// progress starts to show on out. Close it before writing anything else. Nothing is redrawn where that is not
// wanted: NO_COLOR (no-color.org) asks for text without escapes, a dumb terminal knows none.
func (c *common) progress(out io.Writer) *progress {
	plain := c.program.Getenv("NO_COLOR") != "" || c.program.Getenv("TERM") == "dumb"
	return newProgress(out, time.Now(), plain)
}

func newProgress(out io.Writer, now time.Time, plain bool) *progress {
	p := &progress{out: out, started: now, shown: map[string]bool{}, saidAt: now, stop: make(chan struct{}), stopped: make(chan struct{})}
	if f, ok := out.(*os.File); ok && !plain && term.IsTerminal(int(f.Fd())) {
		p.width = 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			p.width = w
		}
	}
	go p.run()
	return p
}

func (p *progress) run() {
	defer close(p.stopped)
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.draw(now)
		}
	}
}

// done shows a finished step, once.
func (p *progress) done(l line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown[l.key] {
		return
	}
	p.shown[l.key] = true
	p.erase()
	fmt.Fprintf(p.out, "  ✓ %-58s %6.1f s\n", shortened(l.text, 58), l.took.Seconds())
	p.saidAt = time.Now()
}

// wait sets what is waited for.
func (p *progress) wait(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = strings.Join(strings.Fields(message), " ")
}

func (p *progress) draw(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == "" {
		return
	}
	if p.width == 0 {
		if p.waiting != p.said && now.Sub(p.saidAt) >= patience {
			fmt.Fprintf(p.out, "  … %s (%.0f s)\n", p.waiting, now.Sub(p.started).Seconds())
			p.said, p.saidAt = p.waiting, now
		}
		return
	}
	p.erase()
	const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
	p.frame = (p.frame + 1) % 10
	fmt.Fprintf(p.out, "  %c %s %5.1f s", []rune(frames)[p.frame], shortened(p.waiting, p.width-16), now.Sub(p.started).Seconds())
	p.drawn = true
}

// erase removes the spinner's line.
func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[2K")
		p.drawn = false
	}
}

// close ends the showing.
func (p *progress) close() {
	close(p.stop)
	<-p.stopped
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}
