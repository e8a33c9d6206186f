package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
)

const whyNoVerdict = "What the policies have not judged as a whole is not allowed."

// Reasons for which a process is ended.
var (
	errTime = errors.New("the time limit")
	errLong = errors.New("the answer is too long")
)

// outcome is the answer of a process that has ended, or why there is none.
func (c *child) outcome() (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.cmd.ProcessState
	switch {
	case c.ended && c.wrong == nil && state.Success():
		return c.answer, c.fault
	case errors.Is(c.why, errTime):
		return nil, c.tookTooLong()
	case c.why != nil:
		return nil, c.stopped()
	case errors.Is(c.wrong, errLong):
		return nil, c.tooLong()
	case c.wrong != nil:
		return nil, fault.Wrap(c.wrong, "The process that evaluates the policies gave an answer that cannot be read.", whyNoVerdict, fixTryAgain)
	}
	return nil, c.died()
}

const fixTryAgain = "Try again; if it happens again, the server's log has the cause."

// died explains an end without an answer.
func (c *child) died() error {
	state := c.cmd.ProcessState
	said := c.stderr.String()
	cause := errors.New(strings.Join(append([]string{state.String()}, harmless(said)...), "; "))
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case strings.Contains(said, "stack overflow"):
		return c.tooDeep(cause)
	case outOfMemory.MatchString(said):
		return c.tooLarge(cause)
	case status.Signaled():
		return fault.Wrap(cause, "The process that evaluates the policies was killed"+c.at()+".", whyNoVerdict,
			"Try again; if it happens again, the machine may be short of memory.")
	}
	return fault.Wrap(cause, "The process that evaluates the policies ended without a complete answer"+c.at()+".", whyNoVerdict, fixTryAgain)
}

// outOfMemory is how the runtime dies when the kernel gives it no more, by what it wanted it for: the
// heap, its own bookkeeping, a thread.
var outOfMemory = regexp.MustCompile(`out of memory|cannot allocate memory|failed to create new OS thread|pthread_create failed`)

// harmless are the lines of a crash report that cannot quote what was being judged.
func harmless(stderr string) []string {
	var lines []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimRight(line, "\n")
		if crashLine.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines[:min(len(lines), 12)]
}

var crashLine = regexp.MustCompile(`^(judge: .*|fatal error: .*|runtime: out of .*|SIG[A-Z]+: .*|panic: runtime error: .*|\t\S+\.go:\d+.*)$`)

func (c *child) tookTooLong() error {
	return fault.New(fmt.Sprintf("%s took longer than %s.", c.doing(), c.judge.cfg.Time), whyNoVerdict,
		"Look for a rule in "+c.set()+" that loops over everything, or raise the server's --policy-timeout.")
}

func (c *child) tooLarge(cause error) error {
	return fault.Wrap(cause, fmt.Sprintf("%s needed more than %d MiB of memory.", c.doing(), c.judge.cfg.Memory>>20), whyNoVerdict,
		"Look for a rule in "+c.set()+" that makes large values, or raise the server's --policy-memory.")
}

func (c *child) tooDeep(cause error) error {
	return fault.Wrap(cause, c.doing()+" failed, because something is nested too deeply.", whyNoVerdict,
		"Look for a value or a rule in "+c.set()+" that contains itself many times over.")
}

func (c *child) tooLong() error {
	return fault.New(c.doing()+" gave an answer that is too long.", whyNoVerdict,
		"Look for a rule in "+c.set()+" that reports the same thing many times over.")
}

// stopped is for a process that was ended on purpose.
func (c *child) stopped() error {
	var f *fault.Error
	switch {
	case errors.As(c.why, &f):
		return c.why
	case errors.Is(c.why, context.DeadlineExceeded):
		return fault.Wrap(c.why, c.doing()+" was not done in time.", whyNoVerdict, "Try again.")
	}
	return fault.Wrap(c.why, c.doing()+" was stopped before it was done.", whyNoVerdict, "Try again.")
}

// doing names what the process said that it was about to do.
func (c *child) doing() string {
	switch c.step.Doing {
	case doingCompile:
		return "Compiling the policies of " + c.set()
	case doingRead:
		return "Reading the plan"
	case doingTest:
		return "Testing the policies of " + c.set()
	}
	return "Judging by the policies of " + c.set()
}

// set names the policy set that the process was at, or all of them.
func (c *child) set() string { return cmp.Or(c.step.Set, strings.Join(c.names, " and ")) }

func (c *child) at() string {
	if c.step.Set == "" {
		return ""
	}
	return " while it was at the policies of " + c.step.Set
}

func noPolicies() error {
	return fault.New("There are no policies to judge by.", whyNoVerdict, "Give at least one policy set.")
}

func notStarted(err error) error {
	return fault.Wrap(err, "The process that evaluates the policies could not be started.", whyNoVerdict, fixTryAgain)
}

func unreadable(err error) error {
	return fault.Wrap(err, "The plan could not be read.", whyNoVerdict, fixTryAgain)
}

func incomplete() error {
	return fault.New("The policies were evaluated in part only.", whyNoVerdict, fixTryAgain)
}

// accounted makes sure that the answer is about the sets that were asked for.
func accounted(sets []*gate.Source, a *answer) error {
	if !slices.EqualFunc(sets, a.Sets, func(s *gate.Source, got setAnswer) bool { return s.Digest == got.Digest }) {
		return incomplete()
	}
	return nil
}

// judged makes sure that every set with rules has judged, that there is one, and that all of them
// have seen the same plan.
func judged(sets []*gate.Source, a *answer, hasRules func(setAnswer) bool) error {
	if err := accounted(sets, a); err != nil {
		return err
	}
	if !slices.ContainsFunc(a.Sets, hasRules) {
		return fault.New("None of the policies has a rule for this.", whyNoVerdict, "Add rules, or judge by more policy sets.")
	}
	resources := -1
	for _, s := range a.Sets {
		if s.Judged != hasRules(s) || s.Judged && resources >= 0 && s.Resources != resources {
			return incomplete()
		}
		if s.Judged {
			resources = s.Resources
		}
	}
	return nil
}
