package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
)

// patient is a configuration whose server would be well.
type patient struct {
	sim      *ghsim.Server
	app      ghsim.App
	settings map[string]string
}

// ailment is what a test does to a GitHub before the App is there.
type ailment struct {
	app   ghsim.NewApp
	repo  ghsim.Protection
	clock func() time.Time
}

func newPatient(t *testing.T, change func(*ailment)) *patient {
	t.Helper()
	a := ailment{repo: ghsim.Protection{Checks: []string{"tollgate"}}, app: ghsim.NewApp{Slug: "tollgate", Owner: "acme", WebhookURL: "https://tollgate.example.com/webhooks/github",
		WebhookSecret: "0123456789abcdef0123456789abcdef", Permissions: maps.Clone(github.Permissions), Events: slices.Clone(github.Events)}}
	if change != nil {
		change(&a)
	}
	sim, err := ghsim.New(ghsim.Config{Dir: t.TempDir(), Clock: a.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	if _, err := sim.CreateUser(ghsim.User{Login: "ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "payments", Author: "ada", Files: fstest.MapFS{"README.md": {Data: []byte("# Payments\n")}},
		Protected: map[string]ghsim.Protection{"main": a.repo}}); err != nil {
		t.Fatal(err)
	}
	app, err := sim.CreateApp(a.app)
	if err != nil {
		t.Fatal(err)
	}
	return &patient{sim: sim, app: app, settings: map[string]string{"github-url": sim.URL(), "github-app-id": id(app.ID), "github-app-key-file": file(t, "key.pem", string(app.PrivateKey)),
		"github-webhook-secret-file": file(t, "secret", a.app.WebhookSecret), "public-url": "https://tollgate.example.com", "data-dir": private(t),
		"aws-plan-role": "arn:aws:iam::123456789012:role/plan", "aws-apply-role": "arn:aws:iam::123456789012:role/apply"}}
}

func id(n int64) string {
	b, _ := json.Marshal(n) // a number always can be
	return string(b)
}

func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p *patient) install(t *testing.T) {
	t.Helper()
	if _, err := p.sim.Install(p.app.ID, "acme"); err != nil {
		t.Fatal(err)
	}
}

func (p *patient) flags() (flags []string) {
	for name, value := range p.settings {
		flags = append(flags, "--"+name+"="+value)
	}
	return flags
}

// The doctor finds nothing where nothing is wrong, and each ailment that is brought in.
func TestDoctor(t *testing.T) {
	t.Parallel()
	hour := func() time.Time { return time.Now().Add(time.Hour) }
	for name, c := range map[string]struct {
		github func(*ailment)
		bring  func(t *testing.T, p *patient)
		want   diagnosis
	}{
		"nothing":                 {want: diagnosis{"GitHub", good, "knows the App", ""}},
		"a short secret":          {bring: secret("short"), want: diagnosis{"webhook secret", bad, "shorter than 32 bytes", "Generate one"}},
		"a poor secret":           {bring: secret(strings.Repeat("secret", 6)), want: diagnosis{"webhook secret", bad, "5 different characters", "openssl rand"}},
		"a secret for everyone":   {bring: mode("github-webhook-secret-file", 0o644), want: diagnosis{"webhook secret", fair, "Others may read", "chmod 0400"}},
		"no secret":               {bring: given("github-webhook-secret-file", "/no/such/file"), want: diagnosis{"webhook secret", bad, "cannot be read", "Check the path"}},
		"a key for everyone":      {bring: mode("github-app-key-file", 0o644), want: diagnosis{"App key", fair, "Others may read", "chmod 0400"}},
		"no key":                  {bring: write("github-app-key-file", "rubbish"), want: diagnosis{"App key", bad, "not in PEM form", ".pem file"}},
		"another App's key":       {bring: func(t *testing.T, p *patient) { write("github-app-key-file", rsaKey(t))(t, p) }, want: diagnosis{"GitHub", bad, "does not accept the App's credentials", "id and private key"}},
		"no GitHub":               {bring: given("github-url", "http://127.0.0.1:1"), want: diagnosis{"GitHub", bad, "gave no usable answer", ""}},
		"a clock":                 {github: func(a *ailment) { a.clock = hour }, want: diagnosis{"clock", bad, "GitHub's differ by", "Set the clock"}},
		"a permission":            {github: func(a *ailment) { a.app.Permissions["checks"] = "read" }, want: diagnosis{"App permissions", bad, "checks: write", "settings page"}},
		"a permission too many":   {github: func(a *ailment) { a.app.Permissions["contents"] = "write" }, want: diagnosis{"App permissions", fair, "contents: write", "Take it away"}},
		"an event":                {github: func(a *ailment) { a.app.Events = a.app.Events[1:] }, want: diagnosis{"App permissions", bad, "event issue_comment", "settings page"}},
		"no webhook":              {github: func(a *ailment) { a.app.WebhookURL = "" }, want: diagnosis{"webhook", bad, "no webhook", "settings page"}},
		"a webhook elsewhere":     {github: func(a *ailment) { a.app.WebhookURL = "https://old.example.com/webhooks/github" }, want: diagnosis{"webhook", fair, "old.example.com", "Correct one"}},
		"an unprotected branch":   {github: func(a *ailment) { a.repo.Checks = nil }, want: diagnosis{"protection", fair, "acme/payments, branch main: nothing waits", "Require"}},
		"a check of anybody's":    {want: diagnosis{"protection", fair, "whoever can write", "expected source"}},
		"no sandbox":              {bring: given("sandbox", "off"), want: diagnosis{"sandbox", fair, "It is off", "--sandbox=off"}},
		"no Terraform":            {bring: given("terraform", "/no/such/terraform"), want: diagnosis{"terraform", bad, "no Terraform program", "--terraform"}},
		"an old Terraform":        {bring: program(`{"terraform_version": "1.9.0"}`), want: diagnosis{"terraform", bad, "is 1.9.0", "newer"}},
		"no mirror":               {bring: given("provider-mirror", "/no/such/mirror"), want: diagnosis{"provider mirror", bad, "holds no providers", "Correct the path"}},
		"no roles":                {bring: given("aws-plan-role", ""), want: diagnosis{"credentials", fair, "the server's own credentials", "--aws-plan-role"}},
		"an open data directory":  {bring: func(t *testing.T, p *patient) { chmod(t, p.settings["data-dir"], 0o755) }, want: diagnosis{"data directory", fair, "mode 0755", "chmod 0700"}},
		"no data directory":       {bring: func(_ *testing.T, p *patient) { p.settings["data-dir"] += "/later" }, want: diagnosis{"data directory", good, "at the first start", ""}},
		"a file in its place":     {bring: func(_ *testing.T, p *patient) { p.settings["data-dir"] = p.settings["github-app-key-file"] }, want: diagnosis{"data directory", bad, "cannot be written", "--data-dir"}},
		"a damaged database":      {bring: beside("tollgate.db", "This is no database."), want: diagnosis{"database", bad, "cannot be opened", ""}},
		"a damaged artifact key":  {bring: beside("artifact.key", "rubbish"), want: diagnosis{"artifact key", bad, "malformed", "backup"}},
		"an artifact key at hand": {bring: beside("artifact.key", strings.Repeat("0f", 32)), want: diagnosis{"artifact key", fair, "lies beside the plans", "Keep it elsewhere"}},
		"a setting":               {bring: given("workers", "-1"), want: diagnosis{"configuration", bad, "--workers is negative", "Use 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t, c.github)
			p.install(t)
			if c.bring != nil {
				c.bring(t, p)
			}
			got := call{}.bot(t, append([]string{"doctor", "--json"}, p.flags()...)...)
			var answer struct {
				OK     bool
				Checks []diagnosis
			}
			if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil {
				t.Fatalf("%v\n%s%s", err, got.stdout, got.stderr)
			}
			said := slices.ContainsFunc(answer.Checks, func(d diagnosis) bool {
				return d.Check == c.want.Check && d.Level == c.want.Level && strings.Contains(d.Text, c.want.Text) && strings.Contains(d.Fix, c.want.Fix)
			})
			if fails := c.want.Level == bad; !said || answer.OK == fails || (got.status == 1) != fails {
				t.Errorf("exit status %d, want %+v in\n%s%s", got.status, c.want, got.stdout, got.stderr)
			}
			for _, d := range answer.Checks {
				if d.Level != good && d.Fix == "" && d.Check != "GitHub" && d.Check != "database" {
					t.Errorf("%s: what to do is not said: %s", d.Check, d.Text)
				}
				if strings.Contains(d.Text+d.Fix, "0123456789abcdef") {
					t.Errorf("a secret is shown: %+v", d)
				}
			}
		})
	}
}

// An App that is installed nowhere guards nothing.
func TestDoctorOfAnAppThatIsNotInstalled(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	call{}.bot(t, append([]string{"doctor"}, p.flags()...)...).expect(t, 0, "warn  installation     The App is installed nowhere.", "→ Install it", "Nothing fails")
}

func TestDoctorWithoutSettingsLooksAtTheMachine(t *testing.T) {
	t.Parallel()
	call{}.bot(t, "doctor").expect(t, 1, "fail  configuration    The setting --data-dir is missing.", "git ", "sandbox", "4 things fail.")
}

func given(name, value string) func(*testing.T, *patient) {
	return func(_ *testing.T, p *patient) { p.settings[name] = value }
}

func secret(text string) func(*testing.T, *patient) { return write("github-webhook-secret-file", text) }

func write(name, text string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) { p.settings[name] = file(t, "file", text) }
}

func program(answer string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		p.settings["terraform"] = file(t, "terraform", "#!/bin/sh\necho '"+answer+"'\n")
		chmod(t, p.settings["terraform"], 0o700)
	}
}

func beside(name, text string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		if err := os.WriteFile(filepath.Join(p.settings["data-dir"], name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func mode(name string, m os.FileMode) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) { chmod(t, p.settings[name], m) }
}

func chmod(t *testing.T, file string, m os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, m); err != nil {
		t.Fatal(err)
	}
}
