package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

func exported(t *testing.T, db *store.DB, f audit.Filter) string {
	t.Helper()
	var out bytes.Buffer
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return audit.Export(t.Context(), tx, &out, f) }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// story has an apply of pull request 7 with all its rows, among others.
func story(t *testing.T) *store.DB {
	t.Helper()
	db := fresh(t)
	about := func(pull int, project string, more map[string]any) map[string]any {
		out := map[string]any{"repository": 11, "name": "acme/shop", "pull": pull, "project": project}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	ada, app := change.User{ID: 1, Login: "ada"}, change.User{ID: 99, Login: "tollgate"}
	for _, e := range []audit.Entry{
		{Actor: app, Kind: audit.ActorApp, Action: audit.ActionServerStart, Outcome: audit.Succeeded, Origin: "start", Subject: map[string]any{"version": "v1"}},
		{Actor: ada, Action: audit.ActionApply, Outcome: audit.Refused, Origin: "comment 5", Subject: about(7, "payments", map[string]any{"reason": "not approved"})},
		{Actor: ada, Action: audit.ActionApply, Outcome: audit.Allowed, Origin: "comment 6", Subject: about(7, "payments", map[string]any{"execution": "x1", "head": "h", "base": "b",
			"commit": "c", "state": map[string]any{"serial": 3}, "tree": "t", "plan": "p", "effect": "sha256:e", "policies": "sha256:r", "waivers": []string{"w"},
			"approvers": []audit.Approver{{ID: 2, Login: "bob", Review: 31, At: "2026-01-02T03:04:05Z"}}})},
		{Actor: ada, Action: audit.ActionApplyStart, Outcome: audit.Succeeded, Origin: "execution x1", Subject: about(7, "payments", map[string]any{"execution": "x1"})},
		{Actor: ada, Action: audit.ActionApply, Outcome: audit.Allowed, Origin: "merge", Subject: about(8, "network", map[string]any{"execution": "x2"})},
		{Actor: ada, Action: audit.ActionApplyEnd, Outcome: audit.Unknown, Origin: "execution x2", Subject: about(8, "network", map[string]any{"execution": "x2", "state": "unknown"})},
		{Actor: ada, Action: audit.ActionApplyEnd, Outcome: audit.Succeeded, Origin: "execution x1", Subject: about(7, "payments", map[string]any{"execution": "x1"})},
		{Actor: ada, Action: audit.ActionApplyProof, Outcome: audit.Succeeded, Origin: "execution x1", Subject: about(7, "payments", map[string]any{"execution": "x1", "state": "applied"})},
		{Actor: ada, Action: audit.ActionUnlock, Outcome: audit.Allowed, Origin: "comment 9", Subject: about(8, "network", map[string]any{"execution": "x2"})},
	} {
		if err := appendTo(t, db, e); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func TestExportProvesItself(t *testing.T) {
	t.Parallel()
	db := story(t)
	cases := map[string]struct {
		filter audit.Filter
		rows   []int64
	}{
		"everything":           {audit.Filter{}, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"a pull request":       {audit.Filter{Pull: 7}, []int64{2, 3, 4, 7, 8}},
		"a project":            {audit.Filter{Project: "network"}, []int64{5, 6, 9}},
		"a repository":         {audit.Filter{Repo: "11"}, []int64{2, 3, 4, 5, 6, 7, 8, 9}},
		"a repository by name": {audit.Filter{Repo: "Acme/Shop", Pull: 8}, []int64{5, 6, 9}},
		"another repository":   {audit.Filter{Repo: "12"}, nil},
		"since before":         {audit.Filter{Since: time.Now().Add(-time.Hour), Project: "network"}, []int64{5, 6, 9}},
		"since later":          {audit.Filter{Since: time.Now().Add(time.Hour)}, nil},
		"until before":         {audit.Filter{Until: time.Now().Add(-time.Hour)}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := exported(t, db, c.filter)
			var got []int64
			r, f, err := audit.VerifyExport(strings.NewReader(text), func(r audit.Row) error { got = append(got, r.Seq); return nil })
			if err != nil || r.Flaw != nil || r.Rows != 9 || r.Hidden != 9-len(c.rows) || r.Head.Hash != rows(t, db)[8].Hash {
				t.Errorf("%+v, error %v", r, err)
			}
			if diff := cmp.Diff(c.rows, got); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.filter, f, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				t.Errorf("filter:\n%s", diff)
			}
		})
	}
}

// Whatever becomes of a line of an export but its header is found, whether the export is whole or an extract.
//
// Covers: T75, T76
func TestVerifyFindsTamperingWithAnExport(t *testing.T) {
	t.Parallel()
	db := story(t)
	for _, f := range []audit.Filter{{}, {Pull: 7}} {
		text := exported(t, db, f)
		lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
		for i := range 400 {
			rnd := rand.New(rand.NewPCG(5, uint64(i)))
			out := append([]string{}, lines...)
			at, other := 1+rnd.IntN(len(out)-1), 1+rnd.IntN(len(out)-1)
			switch i % 5 {
			case 0: // a letter or digit of a value
				b := []byte(out[at])
				for p := rnd.IntN(len(b)); ; p = (p + 1) % len(b) {
					if c := b[p]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
						b[p] = "0123456789abcdefghijklmnopqrstuvwxyz"[rnd.IntN(36)]
						break
					}
				}
				out[at] = string(b)
			case 1:
				out = append(out[:at], out[at+1:]...)
			case 2:
				out[at], out[other] = out[other], out[at]
			case 3:
				out = append(out[:at:at], append([]string{out[other]}, out[at:]...)...)
			case 4:
				out = out[:at]
			}
			changed := strings.Join(out, "")
			if strings.TrimSpace(changed) == strings.TrimSpace(text) || equivalent(changed, text) {
				continue
			}
			r, _, err := audit.VerifyExport(strings.NewReader(changed), nil)
			if err == nil && r.Flaw == nil {
				t.Errorf("tampering %d with %+v is not found:\n%s", i, f, changed)
			}
		}
	}
	for name, text := range map[string]string{"nothing": "", "a row only": strings.Repeat("x", 3), "a header only": `{"kind":"header","format":"tollgate-ledger/2"}` + "\n"} {
		if r, _, err := audit.VerifyExport(strings.NewReader(text), nil); err == nil && r.Flaw == nil {
			t.Errorf("%s is taken for an export", name)
		}
	}
}

// equivalent reports whether two files say the same to a reader of JSON, who ignores what he does
// not know, such as the number of rows shown.
func equivalent(a, b string) bool {
	read := func(text string) (out []any) {
		d := json.NewDecoder(strings.NewReader(text))
		for d.More() {
			var v struct {
				Kind, Body, Head string
				Seq, Rows        json.Number
				Row              *audit.Row
			}
			if d.Decode(&v) != nil {
				return append(out, "broken")
			}
			out = append(out, v)
		}
		return out
	}
	return cmp.Equal(read(a), read(b))
}

func TestChanges(t *testing.T) {
	t.Parallel()
	var c audit.Changes
	all := rows(t, story(t))
	for _, r := range all {
		if err := c.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	ada := audit.Actor{ID: 1, Login: "ada"}
	want := []audit.Change{
		{Execution: "x1", Repository: "11", Name: "acme/shop", Pull: 7, Project: "payments", Authorised: all[2].At, Actor: ada, Origin: "comment 6",
			Approvers: []audit.Approver{{ID: 2, Login: "bob", Review: 31, At: "2026-01-02T03:04:05Z"}}, Head: "h", Base: "b", Commit: "c", Tree: "t", Plan: "p",
			Effect: "sha256:e", Policies: "sha256:r", Waivers: []string{"w"}, Started: all[3].At, Ended: all[6].At, Outcome: "succeeded", State: "applied",
			Proof: "succeeded", Rows: []int64{3, 4, 7, 8}, Hash: all[7].Hash},
		{Execution: "x2", Repository: "11", Name: "acme/shop", Pull: 8, Project: "network", Authorised: all[4].At, Actor: ada, Origin: "merge",
			Ended: all[5].At, Outcome: "unknown", State: "unknown", Resolved: &audit.Resolution{Actor: ada, At: all[8].At, Origin: "comment 9"}, Rows: []int64{5, 6, 9}, Hash: all[8].Hash},
	}
	if diff := cmp.Diff(want, c.Of(audit.Filter{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, f := range map[string]audit.Filter{"pull": {Pull: 8}, "project": {Project: "network"}, "both": {Repo: "acme/shop", Pull: 8}} {
		if got := c.Of(f); len(got) != 1 || got[0].Execution != "x2" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := c.Of(audit.Filter{Since: time.Now().Add(time.Hour)}); got != nil {
		t.Errorf("of the future: %+v", got)
	}
}

// Names and titles are other people's. Each row stays one line of valid JSON that shows what it
// holds, and is not longer than it has to be.
//
// Covers: T75
func TestARowIsOneLine(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	evil := "x\n{\"level\":\"info\"}\x1b[2K\u202egpj\u200b\u009b31m\x00\xff"
	err := appendTo(t, db, audit.Entry{Actor: change.User{ID: 1, Login: evil}, Action: "apply", Outcome: "refused", Origin: evil,
		Subject: map[string]any{evil: evil, "reason": strings.Repeat("ä", 5000), "denials": strings.Split(strings.Repeat("d ", 3000), " "), "id": int64(1)<<60 + 1}})
	if err != nil {
		t.Fatal(err)
	}
	r := rows(t, db)[0]
	for what, text := range map[string]string{"actor": r.Actor, "origin": r.Origin, "subject": r.Subject} {
		if strings.ContainsAny(text, "\n\x1b\u202e\u200b\u009b\x00") || !strings.Contains(text, "‹U+001B›") || !strings.Contains(text, "‹U+202E›") {
			t.Errorf("%s = %q", what, text)
		}
	}
	if len(r.Subject) > 10000 || !strings.Contains(r.Subject, "… (10000 bytes)") || !strings.Contains(r.Subject, "and 2501 more") || !strings.Contains(r.Subject, fmt.Sprint(int64(1)<<60+1)) {
		t.Errorf("subject = %s", r.Subject)
	}
	for line := range strings.Lines(exported(t, db, audit.Filter{})) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q is no JSON", line)
		}
	}
}

// Far from GitHub's clock, and after a step back of our own, rows say so.
//
// Covers: R30
func TestRowsMarkAClockThatIsOff(t *testing.T) {
	t.Parallel()
	for skew, marked := range map[time.Duration]string{0: "", 30 * time.Second: "", 10 * time.Minute: `"clock_skew":"10m0s"`, -10 * time.Minute: `"clock_skew":"-10m0s"`} {
		db := fresh(t)
		db.GoBy(func() time.Duration { return skew })
		if err := appendTo(t, db, entry(1)); err != nil {
			t.Fatal(err)
		}
		if got := rows(t, db)[0].Subject; strings.Contains(got, "clock_skew") != (marked != "") || !strings.Contains(got, marked) {
			t.Errorf("skew %v: %s", skew, got)
		}
	}
	db := ledger(t, 1)
	for back, marked := range map[time.Duration]bool{0: false, time.Second: false, 10 * time.Minute: true} {
		_ = db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Now = tx.Now.Add(-back)
			if err := audit.Append(t.Context(), tx, entry(2)); err != nil {
				t.Fatal(err)
			}
			err := audit.Each(t.Context(), tx, func(r audit.Row) error {
				if r.Seq == 2 && strings.Contains(r.Subject, "clock_went_back") != marked {
					t.Errorf("%v back: %s", back, r.Subject)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Errorf("undo")
		})
	}
}
