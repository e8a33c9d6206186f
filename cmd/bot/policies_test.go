package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
)

// organisation writes a policy set and returns its directory.
func organisation(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pinOf is the digest that the error without one tells.
func pinOf(t *testing.T, dir string) string {
	t.Helper()
	_, _, err := basePolicies(settings{Policies: dir})
	pin := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(fault.Public(err).What)
	if pin == "" {
		t.Fatalf("error is %v; want it to tell the digest", err)
	}
	return pin
}

func TestBasePolicies(t *testing.T) {
	t.Parallel()
	loaded := func(s settings) *gate.Set {
		name, fsys, err := basePolicies(s)
		if err != nil {
			t.Fatal(err)
		}
		set, err := gate.Load(name, fsys)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	builtin := loaded(settings{})
	for name, files := range map[string]map[string]string{
		"another level":    {"plan/log_retention/levels.yaml": "levels: {retention: warn}\n"},
		"a further rule":   {"plan/queues/queues.rego": "package plan.queues\n\ndeny contains \"x\" if input.x\n"},
		"another approval": {"apply/approvals/approvals.rego": "package apply.approvals\n\ndeny contains \"no\" if input.x\n\napproved contains user if some user in input.approved\n\ndestroys if input.destroys\n"},
	} {
		dir := organisation(t, files)
		if set := loaded(settings{Policies: dir, PolicyDigest: pinOf(t, dir)}); set.Digest() == builtin.Digest() || set.Name() != "organisation" {
			t.Errorf("%s: the set is %s %s, as without it", name, set.Name(), set.Digest())
		}
	}
}

func TestServeWithPoliciesOfTheOrganisation(t *testing.T) {
	t.Parallel()
	key, secret := file(t, "key.pem", rsaKey(t)), file(t, "secret", strings.Repeat("s", 32))
	dir := organisation(t, map[string]string{"plan/log_retention/levels.yaml": "levels: {retention: warn}\n"})
	broken := organisation(t, map[string]string{"plan/log_retention/levels.yaml": "levels: {retention: off}\n"})
	pin, other := pinOf(t, dir), "sha256:"+strings.Repeat("0", 64)
	cases := map[string]struct {
		path, pin string
		want      []string // none: it starts
	}{
		"the pin":         {dir, pin, nil},
		"no pin":          {dir, "", []string{"Error: The digest of the policies " + dir + " is not given; it is " + pin + " now.", "--organisation-policies-digest"}},
		"another pin":     {dir, other, []string{"Error: The policies " + dir + " have the digest " + pin + ", and not " + other + " as they should."}},
		"nowhere":         {dir + "/none", pin, []string{"cannot be opened: no such file or directory."}},
		"do not load":     {broken, pinOf(t, broken), []string{"Error: The levels in the data beside organisation/plan/log_retention cannot be used"}},
		"built-in policy": {"", "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(serve(t, key, secret), "--organisation-policies="+c.path, "--organisation-policies-digest="+c.pin)
			if c.want == nil {
				starts(t, args)
				return
			}
			call{}.bot(t, args...).expect(t, 2, c.want...)
		})
	}
}
