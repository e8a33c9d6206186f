package confine_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/confine"
)

// Covers: T39, T45
func TestNameSpacesOfARoom(t *testing.T) {
	t.Parallel()
	r := enter(t, confine.Plan{})
	for _, name := range []string{"user", "mnt", "pid", "net", "ipc", "uts"} {
		mine, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, theirs := sh(t, r, "readlink /proc/self/ns/"+name); theirs == mine || !strings.HasPrefix(theirs, name+":") {
			t.Errorf("%s: the room is in %q, the server in %q", name, theirs, mine)
		}
	}
	if _, out := sh(t, r, "unshare -U true 2>/dev/null || echo refused"); out != "refused" {
		t.Errorf("another user's name space: %q", out)
	}
}

// What starts a room has nothing of the server's environment, which whoever is the same user could read.
//
// Covers: T45
func TestTheProcessesOfARoomHaveNoEnvironment(t *testing.T) {
	t.Parallel()
	enter(t, confine.Plan{})
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range all {
		if line, _ := os.ReadFile(file); !strings.HasPrefix(string(line), self()+"\x00confined\x00") { // gone by now
			continue
		}
		environ, err := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if err != nil {
			continue // one of another test, which has ended
		}
		if n++; len(environ) > 0 {
			t.Errorf("a room's process has an environment of %d bytes", len(environ))
		}
	}
	if n == 0 {
		t.Error("no process of a room was found")
	}
}

// Covers: T39, T78, T80, R29, R42
func TestWhatTheKernelHoldsARoomTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := enter(t, confine.Plan{Writable: []string{dir}, Limits: confine.Limits{Processes: 101, OpenFiles: 102, Disk: 103 << 20}})
	_, limits := sh(t, r, "cat /proc/self/limits")
	for name, value := range map[string]string{"Max processes": "101", "Max open files": "102", "Max file size": fmt.Sprint(103 << 20), "Max core file size": "0"} {
		found := ""
		for s := bufio.NewScanner(strings.NewReader(limits)); s.Scan(); {
			if rest, ok := strings.CutPrefix(s.Text(), name); ok {
				found = strings.Join(strings.Fields(rest)[:2], " ")
			}
		}
		if found != value+" "+value {
			t.Errorf("%s: %q, want %s", name, found, value)
		}
	}
	_, mounts := sh(t, r, "cat /proc/mounts")
	for place, want := range map[string][]string{"/tmp": {"nosuid", "nodev", "size=262144k", "nr_inodes=65536"}, "/dev/shm": {"nosuid", "nodev", "size=262144k", "nr_inodes=65536"},
		dir: {"rw", "nosuid", "nodev"}, "/usr": {"ro", "nosuid", "nodev"}, "/proc": {"nosuid", "nodev", "noexec"}} {
		found := ""
		for s := bufio.NewScanner(strings.NewReader(mounts)); s.Scan(); {
			if f := strings.Fields(s.Text()); f[1] == place {
				found = "," + f[3] + ","
			}
		}
		for _, w := range want {
			if !strings.Contains(found, ","+w+",") {
				t.Errorf("%s is mounted with %q, not with %s", place, found, w)
			}
		}
	}
	if _, out := sh(t, r, "cat /proc/self/oom_score_adj"); out != "1000" {
		t.Errorf("the kernel would kill it with a score of %s", out)
	}
}

// proxied sends one request line to a room's proxy and returns what it answers.
func proxied(t *testing.T, r *confine.Room, request string) string {
	t.Helper()
	_, out := sh(t, r, fmt.Sprintf(`exec bash -c 'p=${HTTPS_PROXY#http://}; exec 3<>/dev/tcp/${p%%:*}/${p##*:} && printf "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" >&3 && head -n 1 <&3'`, request))
	return out
}

// A list with patterns that are wider than they look, and addresses that nobody means by them.
//
// Covers: T43, T44
func TestThePatternsOfTheWayOut(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	private := []string{"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "127.0.0.2", "0.0.0.0", "fd00::1", "fe80::1", "64:ff9b::a9fe:a9fe", "::ffff:10.0.0.1"}
	r := enter(t, confine.Plan{Egress: confine.Egress{Hosts: append([]string{"localhost", "localhost:" + port, "*wild.example", "*.2.1"}, private...)}})
	refused := []string{"CONNECT evilwild.example:443", "CONNECT 192.0.2.1:443", "CONNECT localhost:443", "GET http://localhost:80/", "GET http://192.0.2.1/"}
	for _, ip := range private {
		refused = append(refused, "CONNECT "+net.JoinHostPort(ip, "443"))
	}
	for _, request := range refused {
		got := proxied(t, r, request)
		// An address is looked at when it is connected to.
		if want := "403"; !strings.Contains(got, want) && !(strings.HasPrefix(got, "HTTP/1.1 502") && refusedAtLast(t, r, request)) {
			t.Errorf("%s: %q", request, got)
		}
	}
	for _, request := range []string{"CONNECT localhost:" + port, "GET http://localhost:" + port + "/"} {
		if got := proxied(t, r, request); !strings.Contains(got, "200") {
			t.Errorf("%s: %q", request, got)
		}
	}
}

// refusedAtLast reports whether the target of a request is among those that the room was refused.
func refusedAtLast(t *testing.T, r *confine.Room, request string) bool {
	t.Helper()
	res, _ := sh(t, r, "true")
	return strings.Contains(strings.Join(res.Refused, " "), strings.TrimPrefix(request, "CONNECT "))
}

// A server that has to use a proxy itself passes the room's tunnels on to it, by names only: the proxy
// resolves them, so that nobody here sees what an address would lead to.
//
// Covers: T44
func TestTheServersOwnProxy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.Host)
	}))
	t.Cleanup(upstream.Close)
	r := enter(t, confine.Plan{Egress: confine.Egress{Hosts: []string{"a.example", "192.0.2.1"}, Upstream: upstream.URL}})
	for request, want := range map[string]string{"CONNECT a.example:443": "200", "CONNECT b.example:443": "403", "CONNECT 192.0.2.1:443": "502"} {
		if got := proxied(t, r, request); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %s", request, got, want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(asked, ", "); got != "CONNECT a.example:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
}
