package terraform_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/terraform"
)

// confined is the part of the test's program that "bot confined" has in a server.
func confined(role string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	switch role {
	case "inside":
		os.Exit(confine.Inside())
	case "supervisor":
		os.Exit(confine.Supervise(self))
	}
}

// newRooms is a Terraform whose commands run in rooms.
func newRooms(t *testing.T, c terraform.Confinement, change ...func(*terraform.Config)) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Program = self
	return newBench(t, func(cfg *terraform.Config) {
		cfg.Confinement = &c
		for _, f := range change {
			f(cfg)
		}
	})
}

// A path in the code may be any file of the server: only where the operator lets every plan write, a state
// can be, and no directory is made for it.
//
// Covers: T41, T48, T70
func TestAStateThatTheCodeNames(t *testing.T) {
	t.Parallel()
	listed, other := t.TempDir(), t.TempDir()
	leads, err := filepath.Rel(listed, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(leads, filepath.Join(listed, "link")); err != nil { // as a plan could have done
		t.Fatal(err)
	}
	b := newRooms(t, terraform.Confinement{Writable: []string{listed}, ReadOnly: []string{other}})
	m := module(t, map[string]string{"main.tf": two})
	m.StatePath, m.StateNamed = filepath.Join(listed, "terraform.tfstate"), true
	plan(t, b, m)
	for path, words := range map[string]string{
		filepath.Join(other, "terraform.tfstate"):                 "where the sandbox lets nobody write",
		filepath.Join(other, "new", "terraform.tfstate"):          "where the sandbox lets nobody write",
		listed + "-beside/terraform.tfstate":                      "where the sandbox lets nobody write",
		filepath.Join(listed, "link", "terraform.tfstate"):        "",
		filepath.Join(listed, "link", "new", "terraform.tfstate"): "",
	} {
		before := len(b.commands())
		m := module(t, map[string]string{"main.tf": two})
		m.Key, m.StatePath, m.StateNamed = path, path, true
		err := planError(t, b, m)
		var f *fault.Error
		if words != "" && (!errors.As(err, &f) || !strings.Contains(f.What, words) || len(b.commands()) > before) {
			t.Errorf("%s: %v, after %v", path, err, b.commands()[before:])
		}
	}
	if left, err := os.ReadDir(other); err != nil || len(left) > 0 {
		t.Errorf("something was made for a state: %v, %v", left, err)
	}
}

// probe is a Terraform that notes what it may do before it does what it is asked for. If there is a plan to
// swap, it leaves a link to it in place of the one that was shown.
const probe = `#!/bin/bash
{
  mkdir -p "$TF_DATA_DIR" 2>/dev/null; touch "$TF_DATA_DIR/probe" 2>/dev/null && echo "$1 changes its data" || echo "$1 keeps its data"
  echo "$1 opens $(sed -n 's/^Max open files *//p' /proc/self/limits | cut -d' ' -f1)"
  p=${HTTPS_PROXY#http://}; exec 3<>/dev/tcp/${p%%:*}/${p##*:}
  printf 'CONNECT %[2]s HTTP/1.1\r\nHost: x\r\n\r\n' >&3; read -r _ status _ <&3; echo "$1 connects $status"
} >>'%[1]s/seen'
'%[3]s' "$@"; exit=$?
for last; do :; done
[ "$1" = show ] && [ -e '%[1]s/swap' ] && ln -sf '%[1]s/swap' "$last"
exit $exit
`

// Init fills the data directory and fetches from where providers and modules come from; what runs code of the
// pull request does neither. The plan file is what it says, and no link to another.
//
// Covers: T30, T41, T44, T78
func TestWhatEachCommandMayDo(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dir, host := t.TempDir(), "localhost:"+port
	program := filepath.Join(dir, "probe")
	b := newRooms(t, terraform.Confinement{Writable: []string{dir}, Download: confine.Egress{Hosts: []string{host}}, Limits: confine.Limits{OpenFiles: 777}},
		func(c *terraform.Config) {
			c.Confinement.ReadOnly = []string{c.Binary}
			if err := os.WriteFile(program, fmt.Appendf(nil, probe, dir, host, c.Binary), 0o700); err != nil {
				t.Fatal(err)
			}
			c.Binary = program
		})
	if err := os.Remove(filepath.Join(dir, "seen")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	m := module(t, map[string]string{"main.tf": two})
	_, file, _ := plan(t, b, m)
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `init changes its data
init opens 777
init connects 200
plan keeps its data
plan opens 777
plan connects 403
show keeps its data
show opens 777
show connects 403
`
	if string(seen) != want {
		t.Errorf("seen:\n%s", seen)
	}
	if err := os.Rename(file, filepath.Join(dir, "swap")); err != nil {
		t.Fatal(err)
	}
	planError(t, b, m)
}
