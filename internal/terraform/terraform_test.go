package terraform_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/terraform"
)

var key = bytes.Repeat([]byte("k"), 32)

// bench is a Terraform with a record of its processes.
type bench struct {
	*terraform.Terraform
	mu   sync.Mutex
	runs []terraform.Process
}

func (b *bench) commands() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, p := range b.runs {
		names = append(names, p.Argv[1])
	}
	return names
}

func newBench(t *testing.T, change func(*terraform.Config)) *bench {
	t.Helper()
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatalf("these tests run the real Terraform: %v", err)
	}
	// t.TempDir() holds the test's name and is too long for Unix sockets.
	dir, err := os.MkdirTemp("", "tf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{}
	cfg := terraform.Config{
		Binary: binary, Dir: dir, Key: key, LockTimeout: time.Second, Grace: 10 * time.Second,
		Environ: []string{"PATH=" + filepath.Dir(binary) + ":/usr/bin:/bin"},
		Trace: func(p terraform.Process) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.runs = append(b.runs, p)
		},
	}
	if change != nil {
		change(&cfg)
	}
	if b.Terraform, err = terraform.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// module writes files into a new checkout and returns the module in its directory "stack".
func module(t *testing.T, files map[string]string) terraform.Module {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, "stack", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return terraform.Module{
		Root: root, Dir: "stack", Workspace: "default", Key: "1/stack/default", InitKey: "a",
		StatePath: filepath.Join(t.TempDir(), "states", "stack.tfstate"),
	}
}

func plan(t *testing.T, b *bench, m terraform.Module) (*terraform.Plan, string, string) {
	t.Helper()
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "plan")
	p, err := b.Plan(t.Context(), m, terraform.PlanTo{File: file, Log: &log})
	if err != nil {
		t.Fatalf("plan: %v\n%s", err, &log)
	}
	return p, file, log.String()
}

// apply runs the apply command to its end and returns its output.
func apply(t *testing.T, b *bench, m terraform.Module, file string) (string, int) {
	t.Helper()
	c, err := b.ApplyCommand(t.Context(), m, file, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

const two = `
resource "terraform_data" "a" { input = "x" }
resource "terraform_data" "b" { input = terraform_data.a.output }
output "o" { value = terraform_data.b.output }
`

func TestPlanApplyPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": two})
	p, file, log := plan(t, b, m)
	if p.Summary.Counts.Create != 2 || p.Summary.Counts.Outputs != 1 || !p.Initialised {
		t.Errorf("first plan: %+v", p)
	}
	if !strings.Contains(log, "Plan: 2 to add") || strings.Contains(log, "\x1b") {
		t.Errorf("log is not Terraform's plain text:\n%s", log)
	}
	if out, exit := apply(t, b, m, file); exit != 0 {
		t.Fatalf("apply: exit %d\n%s", exit, out)
	}
	if p, _, _ := plan(t, b, m); !p.Summary.Counts.Empty() || p.Initialised {
		t.Errorf("second plan: %+v", p)
	}
	// The third process is the apply's neighbour: init, plan, show, then plan, show.
	if got, want := b.commands(), []string{"init", "plan", "show", "plan", "show"}; !slices.Equal(got, want) {
		t.Errorf("processes: %v, want %v", got, want)
	}
	if out, exit := apply(t, b, m, file); !errors.Is(terraform.Explain([]byte(out), exit), terraform.ErrStale) {
		t.Errorf("second apply of one plan: exit %d\n%s", exit, out)
	}
	if _, err := os.Stat(m.StatePath); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(m.Root, "stack", "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files in the checkout: %v %v", left, err)
	}
}

// explained returns the failure behind an error, which must also have words for people.
func explained(t *testing.T, err error, kind error) *terraform.Failure {
	t.Helper()
	var f *terraform.Failure
	var words *fault.Error
	if !errors.Is(err, kind) || !errors.As(err, &f) || !errors.As(err, &words) {
		t.Fatalf("error is %v, want %v with words", err, kind)
	}
	if words.What == "" || words.Fix == "" {
		t.Errorf("words are missing: %+v", words)
	}
	return f
}

func planError(t *testing.T, b *bench, m terraform.Module) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan")
	p, err := b.Plan(t.Context(), m, terraform.PlanTo{File: file, Log: io.Discard})
	if err == nil {
		t.Fatalf("plan succeeded: %+v", p.Summary)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a plan file is left: %v", err)
	}
	return err
}

func TestOneInitForAll(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		m := module(t, map[string]string{"main.tf": two})
		m.StatePath = ""
		wg.Go(func() {
			file := filepath.Join(m.Root, "plan")
			if _, err := b.Plan(t.Context(), m, terraform.PlanTo{File: file, Log: io.Discard}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	names := b.commands()
	slices.Sort(names)
	want := []string{"init", "plan", "plan", "plan", "plan", "show", "show", "show", "show"}
	if !slices.Equal(names, want) {
		t.Errorf("processes: %v", names)
	}
}

func TestInitWhenItsInputsChange(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": two})
	plan(t, b, m)
	for name, tt := range map[string]struct {
		change func(*terraform.Module)
		init   bool
	}{
		"nothing":   {func(*terraform.Module) {}, false},
		"variables": {func(m *terraform.Module) { m.Variables = map[string]string{"x": "1"} }, false},
		"init key":  {func(m *terraform.Module) { m.InitKey = "b" }, true},
		"no key":    {func(m *terraform.Module) { m.InitKey = "" }, true},
		"workspace": {func(m *terraform.Module) { m.Workspace, m.Key = "blue", "1/stack/blue" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := m
			tt.change(&m)
			if p, _, _ := plan(t, b, m); p.Initialised != tt.init {
				t.Errorf("init: %v", p.Initialised)
			}
		})
	}
}

// Covers: T41
func TestFailedInitLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": `module "m" { source = "./m" }`})
	for range 2 {
		explained(t, planError(t, b, m), terraform.ErrModule)
	}
	if err := os.Mkdir(filepath.Join(m.Root, "stack", "m"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.Root, "stack", "m", "main.tf"), []byte(two), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, _, _ := plan(t, b, m); !p.Initialised || p.Summary.Counts.Create != 2 {
		t.Errorf("after the repair: %+v", p)
	}
}

// What init left may be damaged, or the key may not cover everything: Terraform notices.
func TestInitAgainWhenTerraformAsks(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": `module "m" { source = "./m" }`, "m/main.tf": two})
	p, _, _ := plan(t, b, m)
	if err := os.RemoveAll(filepath.Join(p.DataDir, "modules")); err != nil {
		t.Fatal(err)
	}
	again, _, _ := plan(t, b, m)
	if !again.Initialised || again.DataDir == p.DataDir {
		t.Errorf("second plan: %+v", again)
	}
	if p, _, _ := plan(t, b, m); p.Initialised {
		t.Error("the repaired data directory was not kept")
	}
}

func TestUnusedDataDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": two})
	old, _, _ := plan(t, b, m)
	m.InitKey = "b"
	used, _, _ := plan(t, b, m)
	longAgo := time.Now().Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Dir(old.DataDir), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	m.InitKey = "c"
	plan(t, b, m)
	if _, err := os.Stat(filepath.Dir(old.DataDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unused one: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(used.DataDir)); err != nil {
		t.Errorf("the used one: %v", err)
	}
	m.InitKey = "a"
	if p, _, _ := plan(t, b, m); !p.Initialised {
		t.Error("no init although nothing is left")
	}
}

func TestWrongModules(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, tt := range map[string]struct {
		files map[string]string
		kind  error
		file  string
		line  int
	}{
		"syntax":            {map[string]string{"main.tf": "locals {\n"}, terraform.ErrConfiguration, "main.tf", 1},
		"unknown argument":  {map[string]string{"main.tf": "resource \"terraform_data\" \"a\" {\n  inpt = 1\n}"}, terraform.ErrConfiguration, "main.tf", 2},
		"missing variable":  {map[string]string{"main.tf": `variable "x" {}`}, terraform.ErrConfiguration, "main.tf", 1},
		"other version":     {map[string]string{"main.tf": `terraform { required_version = "= 1.0.0" }`}, terraform.ErrConfiguration, "main.tf", 1},
		"missing module":    {map[string]string{"main.tf": `module "m" { source = "./m" }`}, terraform.ErrModule, "", 0},
		"state unreachable": {map[string]string{"main.tf": "terraform {\n  backend \"http\" {\n    address = \"http://127.0.0.1:1/\"\n    retry_max = 0\n  }\n}"}, terraform.ErrBackend, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := module(t, tt.files)
			if tt.kind == terraform.ErrBackend {
				m.StatePath = ""
			}
			f := explained(t, planError(t, b, m), tt.kind)
			if len(f.Diagnostics) == 0 || f.Diagnostics[0].File != tt.file || f.Diagnostics[0].Line != tt.line {
				t.Errorf("diagnostics: %+v", f.Diagnostics)
			}
		})
	}
	good := module(t, map[string]string{"main.tf": `variable "x" {}`})
	good.Variables = map[string]string{"x": "1"}
	plan(t, b, good)
}

func TestCheckoutCannotChooseItsPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	outside := module(t, map[string]string{"main.tf": two})
	m := module(t, map[string]string{"main.tf": two})
	if err := os.Symlink(filepath.Join(outside.Root, "stack"), filepath.Join(m.Root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"link", "../" + filepath.Base(outside.Root), "missing"} {
		m := m
		m.Dir = dir
		var words *fault.Error
		if err := planError(t, b, m); !errors.As(err, &words) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	plan(t, b, m)
}

// Covers: T41
func TestCommittedDataDirectoryIsIgnored(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{
		"main.tf":                `output "w" { value = terraform.workspace }`,
		".terraform/environment": "prod",
	})
	p, _, _ := plan(t, b, m)
	if !bytes.Contains(p.JSON, []byte(`"w":{"sensitive":false,"type":"string","value":"default"}`)) {
		t.Errorf("plan is for another workspace: %s", p.JSON)
	}
	m.Workspace, m.Key = "prod", "1/stack/prod"
	if p, _, _ := plan(t, b, m); !bytes.Contains(p.JSON, []byte(`"value":"prod"`)) {
		t.Errorf("the configured workspace is not used: %s", p.JSON)
	}
}

// Covers: T48
func TestStateOverrideIsNotTakenFromTheCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": two, "tollgate_backend_override.tf.json": `{"terraform":{}}`})
	var words *fault.Error
	if err := planError(t, b, m); !errors.As(err, &words) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(m.Root, "stack", "tollgate_backend_override.tf.json")); err != nil {
		t.Fatal(err)
	}
	plan(t, b, m)
}

// Covers: T55
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*terraform.Config)
		good   bool
	}{
		"nothing":          {func(*terraform.Config) {}, true},
		"variable":         {func(c *terraform.Config) { c.Environ = []string{"TF_VAR_x=1", "AWS_REGION=x"} }, true},
		"arguments":        {func(c *terraform.Config) { c.Environ = []string{"TF_CLI_ARGS_plan=-destroy"} }, false},
		"data directory":   {func(c *terraform.Config) { c.Environ = []string{"TF_DATA_DIR=/x"} }, false},
		"log":              {func(c *terraform.Config) { c.Environ = []string{"TF_LOG=trace"} }, false},
		"short key":        {func(c *terraform.Config) { c.Key = c.Key[:31] }, false},
		"relative binary":  {func(c *terraform.Config) { c.Binary = "terraform" }, false},
		"binary that lies": {func(c *terraform.Config) { c.Binary = "/bin/true" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := terraform.Config{Binary: binary, Dir: t.TempDir(), Key: key}
			tt.change(&cfg)
			if _, err := terraform.New(t.Context(), cfg); (err == nil) != tt.good {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The providers' sockets lie in TMPDIR, and a socket's path ends at 107 bytes.
func TestLongDirectoryGetsAShortTMPDIR(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *terraform.Config) { c.Dir = filepath.Join(c.Dir, strings.Repeat("x", 80)) })
	m := module(t, map[string]string{"main.tf": two})
	_, file, _ := plan(t, b, m)
	cmd, err := b.ApplyCommand(t.Context(), m, file, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(cmd.Scratch)
	for _, kv := range cmd.Env {
		if dir, ok := strings.CutPrefix(kv, "TMPDIR="); ok && len(dir) > 90 {
			t.Errorf("TMPDIR has %d bytes: %s", len(dir), dir)
		}
	}
}
