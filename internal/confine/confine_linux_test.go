package confine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/confine"
)

// The test's own program is the room's first process, as bot is in a server.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "confined" {
		switch os.Args[2] {
		case "inside":
			os.Exit(confine.Inside())
		case "supervisor":
			os.Exit(confine.Supervise(self()))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func self() string {
	file, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return file
}

// enter makes a room and ends it with the test.
func enter(t *testing.T, p confine.Plan) *confine.Room {
	t.Helper()
	r, err := confine.OpenSupervised(self())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if err := r.Enter(p); err != nil {
		t.Fatal(err)
	}
	return r
}

// sh runs a script in a room and returns what it printed.
func sh(t *testing.T, r *confine.Room, script string, env ...string) (confine.Result, string) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	res, err := r.Run(confine.Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: append(env, "PATH=/usr/local/bin:/usr/bin:/bin"), Dir: "/"}, f, f)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return res, strings.TrimSpace(string(out))
}

func TestWhatARoomHas(t *testing.T) {
	t.Parallel()
	mine, other, shown := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{mine, other, shown} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("of "+filepath.Base(filepath.Dir(dir))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := enter(t, confine.Plan{Writable: []string{mine}, ReadOnly: []string{shown, "/no/such/path"}})
	for name, c := range map[string]struct {
		script string
		exit   int
		output string
	}{
		"it works":                       {"echo hello", 0, "hello"},
		"its own directory":              {"cat " + mine + "/file >/dev/null && echo x >" + mine + "/new && cat " + mine + "/new", 0, "x"},
		"what it is shown":               {"cat " + shown + "/file >/dev/null && echo fine", 0, "fine"},
		"what it is shown stays":         {"echo x 2>/dev/null >" + shown + "/file || echo refused", 0, "refused"},
		"another's directory":            {"ls " + other + " 2>/dev/null || echo none", 0, "none"},
		"a home":                         {"ls /root /home 2>/dev/null || echo none", 0, "none"},
		"processes":                      {"ls /proc | grep -c '^[0-9]'", 0, "4"}, // the first, sh, ls and grep
		"the environment of the first":   {"cat /proc/1/environ 2>/dev/null || echo refused", 0, "refused"},
		"its environment":                {"env | grep -c SECRET || true", 0, "0"},
		"settings of the kernel":         {"echo x 2>/dev/null >/proc/sys/kernel/core_pattern || echo refused", 0, "refused"},
		"mounts":                         {"mount -t tmpfs x /tmp 2>/dev/null || echo refused", 0, "refused"},
		"another room":                   {"unshare -Ur true 2>/dev/null || echo refused", 0, "refused"},
		"capabilities":                   {"grep CapEff /proc/self/status | tr -d '\\t'", 0, "CapEff:0000000000000000"},
		"new privileges":                 {"grep NoNewPrivs /proc/self/status | tr -d '\\t'", 0, "NoNewPrivs:1"},
		"the network":                    {"cat /proc/net/dev | grep -c : ", 0, "1"},
		"status":                         {"exit 3", 3, ""},
		"the old root":                   {"ls /oldroot /newroot 2>/dev/null || echo none", 0, "none"},
		"devices":                        {"mknod /tmp/kmsg c 1 11 2>/dev/null || echo refused", 0, "refused"},
		"a signal":                       {"kill -9 $$", -1, ""},
		"the first process is untouched": {"kill -9 1; kill -0 1 && echo alive", 0, "alive"},
	} {
		res, out := sh(t, r, c.script)
		if res.Exit != c.exit || out != c.output {
			t.Errorf("%s: %s: exit status %d, %q; want %d, %q", name, c.script, res.Exit, out, c.exit, c.output)
		}
	}
}

// Covers: T56
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := enter(t, confine.Plan{Writable: []string{dir}})
	if res, out := sh(t, r, "(setsid sleep 1000 &) ; setsid nohup sleep 1000 >/dev/null 2>&1 & echo started"); res.Exit != 0 || out != "started" {
		t.Fatalf("exit status %d, %q", res.Exit, out)
	}
	if _, out := sh(t, r, "grep -l [s]leep /proc/[0-9]*/cmdline || echo none"); out != "none" {
		t.Errorf("processes of an earlier command: %s", out)
	}
}

// Covers: T44
func TestTheWayOutHasAList(t *testing.T) {
	t.Parallel()
	answer := func(text string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
		t.Cleanup(s.Close)
		return s
	}
	listed, unlisted, named := answer("listed"), answer("unlisted"), answer("named")
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	_, port, err := net.SplitHostPort(host(named))
	if err != nil {
		t.Fatal(err)
	}
	r := enter(t, confine.Plan{Egress: confine.Egress{Loopback: []string{host(listed)}, Hosts: []string{"localhost:" + port, "*.example.com"}}})
	get := func(address string) string {
		// A client in few words that every system has: bash's own sockets, and the proxy by hand.
		_, out := sh(t, r, fmt.Sprintf(`exec bash -c 'exec 3<>/dev/tcp/%s && printf "GET / HTTP/1.0\r\nHost: x\r\n\r\n" >&3 && tail -n 1 <&3'`, strings.Replace(address, ":", "/", 1)))
		return out
	}
	if got := get(host(listed)); got != "listed" {
		t.Errorf("an address of the operator's: %q", got)
	}
	if got := get(host(unlisted)); got == "unlisted" {
		t.Error("an address of this machine that nobody listed was reached")
	}
	connect := func(target string) string {
		_, out := sh(t, r, fmt.Sprintf(`exec bash -c 'p=${HTTPS_PROXY#http://}; exec 3<>/dev/tcp/${p%%:*}/${p##*:} && printf "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n" >&3 && head -n 1 <&3'`, target))
		return out
	}
	for target, want := range map[string]string{
		"localhost:" + port:   "200",
		host(unlisted):        "403",
		"169.254.169.254:443": "403",
		"example.com:443":     "403", // the pattern is for names below
		"evilexample.com:443": "403",
		"a.example.com:80":    "403",
		"[::1]:443":           "403",
		"2130706433:443":      "403",
	} {
		if got := connect(target); !strings.Contains(got, want) {
			t.Errorf("CONNECT %s: %q, want %s", target, got, want)
		}
	}
	res, _ := sh(t, r, "true")
	if !strings.Contains(strings.Join(res.Refused, " "), "169.254.169.254:443") {
		t.Errorf("refused hosts are not told: %v", res.Refused)
	}
}

// When memory runs out, what runs in a room goes before the server, a plan before an apply; and a room that takes more
// than its share is ended alone. The twin stays within its share.
//
// Covers: R42
func TestRoomsYieldToTheServer(t *testing.T) {
	t.Parallel()
	const file = "/proc/self/oom_score_adj"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	plan := enter(t, confine.Plan{Limits: confine.Limits{Memory: 64 << 20}})
	apply := enter(t, confine.Plan{Finish: true})
	for r, score := range map[*confine.Room]int{plan: 1000, apply: 500} {
		if _, got := sh(t, r, "cat "+file); got != strconv.Itoa(max(own, score)) {
			t.Errorf("the kernel is told %s, want %d; of the server it is told %d", got, score, own)
		}
	}
	if res, _ := sh(t, plan, "x=0123456789; while true; do x=$x$x; done"); !strings.HasPrefix(res.Over, "memory") {
		t.Errorf("a room that takes all memory ends as %+v", res)
	}
	if res, out := sh(t, plan, "x=0123456789; echo $x$x"); res.Exit != 0 || res.Over != "" || out != "01234567890123456789" {
		t.Errorf("a room that takes little ends as %+v: %s", res, out)
	}
}

// Covers: T78, T80, R29
func TestLimitsOfARoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Each goes a little over its limit and then waits to be ended: without a limit it would end by itself.
	for name, c := range map[string]struct {
		limits confine.Limits
		script string
		over   string
	}{
		"memory":    {confine.Limits{Memory: 64 << 20}, "x=0123456789; while [ ${#x} -lt 80000000 ]; do x=$x$x; done; sleep 60", "memory"},
		"entries":   {confine.Limits{Entries: 500}, "cd " + dir + "; for i in $(seq 600); do : >f$i; done; sleep 60", "files"},
		"processes": {confine.Limits{Processes: 50}, "for i in $(seq 100); do sleep 60 & done; wait", "processes"},
		"disk":      {confine.Limits{Disk: 1 << 20}, "cd " + dir + "; for i in $(seq 20); do head -c 100000 /dev/zero >d$i; done; sleep 60", "disk"},
	} {
		r := enter(t, confine.Plan{Writable: []string{dir}, Limits: c.limits})
		res, _ := sh(t, r, c.script)
		if res.Exit != -1 || !strings.Contains(res.Over, c.over) {
			t.Errorf("%s: exit status %d, over %q", name, res.Exit, res.Over)
		}
		if res, out := sh(t, r, "echo fine"); (c.over == "memory" || c.over == "processes") && (res.Exit != 0 || out != "fine") {
			t.Errorf("%s: what comes after does not run: %d, %q", name, res.Exit, out)
		}
	}
}

func TestASignalReachesTheCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := enter(t, confine.Plan{Writable: []string{dir}})
	fifo := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if _, err := os.ReadFile(fifo); err == nil { // the trap is set
			_ = r.Signal(syscall.SIGTERM)
		}
	}()
	res, out := sh(t, r, "trap 'echo asked; exit 7' TERM; echo >"+fifo+"; while true; do sleep 0.01; done")
	if res.Exit != 7 || out != "asked" {
		t.Errorf("exit status %d, %q", res.Exit, out)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := confine.Check(t.Context(), self()); err != nil {
		t.Error(err)
	}
}

// A program that knows nothing of rooms does not keep anybody waiting.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	silent := filepath.Join(t.TempDir(), "silent")
	if err := os.WriteFile(silent, []byte("#!/bin/sh\nsleep 1000 & wait\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := confine.Check(ctx, silent); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
