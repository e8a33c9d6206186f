package web_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redact"
)

// Covers: T46
func TestKnownSecretsAreNotInLogs(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-server-0123456789"
	coded := base64.StdEncoding.EncodeToString([]byte("." + canary + "."))
	filler := strings.Repeat("a line of the log\n", 30_000) // more than a page shows, and many parts
	l := newLog(t, "begin "+canary+"\n"+filler+coded+"\n"+canary[:10]+"\n\t"+canary[10:]+"\nend\n")
	l.done.Store(true)
	for name, known := range map[string]*redact.Known{"known": redact.Knowing(redact.New(canary)), "unknown": nil} {
		s := fixture(t, newLog(t, ""), l)
		log := s.logs[exeID]
		log.Mask = known
		s.logs[exeID] = log
		srv := serve(t, s, true)
		for _, path := range []string{"/executions/" + exeID, "/executions/" + exeID + "/log", "/executions/" + exeID + "/log/stream"} {
			resp, body := get(t, srv.URL+path)
			text := strings.ReplaceAll(strings.ReplaceAll(body, "data: ", ""), "\n", "")
			told := strings.Contains(text, canary) || strings.Contains(text, canary[10:]) || strings.Contains(text, coded[4:20])
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, "end") || told != (known == nil) {
				t.Errorf("%s at %s: %s, shown: %t", name, path, resp.Status, told)
			}
		}
		// Whoever chooses where a stream begins may choose the middle of a secret.
		for from := len("begin "); from < len("begin "+canary); from++ {
			_, body := get(t, srv.URL+fmt.Sprintf("/executions/%s/log/stream?from=%d", exeID, from))
			first, _, _ := strings.Cut(body[strings.Index(body, "data: ")+6:], "\n")
			rest := canary[from-len("begin "):]
			if want := map[bool]string{true: rest, false: strings.Repeat("*", len(rest))}[known == nil]; first != want {
				t.Fatalf("%s from %d: %q, want %q", name, from, first, want)
			}
		}
	}
}
