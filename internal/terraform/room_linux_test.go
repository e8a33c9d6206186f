package terraform_test

import (
	"errors"
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
func newRooms(t *testing.T, c terraform.Confinement) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Program = self
	return newBench(t, func(cfg *terraform.Config) { cfg.Confinement = &c })
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
