package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// progress says on standard error how far a check of several plans is: on a terminal in one line
// that is written over and over, elsewhere in a line for each plan.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	live    bool // out is a terminal
	total   int
	done    int
	working []string
	began   time.Time
	shown   bool          // a live line stands on the terminal
	stop    chan struct{} // ends the clock of the live line
	stopped chan struct{}
}

func newProgress(out io.Writer, total int) *progress {
	p := &progress{out: out, total: total, began: time.Now(), live: out == os.Stderr && isTerminal(os.Stderr)}
	if p.live {
		p.stop, p.stopped = make(chan struct{}), make(chan struct{})
		go p.clock()
	}
	return p
}

// clock writes the live line from the first second on: what is done sooner needs none.
func (p *progress) clock() {
	defer close(p.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.mu.Lock()
			p.write()
			p.mu.Unlock()
		case <-p.stop:
			return
		}
	}
}

func (p *progress) write() {
	if len(p.working) == 0 {
		return
	}
	line := fmt.Sprintf("[%d/%d] %s … %d s", p.done, p.total, strings.Join(p.working, ", "), int(time.Since(p.began).Seconds()))
	if columns := width(os.Stderr); columns > 0 && len(line) >= columns {
		line = line[:columns-1]
	}
	p.clear()
	fmt.Fprint(p.out, strings.ToValidUTF8(line, ""))
	p.shown = true
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) start(plan string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.working = append(p.working, plan)
}

func (p *progress) finish(plan string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.working {
		if w == plan {
			p.working = append(p.working[:i], p.working[i+1:]...)
			break
		}
	}
	p.done++
	if p.live || p.total == 1 {
		return
	}
	end := "judged"
	if err != nil {
		end = "not judged"
	}
	fmt.Fprintf(p.out, "[%d/%d] %s: %s\n", p.done, p.total, plan, end)
}

// note says what takes long.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, text)
}

// end leaves the terminal as it was.
func (p *progress) end() {
	if p.live {
		close(p.stop)
		<-p.stopped
	}
	p.clear()
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// terminal reports whether colours are welcome.
func terminal(f *os.File) bool {
	return isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// maxWidth is as wide as text is still easy to read.
const maxWidth = 110

// width is how many columns a terminal has, at most maxWidth, or 0 for what is none.
func width(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return min(int(size.Col), maxWidth)
}
