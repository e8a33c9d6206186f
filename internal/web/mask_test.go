package web_test

import (
	"encoding/base64"
	"errors"
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

// A log that was encrypted meanwhile is read on from where the file ended.
func TestSealedLogs(t *testing.T) {
	t.Parallel()
	l := newLog(t, "one\ntwo\n")
	l.done.Store(true)
	for name, tt := range map[string]struct {
		path   string
		sealed func() ([]byte, error)
		want   string
	}{
		"encrypted":       {"/none", func() ([]byte, error) { return []byte("one\ntwo\nthree\n"), nil }, "one\ntwo\nthree\n"},
		"while read":      {l.path, func() ([]byte, error) { return []byte("one\ntwo\nthree\n"), nil }, "one\ntwo\nthree\n"},
		"of old":          {l.path, func() ([]byte, error) { return nil, nil }, "one\ntwo\n"},
		"neither":         {"/none", nil, ""},
		"not decryptable": {"/none", func() ([]byte, error) { return nil, errors.New("altered") }, ""},
	} {
		s := fixture(t, newLog(t, ""), l)
		log := s.logs[exeID]
		log.Path, log.Sealed = tt.path, tt.sealed
		s.logs[exeID] = log
		srv := serve(t, s, true)
		if _, body := get(t, srv.URL+"/executions/"+exeID+"/log"); body != tt.want {
			t.Errorf("%s: %q, want %q", name, body, tt.want)
		}
		if _, body := get(t, srv.URL+"/executions/"+exeID+"/log/stream?from=4"); strings.Contains(body, "data: one") || tt.want != "" && !strings.Contains(body, "data: two") {
			t.Errorf("%s, from its second line: %q", name, body)
		}
		if _, body := get(t, srv.URL+"/executions/"+exeID); strings.Contains(body, "two") != (tt.want != "") {
			t.Errorf("%s: a page with the log: %t", name, tt.want == "")
		}
	}
}
