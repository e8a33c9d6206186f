package sandbox_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// record is what is known of a world when its test is over, as far as possible from outside the
// product. Every end-to-end test ends with the question whether the record shows a violation of
// what must always hold; each oracle below asks for one part of it.
type record struct {
	applies    []applyExec    // Terraform apply processes, as the wrapper around Terraform saw them
	marks      []mark         // effects of resources that leave marks
	calls      []sandbox.Call // changing calls at the AWS emulator
	ledger     []ledgerRow
	executions []execution
	checks     []ghsim.CheckRun    // of all heads of all pull requests
	approvers  map[string][]string // logins by head commit, as GitHub has them
	canaries   map[string]string   // secrets by name
	texts      map[string][]byte   // whatever came out of the product, by where
	residue    []string            // what was left where nothing may be left
}

// applyExec is one process "terraform apply".
type applyExec struct {
	at      time.Time
	pid     int
	plan    string // digest of the plan file; empty if there was none
	dir     string // where it works, which names the project
	planned string // the path of the plan, which names the execution
}

// mark is one effect of one resource.
type mark struct{ plan, address string }

type ledgerRow struct {
	At      time.Time
	Action  string
	Outcome string
	Subject struct {
		Execution  string
		Repository int64
		Pull       int
		Head       string
		Base       string
		Plan       string
		Effect     string
		Policies   string
		Approvers  []struct{ Login string }
	}
}

type execution struct {
	id, plan, project, state, head, proof string
	resolved                              string // what a person says of an unknown end
}

// violations are what all oracles find.
func (r record) violations() []string {
	return slices.Concat(r.effects(), r.leaks(), r.untruths(), r.unauthorised(), r.residue)
}

// effects is oracle O1: no plan has two sets of effects.
func (r record) effects() (bad []string) {
	applies, marks := map[string]int{}, map[mark]int{}
	for _, a := range r.applies {
		if applies[a.plan]++; applies[a.plan] == 2 {
			bad = append(bad, fmt.Sprintf("O1: plan %.12s was applied twice", a.plan))
		}
	}
	for _, m := range r.marks {
		if marks[m]++; marks[m] == 2 {
			bad = append(bad, fmt.Sprintf("O1: plan %.12s has done %s twice", m.plan, m.address))
		}
		if m.plan == "" {
			bad = append(bad, "O1: "+m.address+" was done without a plan")
		}
	}
	there := map[string]int{}
	for _, c := range r.calls {
		what, made := strings.CutPrefix(c.Action, "Create")
		gone, deleted := strings.CutPrefix(c.Action, "Delete")
		switch key := c.Service + " " + cmp.Or(what, gone) + " " + c.Resource; {
		case c.Status >= 300 || c.Resource == "":
		case deleted:
			there[c.Service+" "+gone+" "+c.Resource] = 0
		case made:
			if there[key]++; there[key] == 2 {
				bad = append(bad, "O1: the emulator was asked twice to create "+key)
			}
		}
	}
	return bad
}

// leaks is oracle O2: no secret comes out, in whatever form.
func (r record) leaks() (bad []string) {
	needles := map[string][]string{}
	for name, secret := range r.canaries {
		needles[name] = disguises(secret)
	}
	for _, where := range sorted(r.texts) {
		for form, text := range views(r.texts[where]) {
			for _, name := range sorted(needles) {
				if needle := firstIn(text, needles[name]); needle != "" {
					bad = append(bad, fmt.Sprintf("O2: %s came out in %s (%s) as %.20s…", name, where, form, needle))
				}
			}
		}
	}
	return bad
}

// conclusions are what the check of an apply may conclude for each state of its execution.
var conclusions = map[string][]string{
	"applied": {"success"}, "failed_clean": {"failure"}, "failed_partial": {"failure"}, "unknown": {"action_required", "failure"},
}

// untruths is oracle O3: each check is there once and has ended, as the database says.
func (r record) untruths() (bad []string) {
	shown := map[string]int{}
	for _, c := range r.checks {
		at := fmt.Sprintf("check %q of %.7s", c.Name, c.HeadSHA)
		if c.Status != "completed" {
			bad = append(bad, fmt.Sprintf("O3: %s is %s for ever: %s", at, c.Status, c.Title))
		}
		key := c.HeadSHA + c.Name + c.ExternalID
		if shown[key]++; shown[key] == 2 {
			bad = append(bad, "O3: "+at+" was made twice")
		}
	}
	for _, x := range r.executions {
		i := slices.IndexFunc(r.checks, func(c ghsim.CheckRun) bool { return c.ExternalID == x.id })
		if i < 0 {
			bad = append(bad, "O3: no check tells of the "+x.state+" apply of "+x.project)
			continue
		}
		c, may := r.checks[i], conclusions[x.state]
		if x.resolved == "applied" {
			may = conclusions["applied"]
		}
		if x.proof != "" { // the policies have looked at the result, or could not
			may = append(slices.Clone(may), "failure", "action_required")
		}
		if !slices.Contains(may, c.Conclusion) || c.HeadSHA != x.head {
			bad = append(bad, fmt.Sprintf("O3: check %q of %.7s concluded %q, and the apply of %.7s is %s", c.Name, c.HeadSHA, c.Conclusion, x.head, x.state))
		}
	}
	return bad
}

// unauthorised is oracle O4: each apply has an earlier row in the ledger that says who allowed what.
func (r record) unauthorised() (bad []string) {
	for _, a := range r.applies {
		allowed := func(row ledgerRow) bool {
			return row.Action == "apply" && row.Outcome == "allowed" && row.Subject.Execution != "" && strings.Contains(a.planned, "/"+row.Subject.Execution+"/")
		}
		i := slices.IndexFunc(r.ledger, allowed)
		if i < 0 {
			bad = append(bad, fmt.Sprintf("O4: Terraform applied %q, which nobody had allowed", a.planned))
			continue
		}
		row := r.ledger[i]
		if !row.At.Before(a.at) {
			bad = append(bad, fmt.Sprintf("O4: execution %s was allowed at %s and applied before it, at %s", row.Subject.Execution, row.At, a.at))
		}
		s := row.Subject
		if s.Repository == 0 || s.Pull == 0 || s.Head == "" || s.Base == "" || s.Plan == "" || s.Effect == "" || s.Policies == "" {
			bad = append(bad, fmt.Sprintf("O4: the row of execution %s does not say what was allowed: %+v", s.Execution, s))
		}
		for _, u := range s.Approvers {
			if !slices.Contains(r.approvers[s.Head], u.Login) {
				bad = append(bad, fmt.Sprintf("O4: the row of execution %s says that %s has approved %.7s, and GitHub does not", s.Execution, u.Login, s.Head))
			}
		}
	}
	return bad
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (r *ledgerRow) fill(at, subject string) (err error) {
	if r.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return err
	}
	return json.Unmarshal([]byte(subject), &r.Subject)
}
