package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	policy "github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// lenient are flags by which the code of a test may run provisioners and read a state from the test's own
// server or files. Everything else is refused as ever. Places are where the code gets to in spite of
// the sandbox: addresses of servers, and paths that it may change.
func lenient(t testing.TB, places ...string) []string {
	t.Helper()
	return append(outside(places...), organisation(t, map[string]string{
		"source/execution/levels.yaml": "levels:\n  provisioner: warn\n  file-path: warn\n",
		"source/state/levels.yaml":     "levels:\n  remote-state: warn\n",
	})...)
}

// outside are flags for places that plans and applies get to beside their rooms: addresses of servers,
// and paths, which they may change. A path has to be there when the server is asked to plan.
func outside(places ...string) (flags []string) {
	for _, p := range places {
		if host, ok := strings.CutPrefix(p, "http://"); ok {
			flags = append(flags, "--egress="+host)
		} else {
			flags = append(flags, "--sandbox-paths="+p+":rw")
		}
	}
	return flags
}

// organisation are flags for policies of an organisation.
func organisation(t testing.TB, files map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := policy.Read("organisation", os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--organisation-policies=" + dir, "--organisation-policies-digest=" + set.Digest}
}

// recorder is a Terraform that notes every start, and the flags by which it can.
func recorder(t *testing.T, terraform string) (program string, flags []string, started func() string) {
	t.Helper()
	dir := t.TempDir()
	program, log := filepath.Join(dir, "terraform"), filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>'%s'\nexec '%s' \"$@\"\n", log, terraform)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, append(outside(dir), "--sandbox-paths="+terraform), func() string {
		b, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "version") { // asked once, when the server starts
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
}

// Nothing of a pull request that the source gate refuses is run; its twin is planned.
//
// Covers: T39, T40, T41, T44, T45, T47, T48, T53, T68, T70
func TestNothingOfRefusedCodeIsRun(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	program, flags, started := recorder(t, found.Terraform)
	canary := filepath.Join(t.TempDir(), "canary")
	w := start(t, sandbox.Config{Terraform: program, Files: small(one), Args: append(flags, outside(filepath.Dir(canary))...)})
	cases := []struct {
		branch     string
		files      map[string]string
		rule, file string
		line       int
	}{
		{"external", map[string]string{"app/evil.tf": "data \"external\" \"x\" {\n  program = [\"touch\", \"" + canary + "\"]\n}\n"}, "source.execution/data-source", "app/evil.tf", 1},
		{"provisioner", map[string]string{"app/evil.tf": "resource \"terraform_data\" \"b\" {\n  provisioner \"local-exec\" {\n    command = \"touch " + canary + "\"\n  }\n}\n"}, "source.execution/provisioner", "app/evil.tf", 2},
		{"odd-name", map[string]string{"app/#evil.tf": "resource \"terraform_data\" \"b\" {\n  provisioner \"local-exec\" {\n    command = \"touch " + canary + "\"\n  }\n}\n"}, "source.execution/provisioner", "app/#evil.tf", 2},
		{"plugin", map[string]string{"app/terraform.d/plugins/registry.terraform.io/evil/evil/1.0.0/linux_amd64/terraform-provider-evil_v1.0.0": "#!/bin/sh\ntouch " + canary + "\n"}, "source.tree/committed", "app/terraform.d/plugins/registry.terraform.io/evil/evil/1.0.0/linux_amd64/terraform-provider-evil_v1.0.0", 1},
		{"environ", map[string]string{"app/evil.tf": "output \"x\" {\n  value = filebase64(\"/proc/self/environ\")\n}\n"}, "source.execution/file-path", "app/evil.tf", 2},
		{"module", map[string]string{"app/evil.tf": "module \"m\" {\n  source = \"git::" + w.GitHub.URL() + "/acme/payments.git?ref=main\"\n}\n"}, "source.modules/module-source", "app/evil.tf", 2},
		{"backend", map[string]string{"app/evil.tf": "terraform {\n  backend \"local\" {\n    path = \"../stolen.tfstate\"\n  }\n}\n"}, "source.state/backend-moved", "app/evil.tf", 2},
	}
	pulls := make([]*ghsim.Pull, len(cases))
	for i, c := range cases {
		pulls[i] = propose(t, w, c.branch, c.files)
	}
	for i, c := range cases {
		head := pulls[i].Info().HeadSHA
		check := want(t, w, head, "tollgate/plan: app", "failure")
		if !strings.HasPrefix(check.Title, "Not run: the code is refused") {
			t.Errorf("%s: the title is %q", c.branch, check.Title)
		}
		gateCheck := want(t, w, head, "tollgate", "failure")
		if !strings.HasPrefix(gateCheck.Title, "Not run: the code is refused") {
			t.Errorf("%s: the title of the gate is %q", c.branch, gateCheck.Title)
		}
		marked := false
		for _, a := range check.Annotations {
			marked = marked || a.Path == c.file && a.StartLine == c.line && strings.Contains(a.Title, c.rule)
		}
		if !marked {
			t.Errorf("%s: no annotation of %s at %s:%d: %+v", c.branch, c.rule, c.file, c.line, check.Annotations)
		}
	}
	if ran := started(); ran != "" {
		t.Errorf("Terraform was started:\n%s", ran)
	}
	if _, err := os.Stat(canary); !os.IsNotExist(err) {
		t.Error("code of a refused pull request was run")
	}
	fine := propose(t, w, "fine", map[string]string{"app/evil.tf": "output \"x\" {\n  value = filebase64(\"${path.module}/main.tf\")\n}\n"})
	want(t, w, fine.Info().HeadSHA, "tollgate", "success")
	if ran := started(); !strings.Contains(ran, "plan") {
		t.Errorf("the twin was not planned; Terraform was started:\n%s", ran)
	}
	approve(t, pulls[0])
	refused(t, pulls[0], sandbox.Author, "/apply", "is refused, so nothing of it is run")
	notApplied(t, w, pulls[0])
}

// The apply judges the code again, by the policies as they are by then. A repository's own rules are read
// from its base branch, and the pull request cannot take them away.
//
// Covers: T59, T60, T65
func TestCodeIsJudgedAgainAtTheApply(t *testing.T) {
	t.Parallel()
	const rule = "package source.house\n\ndeny contains {\"msg\": \"No data here.\", \"file\": r.file, \"line\": r.line, \"address\": r.address} if {\n\tsome r in input.resources\n\tr.name == \"b\"\n}\n"
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(one)}, "policies/source/house.rego": {Data: []byte(strings.Replace(rule, `"b"`, `"other"`, 1))}}})
	p := propose(t, w, "b", map[string]string{"app/b.tf": "resource \"terraform_data\" \"b\" {}\n", "policies/source/house.rego": strings.Replace(rule, `"b"`, `"none"`, 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate/plan: app", "success")
	approve(t, p)
	push(t, w, "main", "policies/source/second.rego", strings.Replace(rule, "source.house", "source.second", 1))
	refused(t, p, sandbox.Author, "/apply", "is refused, so nothing of it is run")
	notApplied(t, w, p)
}

// What an organisation lists may run, and nothing else of the same kind.
//
// Covers: T47
func TestOrganisationListsAProvisioner(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	code := func(command string) string {
		return "resource \"terraform_data\" \"b\" {\n  provisioner \"local-exec\" {\n    command = \"" + command + "\"\n  }\n}\n"
	}
	described := hclsource.Describe(hclsource.DocumentRoot{Dir: "."}, hclsource.Tree{FS: fstest.MapFS{"b.tf": {Data: []byte(code("true"))}}}, nil)
	parameters, err := json.Marshal(map[string]any{"parameters": map[string]any{"provisioners": []string{described.Provisioners[0].Digest}, "refused_data": []string{}, "files": []string{}}})
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: small(one),
		Args: organisation(t, map[string]string{"source/execution/parameters.yaml": string(parameters)})})
	listed := propose(t, w, "listed", map[string]string{"app/b.tf": code("true")})
	other := propose(t, w, "other", map[string]string{"app/b.tf": code("false")})
	want(t, w, listed.Info().HeadSHA, "tollgate", "success")
	want(t, w, other.Info().HeadSHA, "tollgate", "failure")
}
