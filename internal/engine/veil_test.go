package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
)

// Covers: T46
func TestWhatIsShownOfAPlanHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-plan"
	sample := func() *store.Plan {
		return &store.Plan{Text: "+ x = " + canary, Excerpt: "Error: " + canary + " is too short", Fault: fault.New(canary, canary, canary),
			Findings: []change.Finding{{Message: "The password is " + canary, Remediation: "Not " + canary}}}
	}
	shown := func(p *store.Plan) int {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), canary)
	}
	known, unknown := sample(), sample()
	veil(known, (*redact.Known)(nil).With(redact.New(canary)))
	veil(unknown, nil)
	if n, m := shown(known), shown(unknown); n != 0 || m != 7 {
		t.Errorf("shown %d times, and %d times where nothing is known of it; want 0 and 7", n, m)
	}
}
