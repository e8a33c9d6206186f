package github_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

// Covers: T46
func TestKnownSecretsAreNotToldToGitHub(t *testing.T) {
	t.Parallel()
	const canary = `canary"of\the<key>`
	text := "see " + canary + " or " + base64.StdEncoding.EncodeToString([]byte("x"+canary+"y")) + "\nor " + canary[:9] + "\n    " + canary[9:]
	for name, known := range map[string]*redact.Known{"known": redact.Knowing(redact.New(canary)), "unknown": nil} {
		f := newFake(t)
		f.on("POST /repos/acme/shop/issues/3/comments", answer(201, `{"id": 7}`))
		app, err := github.New(github.Config{URL: f.URL, AppID: appID, Key: redact.New(keyPEM(privateKey())), Clock: f.clock, Known: known})
		must(t, err)
		_, err = app.CreateComment(t.Context(), shop, 3, text)
		must(t, err)
		sent, err := json.Marshal(f.requests[len(f.requests)-1].Body)
		must(t, err)
		var said struct{ Body string }
		must(t, json.Unmarshal(sent, &said))
		told := strings.Contains(said.Body, canary) || strings.Contains(said.Body, canary[:9]+"\n") || strings.Contains(said.Body, "Y2FuYXJ5") || strings.Contains(said.Body, "bmFyeSJvZ")
		if told != (known == nil) {
			t.Errorf("%s: GitHub is told %q", name, said.Body)
		}
		if masks := strings.Count(said.Body, redact.Mask); known != nil && masks != 3 {
			t.Errorf("%s: %d masks in %q, want 3", name, masks, said.Body)
		}
	}
}
