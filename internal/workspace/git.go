package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// settings holds for every git process. A mirror's own configuration is written by us and a
// repository cannot change it; these say it again where a mistake would run somebody's code.
var settings = []string{
	"core.hooksPath=/dev/null",
	"core.fsmonitor=false",
	"core.attributesFile=/dev/null",
	"protocol.allow=never",
	"protocol.http.allow=always",
	"protocol.https.allow=always",
	"http.followRedirects=false", // a redirect would carry the request, and once the token, elsewhere
	"http.lowSpeedLimit=1000",    // bytes a second …
	"http.lowSpeedTime=30",       // … over so many seconds, or the fetch ends
	"credential.helper=",
	"core.askPass=",
	"transfer.fsckObjects=true",
	// Harmless faults of old clients that GitHub accepts too; all others refuse the fetch.
	"fetch.fsck.zeroPaddedFilemode=ignore",
	"fetch.fsck.badTimezone=ignore",
	"fetch.fsck.missingSpaceBeforeDate=ignore",
	"fetch.unpackLimit=1", // always a pack: complete or absent, never half
	"core.fsync=none",     // a mirror lost to a power cut is fetched again
	"gc.auto=0",           // tidy decides when
	"fetch.writeCommitGraph=false",
}

// exitError is a git process that ended badly. Stderr is scrubbed of credentials.
type exitError struct {
	verb   string
	code   int // -1 when a signal ended it
	stderr string
	err    error
}

func (e *exitError) Error() string {
	return fmt.Sprintf("git %s: %v: %s", e.verb, e.err, e.stderr)
}

func (e *exitError) Unwrap() error { return e.err }

// exitCode is the exit status of a git process, or -1 when err says nothing of one.
func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return -1
}

// command builds a git process on a mirror. It gets its own process group, so that its helpers
// end with it.
func (w *Workspace) command(ctx context.Context, mirror string, args ...string) *exec.Cmd {
	argv := make([]string, 0, 2*len(settings)+len(args)+1)
	argv = append(argv, "--git-dir="+mirror)
	for _, s := range settings {
		argv = append(argv, "-c", s)
	}
	cmd := exec.CommandContext(ctx, w.cfg.Git, append(argv, args...)...)
	cmd.Env = w.environ.forGit("")
	cmd.Dir = mirror
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs git on a mirror and returns what it printed.
func (w *Workspace) run(ctx context.Context, mirror string, args ...string) ([]byte, error) {
	return finish(ctx, w.command(ctx, mirror, args...), args[0], nil)
}

// finish runs a prepared command. started, when given, sees the process as soon as it exists.
func finish(ctx context.Context, cmd *exec.Cmd, verb string, started func(*os.Process), secrets ...string) ([]byte, error) {
	var out bytes.Buffer
	stderr := &tail{max: 8 << 10}
	cmd.Stdout, cmd.Stderr = &out, stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start git %s: %w", verb, err)
	}
	if started != nil {
		started(cmd.Process)
	}
	err := cmd.Wait()
	if err == nil {
		return out.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("git %s: %w", verb, context.Cause(ctx))
	}
	return out.Bytes(), &exitError{verb, cmd.ProcessState.ExitCode(), scrub(stderr.String(), secrets...), err}
}

// tail keeps the end of what a process writes.
type tail struct {
	buf []byte
	max int
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.buf)) }

// credentialPattern finds what looks like a credential whoever sent it: a server can echo one.
var credentialPattern = regexp.MustCompile(`(?i)(gh[a-z]_|github_pat_)[a-z0-9_.\-]+|//[^/\s@]+@|(basic|bearer|token) [a-z0-9+/=_.\-]{16,}`)

func scrub(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return credentialPattern.ReplaceAllString(text, "[redacted]")
}
