package sandbox_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// blameless is the record of a world in which one plan was approved and applied.
func blameless() record {
	allowed := ledgerRow{At: time.Unix(100, 0), Action: "apply", Outcome: "allowed"}
	s := &allowed.Subject
	s.Execution, s.Repository, s.Pull, s.Head, s.Base, s.Plan, s.Effect, s.Policies = "e1", 7, 1, "abc", "def", "p1", "sha256:1", "sha256:2"
	s.Approvers = []struct{ Login string }{{"grace"}}
	return record{
		applies:    []applyExec{{time.Unix(101, 0), 1, "digest", "/data/executions/e1/tree/app", "/data/executions/e1/plan.tfplan"}},
		marks:      []mark{{"digest", "terraform_data.a"}, {"digest", "terraform_data.b"}},
		calls:      []sandbox.Call{{Service: "s3", Action: "CreateBucket", Resource: "b", Status: 200}},
		ledger:     []ledgerRow{allowed},
		executions: []execution{{"e1", "p1", "app", "applied", "abc", "", ""}},
		checks: []ghsim.CheckRun{
			{Name: "tollgate", HeadSHA: "abc", Status: "completed", Conclusion: "success", ExternalID: "r1/tollgate"},
			{Name: "tollgate/apply: app", HeadSHA: "abc", Status: "completed", Conclusion: "success", ExternalID: "e1"}},
		approvers: map[string][]string{"abc": {"grace"}},
		canaries:  map[string]string{"variable": canary("variable")},
		texts:     map[string][]byte{"the server's log": []byte("nothing of interest")},
	}
}

// An oracle that never speaks proves nothing: each violation is put into a record that has none.
func TestOraclesSeeViolations(t *testing.T) {
	t.Parallel()
	if v := (func() []string { r := blameless(); return r.violations() })(); len(v) != 0 {
		t.Fatalf("violations in a record without any: %q", v)
	}
	for name, c := range map[string]struct {
		want   string
		doctor func(*record)
	}{
		"a plan applied twice":    {"O1: plan digest was applied twice", func(r *record) { r.applies = append(r.applies, r.applies[0]) }},
		"an effect twice":         {"O1: plan digest has done terraform_data.a twice", func(r *record) { r.marks = append(r.marks, r.marks[0]) }},
		"an effect of no plan":    {"O1: terraform_data.c was done without a plan", func(r *record) { r.marks = append(r.marks, mark{"", "terraform_data.c"}) }},
		"created twice":           {"O1: the emulator was asked twice", func(r *record) { r.calls = append(r.calls, r.calls[0]) }},
		"a check that never ends": {"O3: check \"tollgate\" of abc is in_progress", func(r *record) { r.checks[0].Status = "in_progress" }},
		"a check twice":           {"O3: check \"tollgate\" of abc was made twice", func(r *record) { r.checks = append(r.checks, r.checks[0]) }},
		"a check that lies":       {"concluded \"success\", and the apply of abc is unknown", func(r *record) { r.executions[0].state = "unknown" }},
		"a check that does not believe": {"concluded \"failure\", and the apply of abc is unknown", func(r *record) {
			r.executions[0].state, r.executions[0].resolved, r.checks[1].Conclusion = "unknown", "applied", "failure"
		}},
		"a check on another commit":     {"the apply of fff is applied", func(r *record) { r.executions[0].head = "fff" }},
		"an apply without a check":      {"O3: no check tells", func(r *record) { r.checks = r.checks[:1] }},
		"nobody allowed it":             {"O4: Terraform applied", func(r *record) { r.ledger = nil }},
		"it was refused":                {"O4: Terraform applied", func(r *record) { r.ledger[0].Outcome = "refused" }},
		"allowed afterwards":            {"O4: execution e1 was allowed at", func(r *record) { r.ledger[0].At = time.Unix(102, 0) }},
		"the row does not say the base": {"O4: the row of execution e1 does not say", func(r *record) { r.ledger[0].Subject.Base = "" }},
		"an approval out of thin air":   {"O4: the row of execution e1 says that grace", func(r *record) { r.approvers = nil }},
		"something is left":             {"O5: process", func(r *record) { r.residue = []string{"O5: process 7 is left"} }},
	} {
		r := blameless()
		c.doctor(&r)
		if v := r.violations(); !slices.ContainsFunc(v, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("%s: the oracles say %q, want %q", name, v, c.want)
		}
	}
	// Of what a person has found out the check tells.
	r := blameless()
	r.executions[0].state, r.executions[0].resolved = "unknown", "applied"
	if v := r.violations(); len(v) != 0 {
		t.Errorf("resolved: %q", v)
	}
	// What is deleted may be created again, and what failed was not created.
	r = blameless()
	r.calls = append(r.calls, sandbox.Call{Service: "s3", Action: "CreateBucket", Resource: "b", Status: 409},
		sandbox.Call{Service: "s3", Action: "DeleteBucket", Resource: "b", Status: 204}, r.calls[0])
	if v := r.violations(); len(v) != 0 {
		t.Errorf("created again after its end: %q", v)
	}
}

func TestCanariesAreSeenInEveryDisguise(t *testing.T) {
	t.Parallel()
	secret := canary("variable")
	backwards := []byte(secret)
	slices.Reverse(backwards)
	zip := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, s)
		z.Close()
		return b.String()
	}
	for name, text := range map[string]string{
		"raw":                secret,
		"reversed":           string(backwards),
		"hexadecimal":        hex.EncodeToString([]byte(secret)),
		"HEXADECIMAL":        strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"query":              url.QueryEscape(secret),
		"path":               url.PathEscape(secret),
		"base64":             base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 one on":      base64.StdEncoding.EncodeToString([]byte("." + secret + ".")),
		"base64 two on":      base64.StdEncoding.EncodeToString([]byte(".." + secret + "..")),
		"base64 for URLs":    base64.URLEncoding.EncodeToString([]byte("." + secret)),
		"gzip":               zip(secret),
		"gzip in base64":     base64.StdEncoding.EncodeToString([]byte(zip(secret))),
		"over lines":         secret[:7] + "\n" + secret[7:19] + "\r\n\t" + secret[19:],
		"over lines of JSON": secret[:7] + `\n` + secret[7:],
		"base64 over lines":  base64.StdEncoding.EncodeToString([]byte(secret))[:30] + "\n" + base64.StdEncoding.EncodeToString([]byte(secret))[30:],
	} {
		r := blameless()
		r.texts["page /"] = []byte("<p>before " + text + " behind</p>")
		if v := r.violations(); len(v) == 0 || !strings.HasPrefix(v[0], "O2: variable came out in page /") {
			t.Errorf("%s: the oracles say %q", name, v)
		}
	}
}

// A witness that does not see what there is would let every oracle be silent. Here a world is damaged
// after its test, a bit at a time, and the oracles have to say so.
func TestOraclesSeeADamagedWorld(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w, witness := startUnjudged(t, sandbox.Config{Terraform: found.Terraform, Files: small(one)})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate/apply: app", "success")
	if v, err := witness.violations(t.Context(), w); err != nil || len(v) != 0 {
		t.Fatalf("violations before there are any: %q, %v", v, err)
	}
	secret := witness.canaries["environment"]
	log := readFile(w.Bot.Log)
	for _, c := range []struct {
		want   string
		damage func()
	}{
		{"O1: plan", func() {
			lines := readFile(filepath.Join(witness.notes(), "applies"))
			write(t, filepath.Join(witness.notes(), "applies"), lines+lines)
		}},
		{"O2: environment came out in the server's log", func() { write(t, w.Bot.Log, log+base64.StdEncoding.EncodeToString([]byte(secret))) }},
		{"O2: environment came out in column deliveries.event", func() {
			onDatabase(t, w, `insert into deliveries (id, meaning, event, received_at) values ('1', '1', '`+secret+`', 1)`)
		}},
		{"O2: environment came out in request to GitHub GET /acme/", func() {
			resp, err := http.Get(w.GitHub.URL() + "/acme/payments.git/info/refs?service=" + hex.EncodeToString([]byte(secret)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}},
		{"O3: check \"tollgate/apply: app\"", func() { onDatabase(t, w, `update executions set state = 'unknown'`) }},
		{"O3: no check tells", func() { onDatabase(t, w, `update executions set id = 'e2'`) }},
		{"O4: Terraform applied", func() {
			onDatabase(t, w, `drop trigger audit_no_update`, `update audit set outcome = 'refused' where action = 'apply'`)
		}},
		{"O5: a plan in clear", func() { write(t, filepath.Join(dataDir(w), "kept"), "PK\x03\x04 tfplan") }},
		{"O5: left behind", func() {
			if err := os.MkdirAll(filepath.Join(dataDir(w), "work", "1", "tree"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"O5: process", func() {
			cmd := exec.CommandContext(t.Context(), "sleep", "600") // ends with the test
			cmd.Dir = dataDir(w)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Wait() })
		}},
	} {
		c.damage()
		v, err := witness.violations(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(v, func(s string) bool { return strings.HasPrefix(s, c.want) }) {
			t.Errorf("the oracles say %q, want %q", v, c.want)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
