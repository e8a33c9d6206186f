package redact_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redact"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	const canary = "canary-4711"
	s := redact.New(canary)
	if got := string(s.Reveal()); got != canary || s.Len() != len(canary) {
		t.Fatalf("Reveal() = %q, Len() = %d", got, s.Len())
	}

	holder := struct{ Key redact.Secret }{s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, s, &s, holder)
	}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "holder", holder)

	printed := out.String()
	decimal := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	for _, leak := range []string{canary, hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary))), decimal} {
		if strings.Contains(printed, leak) {
			t.Errorf("the secret shows as %q in:\n%s", leak, printed)
		}
	}
	if !strings.Contains(printed, redact.Mask) {
		t.Errorf("no mask in %q", printed)
	}
}
