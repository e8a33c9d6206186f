package terraform

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
)

func TestStateVersion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want change.StateVersion
		ok   bool
	}{
		"as Terraform writes it": {`{"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"c0e0","outputs":{},"resources":[]}`, change.StateVersion{Lineage: "c0e0", Serial: 7}, true},
		"none yet":               {`{"version":4,"serial":0,"lineage":"","outputs":{}}`, change.StateVersion{}, true},
		"in another order":       {`{"outputs":{"serial":{"value":9}},"lineage":"c0e0","serial":7}`, change.StateVersion{Lineage: "c0e0", Serial: 7}, true},
		"not read to its end":    {`{"serial":7,"lineage":"c0e0","resources":[`, change.StateVersion{Lineage: "c0e0", Serial: 7}, true},
		"without a serial":       {`{"version":4,"lineage":"c0e0"}`, change.StateVersion{}, false},
		"without a lineage":      {`{"version":4,"serial":7}`, change.StateVersion{}, false},
		"a serial in words":      {`{"serial":"seven","lineage":"c0e0"}`, change.StateVersion{}, false},
		"cut short":              {`{"serial":7`, change.StateVersion{}, false},
		"nothing":                {``, change.StateVersion{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := stateVersion(strings.NewReader(c.text))
			if (err == nil) != c.ok || c.ok && got != c.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestLockDigest(t *testing.T) {
	t.Parallel()
	a, b := lockDigest([]byte("provider \"a\" {}\n")), lockDigest([]byte("provider \"b\" {}\n"))
	if a == "" || a == b || !strings.HasPrefix(a, "sha256:") {
		t.Errorf("%q and %q", a, b)
	}
	if none := lockDigest([]byte("\n")); none != "" {
		t.Errorf("no lock file has the digest %q", none)
	}
}
