package sandbox_test

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tollgate/tollgate/infrastructure"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// Of the corpus, these are played without -corpus: some of each kind.
var someContained = []string{
	"execution-environment-of-the-process", "execution-external-data-source", "execution-provisioner", "modules-archive-over-http",
	"settings-endpoint-of-sts", "state-absolute-state", "state-backend-of-a-server", "tree-link-to-the-machine", "program-plugin", "hog-of-disk",
}

// programs that come along with the code, and a hog: the source gate's corpus has them without what they do.
func furtherHostile() []hostilePull {
	const (
		unknown = "terraform {\n  required_providers {\n    evil = { source = \"registry.terraform.io/evil/evil\", version = \"1.0.0\" }\n  }\n}\n\ndata \"evil_thing\" \"x\" {}\n"
		place   = "registry.terraform.io/evil/evil/1.0.0/linux_amd64/terraform-provider-evil_v1.0.0"
		lock    = "provider \"registry.terraform.io/evil/evil\" {\n  version = \"1.0.0\"\n}\n"
		install = "provider_installation {\n  filesystem_mirror {\n    path = \"plugins\"\n  }\n}\n"
	)
	program := func(name string, files map[string]string) hostilePull {
		p := hostilePull{"program-" + name, map[string]string{"app/main.tf": "# Empty.\n"}, map[string]string{"app/main.tf": unknown}, nil, map[string]string{}}
		maps.Copy(p.head, files)
		for file, text := range files {
			if text == evilHere {
				p.modes[file] = "100755"
			}
		}
		return p
	}
	hog := hostilePull{"hog-of-disk", map[string]string{"app/main.tf": "# Empty.\n"}, map[string]string{"app/main.tf": launched, "app/evil.sh": evilHere + `head -c 400000000 /dev/zero >/tmp/hog
i=0; while true; do i=$((i+1)); truncate -s 1G hog$i; done
`}, nil, nil}
	return []hostilePull{
		program("plugin", map[string]string{"app/terraform.d/plugins/" + place: evilHere}),
		program("installed", map[string]string{"app/.terraform/providers/" + place: evilHere, "app/.terraform.lock.hcl": lock}),
		program("configured", map[string]string{"app/.terraformrc": install, ".terraformrc": install, "app/plugins/" + place: evilHere}),
		hog,
	}
}

const (
	// evilHere stands for the program that steals.
	evilHere = "#!/bin/sh\n# steal\n"
	launched = "provider \"aws\" {\n  region = \"us-east-1\"\n  shared_config_files = [\"./aws.conf\"]\n}\n"
	needsAWS = "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\" }\n  }\n}\n"
)

var (
	commands = regexp.MustCompile(`("?command"?\s*[=:]\s*)"[^"]*"`)
	values   = regexp.MustCompile(`(?m)^  ([xyz]) = `)
	usesAWS  = regexp.MustCompile(`provider "aws" \{|"provider": \{"aws"`)
)

// aim returns a case that goes for what this machine has: its listener at url, and secrets, of which dir
// has some. What the corpus only hints at is really done: commands steal, values are shown, providers are used.
func (th *thief) aim(t *testing.T, c hostilePull, url, dir string) hostilePull {
	t.Helper()
	host := strings.TrimPrefix(url, "http://")
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := infrastructure.Files.ReadFile(".terraform.lock.hcl")
	if err != nil {
		t.Fatal(err)
	}
	notes, neighbour, evil := filepath.Join(dir, "notes"), th.secrets()[1], th.evilTo(url, dir)
	replace := strings.NewReplacer(evilHere, "#!/bin/sh\n"+evil,
		"http://attacker.example:3128", url, "http://attacker.example", url, "http://169.254.169.254", url, "http://${terraform.workspace}/", url+"/${terraform.workspace}",
		"@attacker.example/", "@"+host+"/", "registry.attacker.example", host, `"terraform-aws-modules/`, `"`+host+"/terraform-aws-modules/",
		"git::https://github.com/", "git::"+url+"/", `"github.com/`, `"git::`+url+"/", "git::ssh://git@github.com/", "git::ssh://git@"+host+"/", "s3::https://s3.amazonaws.com/", "s3::https://"+host+"/",
		`"192.0.2.1"`, "\"127.0.0.1\"\n      port = "+port+"\n      timeout = \"3s\"", `"id"`, `"sh evil.sh"`,
		"/proc/self/environ", fmt.Sprintf("/proc/%d/environ", th.server()), "/proc/self", dir, `"/etc", "host*"`, fmt.Sprintf(`%q, "*"`, dir),
		"~/.aws/credentials", notes, "/root/.aws/credentials", notes, "/etc/passwd", notes, "/var/run/secrets/token", notes,
		"/etc/module", filepath.Join(dir, "module"), "/srv/states/other", filepath.Join(dir, "state"), "../../../other/terraform.tfstate", neighbour, "${path.module}/../../../other/secret", notes,
		`provider "aws" {`, "provider \"aws\" {\n  max_retries = 1\n  skip_region_validation = true", `"provider": {"aws": {`, `"provider": {"aws": {"max_retries": 1, `,
		"shared_config_files = ", "profile = \"x\"\n  shared_config_files = ")
	aimed := hostilePull{c.name, c.before, map[string]string{"app/evil.sh": evil, "app/aws.conf": "[profile x]\nregion = us-east-1\ncredential_process = sh evil.sh\n"}, c.links, c.modes}
	shown, aws, required := "", false, false
	for _, name := range sorted(c.head) {
		text := c.head[name]
		for _, m := range values.FindAllStringSubmatch(text, -1) {
			shown += fmt.Sprintf("output \"of_%[1]s\" {\n  value = local.%[1]s\n}\n", m[1])
		}
		for marker, value := range map[string]string{`data "terraform_remote_state" "x"`: "data.terraform_remote_state.x.outputs", "/etc/module": "module.m.loot", "/proc/self": `filebase64("${path.module}/secrets/notes")`} {
			if strings.Contains(text, marker) && (marker != "/proc/self" || c.modes[name] != "") {
				shown += "output \"shown\" {\n  value = " + value + "\n}\n"
			}
		}
		if usesAWS.MatchString(text) {
			aimed.head[path.Join(path.Dir(name), "used.tf")], aws = "data \"aws_caller_identity\" \"used\" {}\n", true
		}
		required = required || strings.Contains(text, "required_providers")
		aimed.head[name] = commands.ReplaceAllString(replace.Replace(text), `$1"sh evil.sh"`)
	}
	if aws && !required {
		aimed.head["app/required.tf"], aimed.head["app/.terraform.lock.hcl"] = needsAWS, string(lock)
	}
	if shown != "" {
		aimed.head["app/shown.tf"] = shown
	}
	return aimed
}

// played is a case and what came of it.
type played struct {
	name   string
	checks []ghsim.CheckRun // of its plan and, if it came to that, of its apply
	loot   []string
}

// atATime is how many cases are under way together. All of them would keep one waiting longer than a test waits.
const atATime = 8

// play proposes all cases, and applies what only an apply would run.
func (th *thief) play(t *testing.T, cases []hostilePull) (all []played) {
	t.Helper()
	for some := range slices.Chunk(cases, atATime) {
		all = append(all, th.playSome(t, some)...)
	}
	return all
}

func (th *thief) playSome(t *testing.T, cases []hostilePull) []played {
	t.Helper()
	all := make([]played, len(cases))
	pulls, hits, before := make([]*ghsim.Pull, len(cases)), make([]func() int64, len(cases)), make([]map[string]string, len(cases))
	for i, c := range cases {
		dir := filepath.Join(th.outside, c.name)
		for name, text := range map[string]string{"notes": th.canaries["machine"], th.canaries["machine"]: "", "module/notes": th.canaries["machine"],
			"module/main.tf": "output \"loot\" {\n  value = file(\"${path.module}/notes\")\n}\n"} {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		url, count := listen(t)
		hits[i], before[i] = count, content(t, dir)
		all[i].name, pulls[i] = c.name, th.aim(t, c, url, dir).propose(t, th.world)
	}
	var applied []int
	for i, c := range cases {
		check := await(t, th.world, pulls[i].Info().HeadSHA, "tollgate/plan: "+c.name)
		all[i].checks = append(all[i].checks, check)
		if provisioned := slices.ContainsFunc(sorted(c.head), func(f string) bool { return strings.Contains(c.head[f], "provisioner") }); !provisioned || check.Conclusion != "success" || strings.Contains(check.Title, "no changes") {
			continue
		}
		want(t, th.world, pulls[i].Info().HeadSHA, "tollgate", "success")
		approve(t, pulls[i])
		if _, err := pulls[i].Comment(sandbox.Author, "/apply"); err != nil {
			t.Fatal(err)
		}
		applied = append(applied, i)
	}
	for _, i := range applied {
		all[i].checks = append(all[i].checks, await(t, th.world, pulls[i].Info().HeadSHA, "tollgate/apply: "+all[i].name))
	}
	for i := range all {
		if n := hits[i](); n > 0 {
			all[i].loot = append(all[i].loot, fmt.Sprintf("%d connections", n))
		}
		if after := content(t, filepath.Join(th.outside, all[i].name)); !maps.Equal(before[i], after) {
			all[i].loot = append(all[i].loot, "files")
		}
		for _, c := range all[i].checks {
			for _, place := range th.seen(fmt.Append(nil, c.Title, c.Summary, c.Text, c.Annotations)) {
				all[i].loot = append(all[i].loot, "the canary of the "+place)
			}
		}
	}
	return all
}

// listen counts connections to a server that nobody listed.
func listen(t *testing.T) (url string, count func() int64) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":{},"resources":[]}`)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, n.Load
}

// content is every file below a directory.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var b []byte
			b, err = os.ReadFile(file)
			all[file] = string(b)
		} else if err == nil {
			all[file] = "a directory"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// hostileCases are those to be played: all of them, or those of a list.
func hostileCases(t *testing.T, some []string) (cases []hostilePull) {
	t.Helper()
	for _, c := range append(corpus(t), furtherHostile()...) {
		if *wholeCorpus || slices.Contains(some, c.name) {
			cases = append(cases, c)
		}
	}
	if len(cases) < len(some) {
		t.Fatalf("of %v only %d are there", some, len(cases))
	}
	return cases
}

// tellsWhy is what checks say of what was tried in vain; and what a provisioner does, is done.
var tellsWhy = map[string]string{
	"execution-environment-of-the-process": "Invalid function argument",
	"execution-external-data-source":       "cannot get a provider",
	"execution-http-data-source":           "cannot get a provider",
	"execution-provisioner":                "Applied: 1 created",
	"modules-archive-over-http":            "cannot get a module",
	"settings-endpoint-of-sts":             "connection refused",
	"state-absolute-state":                 "where the sandbox lets nobody write",
	"state-backend-of-a-server":            "cannot reach its state",
	"tree-link-to-the-machine":             "A symbolic link of the repository leads out of it",
	"tree-submodule":                       "The repository has a submodule",
	"program-plugin":                       "cannot get a provider",
	"program-installed":                    "cannot get a provider",
	"program-configured":                   "cannot get a provider",
	"hog-of-disk":                          "went over a limit (disk",
}

// The same corpus with the source gate switched off: whatever Terraform does with it, the sandbox alone
// keeps it from secrets, from servers that nobody listed, and from everything outside of its tree.
//
// Covers: T39, T40, T41, T42, T43, T44, T45, T47, T48, T50, T51, T53, T56, T57, T58, T66, T68, T69, T70, T71, T80
func TestTheHostileCorpusIsContained(t *testing.T) {
	t.Parallel()
	cases := hostileCases(t, someContained)
	th := newThiefIn(t, start, repository(cases))
	states := content(t, filepath.Join(th.dataDir(), "states", "999999"))
	ends := map[string]int{}
	for _, p := range th.play(t, cases) {
		last := p.checks[len(p.checks)-1]
		ends[last.Conclusion]++
		t.Logf("%s: %s: %s", p.name, last.Conclusion, last.Title)
		if len(p.loot) > 0 {
			t.Errorf("%s: got %v: %s\n%s\n%s", p.name, p.loot, last.Title, last.Summary, last.Text)
		}
		if words := tellsWhy[p.name]; !strings.Contains(last.Title+last.Summary+last.Text, words) {
			t.Errorf("%s: the check does not say %q: %s\n%s\n%s", p.name, words, last.Title, last.Summary, last.Text)
		}
	}
	t.Logf("%d hostile pull requests contained: %v", len(cases), ends)
	if got := th.leaks(t); len(got) > 0 {
		t.Errorf("canaries came out: %v", got)
	}
	if pids := th.stays(); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	if after := content(t, filepath.Join(th.dataDir(), "states", "999999")); !maps.Equal(states, after) {
		t.Errorf("another repository's states were changed: %v", after)
	}
	fine := propose(t, th.world, "fine", map[string]string{"fine/app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, th.world, fine.Info().HeadSHA, "tollgate", "success")
}

// What the corpus does where there is no sandbox either: the test above can fail.
func TestTheHostileCorpusWithoutASandbox(t *testing.T) {
	t.Parallel()
	some := []string{"execution-home-directory", "execution-provisioner", "state-backend-of-a-server"}
	cases := slices.DeleteFunc(hostileCases(t, some), func(c hostilePull) bool { return c.name == "hog-of-disk" }) // this machine's disk
	unjudged := func(t testing.TB, cfg sandbox.Config) *sandbox.World {
		w, _ := startUnjudged(t, cfg)
		return w
	}
	th := newThiefIn(t, unjudged, repository(cases), "--sandbox=off")
	t.Cleanup(func() {
		for _, pid := range th.stays() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	stolen := 0
	for _, p := range th.play(t, cases) {
		last := p.checks[len(p.checks)-1]
		t.Logf("%s: %v; %s: %s", p.name, p.loot, last.Conclusion, last.Title)
		if len(p.loot) > 0 {
			stolen++
		} else if slices.Contains(some, p.name) {
			t.Errorf("%s got nothing: %s\n%s\n%s", p.name, last.Title, last.Summary, last.Text)
		}
	}
	t.Logf("of %d hostile pull requests %d got something", len(cases), stolen)
	// Most of the others only prepare something: a lock file that allows more, a state that is elsewhere, a
	// program that nothing starts. And a token that is read is masked in what people are shown.
	if stolen < len(cases)/4 {
		t.Errorf("of %d hostile pull requests only %d got something", len(cases), stolen)
	}
}
