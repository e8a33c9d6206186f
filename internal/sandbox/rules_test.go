package sandbox_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	rego "github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// startWith starts a world whose repository holds these files.
func startWith(t *testing.T, files map[string]string, args ...string) *sandbox.World {
	t.Helper()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return start(t, sandbox.Config{Terraform: found.Terraform, Files: fsys, Args: args})
}

// named is house with a rule that has an id, so that it can be waived.
const named = `package plan.house

judged contains {"rule": "no-two", "address": r.address} if some r in input.resource_changes

deny contains {"rule": "no-two", "address": r.address, "attribute": "input", "msg": "Two is not allowed here."} if {
	some r in input.resource_changes
	r.change.after.input == "two"
}
`

func waivers(expires time.Time, address string) string {
	return fmt.Sprintf(`waivers:
  - rule: plan.house/no-two
    address: %s
    reason: Two is needed until the terminals are replaced.
    owner: "@ada"
    expires: %s
`, address, expires.Format(time.DateOnly))
}

// A waiver counts on the base branch only, and only until its day is over.
func TestWaivers(t *testing.T) {
	t.Parallel()
	tomorrow, yesterday := time.Now().UTC().AddDate(0, 0, 1), time.Now().UTC().AddDate(0, 0, -1)
	two := strings.Replace(one, "one", "two", 1)
	w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/house.rego": named})
	// The pull request's own waiver does not hold for itself.
	own := propose(t, w, "own", map[string]string{"app/main.tf": two, "policies/waivers.yaml": waivers(tomorrow, "terraform_data.a")})
	want(t, w, own.Info().HeadSHA, "tollgate/plan: app", "failure")

	push(t, w, "main", "policies/waivers.yaml", waivers(yesterday, "terraform_data.a"))
	late := propose(t, w, "late", map[string]string{"app/main.tf": two})
	c := want(t, w, late.Info().HeadSHA, "tollgate/plan: app", "failure")
	if !strings.Contains(c.Summary, "expired on "+yesterday.Format(time.DateOnly)) {
		t.Errorf("the check does not say that a waiver has expired:\n%s", c.Summary)
	}

	push(t, w, "main", "policies/waivers.yaml", waivers(tomorrow, "terraform_data.a"))
	fine := propose(t, w, "fine", map[string]string{"app/main.tf": two})
	c = want(t, w, fine.Info().HeadSHA, "tollgate/plan: app", "success")
	if !strings.Contains(c.Summary, "Waived: 1 finding") {
		t.Errorf("the check does not show what is waived:\n%s", c.Summary)
	}
	// What was waived is applied only as long as the waiver holds.
	approve(t, fine)
	push(t, w, "main", "policies/waivers.yaml", waivers(yesterday, "terraform_data.a"))
	refused(t, fine, sandbox.Author, "/apply", "Every policy passed")
	notApplied(t, w, fine)
	push(t, w, "main", "policies/waivers.yaml", waivers(tomorrow, "terraform_data.a"))
	if _, err := fine.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, fine.Info().HeadSHA, "tollgate/apply: app", "success")
}

// A waiver that nothing needs any longer is told of.
func TestOrphanedWaiver(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/house.rego": named,
		"policies/waivers.yaml": waivers(time.Now().UTC().AddDate(0, 0, 1), "terraform_data.gone")})
	p := propose(t, w, "three", map[string]string{"app/main.tf": strings.Replace(one, "one", "three", 1)})
	c := want(t, w, p.Info().HeadSHA, "tollgate", "success")
	if !strings.Contains(c.Summary, "matches no finding") {
		t.Errorf("the check does not tell of the waiver:\n%s", c.Summary)
	}
}

// A pull request that edits policies shows whose verdict would change, and stays closed while their
// own tests fail.
func TestPreviewOfPolicies(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/house.rego": named})
	three := propose(t, w, "three", map[string]string{"app/main.tf": strings.Replace(one, "one", "three", 1)})
	want(t, w, three.Info().HeadSHA, "tollgate", "success")

	const test = `package plan.house_test

import data.plan.house

test_three if count(house.deny) == %d with input as {"resource_changes": [{"address": "a", "change": {"after": {"input": "three"}}}]}
`
	stricter := strings.ReplaceAll(named, `"two"`, `"three"`)
	good := propose(t, w, "good", map[string]string{"policies/plan/house.rego": stricter, "policies/plan/house_test.rego": fmt.Sprintf(test, 1) + "\ntodo_test_later if false\n"})
	c := want(t, w, good.Info().HeadSHA, "tollgate", "success")
	for _, words := range []string{"1 test passed", "1 test skipped", "Newly denied: 1 resource", "terraform_data.a", "as last planned in #1"} {
		if !strings.Contains(c.Summary, words) {
			t.Errorf("the check does not say %q:\n%s", words, c.Summary)
		}
	}
	onlyWaivers := propose(t, w, "waivers", map[string]string{"policies/waivers.yaml": waivers(time.Now().UTC().AddDate(0, 0, 1), "terraform_data.a")})
	want(t, w, onlyWaivers.Info().HeadSHA, "tollgate", "success")
	bad := propose(t, w, "bad", map[string]string{"policies/plan/house.rego": stricter, "policies/plan/house_test.rego": fmt.Sprintf(test, 0)})
	c = want(t, w, bad.Info().HeadSHA, "tollgate", "failure")
	if !strings.Contains(c.Summary, "test_three") {
		t.Errorf("the check does not name the test:\n%s", c.Summary)
	}
	broken := propose(t, w, "broken", map[string]string{"policies/plan/house.rego": "package plan.house\n\ndeny contains"})
	c = want(t, w, broken.Info().HeadSHA, "tollgate", "failure")
	if !strings.Contains(c.Summary, "does not parse") {
		t.Errorf("the check does not say what is wrong:\n%s", c.Summary)
	}
}

// open is a policy that a plan cannot answer: what it looks at is known only after the apply.
const open = `package plan.open

subjects contains r if {
	some r in input.resource_changes
	r.type == "terraform_data"
}

judged contains {"rule": "output", "address": r.address} if some r in subjects

warn contains {"rule": "output", "address": r.address, "attribute": "input", "verdict": "undetermined", "msg": "The output is not known yet."} if {
	some r in subjects
	r.change.after_unknown.output
}

deny contains {"rule": "output", "address": r.address, "attribute": "input", "msg": "The output is bad."} if {
	some r in subjects
	r.change.after.output == "bad"
}
`

// What a plan leaves open is judged again on what the apply made.
func TestObligations(t *testing.T) {
	t.Parallel()
	for value, expected := range map[string]struct{ conclusion, words string }{
		"good": {"success", "1 of 1 met"},
		"bad":  {"failure", "broken. The output is bad"},
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/open.rego": open})
			p := propose(t, w, value, map[string]string{"app/main.tf": strings.Replace(one, "one", value, 1)})
			c := want(t, w, p.Info().HeadSHA, "tollgate/plan: app", "success")
			if !strings.Contains(c.Summary, "judged then") {
				t.Errorf("the check does not say what is open:\n%s", c.Summary)
			}
			want(t, w, p.Info().HeadSHA, "tollgate", "success")
			approve(t, p)
			if _, err := p.Merge(sandbox.Author, ghsim.Merge); err != nil {
				t.Fatal(err)
			}
			c = want(t, w, p.Info().HeadSHA, "tollgate/apply: app", expected.conclusion)
			for _, words := range []string{"nothing left to change", expected.words} {
				if !strings.Contains(c.Summary, words) {
					t.Errorf("the check does not say %q:\n%s", words, c.Summary)
				}
			}
		})
	}
}

// An organisation's policies and a repository's add up, and neither can take the other's away.
func TestOrganisationsPolicies(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "plan"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plan", "house.rego"), []byte(named), 0o644); err != nil {
		t.Fatal(err)
	}
	fsys, err := rego.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := rego.Read("organisation", fsys)
	if err != nil {
		t.Fatal(err)
	}
	// The repository's set has a package of the same name, whose rule never denies.
	never := strings.ReplaceAll(named, `"two"`, `"never"`)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(one)}, "policies/plan/house.rego": {Data: []byte(never)},
		"policies/plan/own.rego": {Data: []byte(strings.NewReplacer("main", "own", "two", "three").Replace(house))},
	}, Args: []string{"--organisation-policies=" + dir, "--organisation-policies-digest=" + bundle.Digest}})
	for value, conclusion := range map[string]string{"two": "failure", "three": "failure", "four": "success"} {
		p := propose(t, w, value, map[string]string{"app/main.tf": strings.Replace(one, "one", value, 1)})
		want(t, w, p.Info().HeadSHA, "tollgate/plan: app", conclusion)
	}
	// Policies that have become stricter since the check was green refuse the apply, and only they.
	strict := w.Bot.Args
	restart := func(args []string) {
		t.Helper()
		if err := w.Bot.Stop(); err != nil {
			t.Fatal(err)
		}
		w.Bot.Args = args
		if err := w.Bot.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	restart(slices.DeleteFunc(slices.Clone(strict), func(arg string) bool { return strings.HasPrefix(arg, "--organisation-") }))
	p := propose(t, w, "lax", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate/plan: app", "success")
	approve(t, p)
	lax := w.Bot.Args
	restart(strict)
	refused(t, p, sandbox.Author, "/apply", "Every policy passed")
	notApplied(t, w, p)
	restart(lax)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate/apply: app", "success")
}

// Rules that nobody has reviewed must not tell what Terraform keeps to itself.
//
// Covers: T54
func TestPreviewTellsNoSecrets(t *testing.T) {
	t.Parallel()
	const secret = "variable \"pin\" {\n  default = \"canary-4711\"\n  sensitive = true\n}\n\nresource \"terraform_data\" \"b\" {\n  input = [var.pin, \"in the open\"]\n}\n"
	w := startWith(t, map[string]string{"app/main.tf": one, "app/secret.tf": secret})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	evil := propose(t, w, "evil", map[string]string{"policies/plan/evil.rego": `package evil

deny contains {"address": r.address, "msg": json.marshal(r.change)} if some r in input.resource_changes

deny contains {"address": "state", "msg": json.marshal([input.planned_values, input.variables])}
`})
	c := want(t, w, evil.Info().HeadSHA, "tollgate", "success")
	if strings.Contains(c.Summary, "canary-4711") {
		t.Errorf("the check tells a secret:\n%s", c.Summary)
	}
	if !strings.Contains(c.Summary, "in the open") {
		t.Errorf("the policy was not tried:\n%s", c.Summary)
	}
}

// A run that serves an apply does not look at the policies again, and must not make broken ones look sound.
func TestBrokenPoliciesStayTold(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/house.rego": named})
	for name, policy := range map[string]string{"broken": "package plan.house\n\ndeny contains", "sound": named + "\n# Nothing new.\n"} {
		conclusion := map[string]string{"broken": "failure", "sound": "success"}[name]
		p := propose(t, w, name, map[string]string{"app/" + name + ".tf": "resource \"terraform_data\" \"" + name + "\" {}\n", "policies/plan/house.rego": policy})
		head := p.Info().HeadSHA
		want(t, w, head, "tollgate", conclusion)
		approve(t, p)
		push(t, w, "main", "docs/"+name, name)
		if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
			t.Fatal(err)
		}
		want(t, w, head, "tollgate/apply: app", "success")
		want(t, w, head, "tollgate", conclusion)
	}
}

// What the base forbids by now is not applied, though it was merged before.
func TestAMergedChangeIsJudgedByTheBaseOfToday(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one})
	w.Repo.Protect("main", ghsim.Protection{})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	before := len(p.Comments())
	if _, err := p.Merge(sandbox.Author, ghsim.Merge); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the merge without approval is refused", func() bool { return len(p.Comments()) > before })
	approve(t, p)
	push(t, w, "main", "policies/plan/house.rego", named)
	refused(t, p, sandbox.Author, "/apply", "Every policy passed")
	notApplied(t, w, p)
	push(t, w, "main", "policies/plan/house.rego", strings.ReplaceAll(named, `"two"`, `"three"`))
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate/apply: app", "success")
}

// If nobody could look at the result, the apply is not called good while policies are open.
func TestAResultThatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	// After the apply the condition fails, and with it every plan.
	const once = one + `
resource "terraform_data" "marker" {
  provisioner "local-exec" {
    command = "touch %s"
  }
}

data "terraform_remote_state" "gone" {
  backend = "local"
  config  = { path = fileexists("%s") ? "/nowhere" : "%s" }
}
`
	for name, policy := range map[string]string{"open": open, "nothing open": house} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			marker, state := filepath.Join(dir, "marker"), filepath.Join(dir, "state")
			if err := os.WriteFile(state, []byte(`{"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "a", "outputs": {}, "resources": []}`), 0o644); err != nil {
				t.Fatal(err)
			}
			w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/a.rego": policy}, lenient(t, dir)...)
			p := propose(t, w, "blind", map[string]string{"app/main.tf": fmt.Sprintf(once, marker, marker, state)})
			want(t, w, p.Info().HeadSHA, "tollgate", "success")
			approve(t, p)
			if _, err := p.Merge(sandbox.Author, ghsim.Merge); err != nil {
				t.Fatal(err)
			}
			conclusion := map[string]string{"open": "action_required", "nothing open": "success"}[name]
			c := want(t, w, p.Info().HeadSHA, "tollgate/apply: app", conclusion)
			if !strings.Contains(c.Summary, "The result was not looked at") {
				t.Errorf("the check does not say so:\n%s", c.Summary)
			}
		})
	}
}

// A server that is killed while it looks at the result of an apply looks again, but not for ever. The
// apply itself is neither repeated nor in doubt.
func TestServerKilledWhileItLooksAtTheResult(t *testing.T) {
	t.Parallel()
	for kills, words := range map[int]string{1: "nothing left to change", 2: "The server ended each time"} {
		t.Run(fmt.Sprint(kills, " times"), func(t *testing.T) {
			t.Parallel()
			var looks atomic.Int32
			reached, killed := make(chan struct{}, 8), make(chan struct{}, 8)
			url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if n := int(looks.Add(1)); n > 1 && n <= 1+kills { // the first is the plan before the apply
					reached <- struct{}{}
					select { // Terraform outlives the server until it has an answer
					case <-killed:
					case <-r.Context().Done():
					}
				}
				fmt.Fprint(w, `{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":{},"resources":[]}`)
			})
			w := startSmall(t, "# Empty.\n", lenient(t, url)...)
			p := propose(t, w, "waiting", map[string]string{"app/main.tf": fmt.Sprintf(waiting, url)})
			head := p.Info().HeadSHA
			want(t, w, head, "tollgate/plan: app", "success")
			approve(t, p)
			if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
				t.Fatal(err)
			}
			for range kills {
				select {
				case <-reached:
				case <-time.After(patience):
					t.Fatal("nobody looks at the result")
				}
				if c, _ := w.Repo.CheckRun(head, "tollgate/apply: app"); c.Status == "completed" {
					t.Errorf("the check is %s before the result was looked at", c.Conclusion)
				}
				if err := w.Bot.Kill(); err != nil {
					t.Fatal(err)
				}
				killed <- struct{}{}
				if err := w.Bot.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if c := want(t, w, head, "tollgate/apply: app", "success"); !strings.Contains(c.Summary, words) {
				t.Errorf("the check does not say %q:\n%s", words, c.Summary)
			}
			if n := count(processes(t, w), "apply"); n > 1 {
				t.Errorf("%d applies", n)
			}
		})
	}
}
