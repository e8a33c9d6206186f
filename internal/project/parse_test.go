package project_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/project"
)

const full = `# The payment system.
version: 1
projects:
  - name: payments
    dir: infrastructure
    workspace: blue
    engine: opentofu
    when_modified: ["**/*.tf", "../shared/*.json"]
    depends_on: [base/network]
    environment: production
  - name: base/network
    dir: .
apply:
  on: [merge]
  approvals: 2
  approver_may_apply: false
  teams: [Acme/platform]
  codeowners: false
  destructive: {approvals: 3, teams: [acme/dba]}
  windows:
    - {days: [mon, thu], from: 09:00, to: "16:30", zone: Europe/Berlin}
    - {days: [sat], from: 00:00, to: 24:00}
  freezes:
    - {from: 2026-12-20, until: 2027-01-04, zone: America/New_York, reason: Christmas sale}
policies:
  dir: rules/plan
`

func TestParseReadsEveryKey(t *testing.T) {
	t.Parallel()
	got, err := project.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := project.Config{
		Version: 1,
		Projects: []project.Project{
			{
				Project: change.Project{Name: "payments", Dir: "infrastructure", Workspace: "blue", Engine: "opentofu",
					DependsOn: []string{"base/network"}, Environment: "production"},
				WhenModified: []string{"**/*.tf", "../shared/*.json"},
			},
			{Project: change.Project{Name: "base/network", Dir: ".", Workspace: "default", Engine: "terraform", Environment: "base/network"}},
		},
		Apply: project.Apply{On: []string{"merge"}, Approvals: 2, Teams: []string{"acme/platform"},
			Destructive: project.Destructive{Approvals: 3, Teams: []string{"acme/dba"}},
			Windows: [][]project.Window{{
				{Days: []string{"mon", "thu"}, From: "09:00", To: "16:30", Zone: "Europe/Berlin"},
				{Days: []string{"sat"}, From: "00:00", To: "24:00", Zone: "UTC"},
			}},
			Freezes: []project.Freeze{{From: "2026-12-20", Until: "2027-01-04", Zone: "America/New_York", Reason: "Christmas sale"}},
		},
		Policies: project.Policies{Dir: "rules/plan"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// apply is a configuration with one line below apply.
func apply(line string) string { return "version: 1\napply:\n  " + line + "\n" }

// The stricter word on each point holds.
func TestApplyAnd(t *testing.T) {
	t.Parallel()
	lax := project.Default().Apply
	strict := project.Apply{On: []string{"comment"}, Approvals: 2, Teams: []string{"acme/ops"}, Destructive: project.Destructive{Approvals: 3, Teams: []string{"acme/dba"}},
		Windows: [][]project.Window{{{Days: []string{"mon"}, From: "09:00", To: "10:00", Zone: "UTC"}}}, Freezes: []project.Freeze{{From: "2026-12-20", Until: "2026-12-31", Zone: "UTC", Reason: "x"}}}
	want := strict
	want.Codeowners = true
	for _, got := range []project.Apply{lax.And(strict), strict.And(lax), strict.And(lax).And(strict)} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	other := strict
	other.Teams, other.Windows = []string{"acme/platform"}, [][]project.Window{{{Days: []string{"tue"}, From: "09:00", To: "10:00", Zone: "UTC"}}}
	if got := strict.And(other); len(got.Teams) != 2 || len(got.Windows) != 2 || len(got.Freezes) != 1 {
		t.Errorf("what differs adds up: got %+v", got)
	}
}

func TestParseFillsInDefaults(t *testing.T) {
	t.Parallel()
	got, err := project.Parse([]byte("version: 1\n"))
	if err != nil || !reflect.DeepEqual(got, project.Default()) {
		t.Errorf("got %+v, %v; want %+v", got, err, project.Default())
	}
	never, err := project.Parse([]byte("version: 1\napply: {on: []}\n"))
	if err != nil || len(never.Apply.On) != 0 || never.Apply.Approvals != 1 {
		t.Errorf("an empty list: got %+v, %v", never.Apply, err)
	}
}

// mistakes are configurations with the problems that must be told of them. Those marked as beyond
// the schema are ones that JSON Schema cannot express.
var mistakes = []struct {
	name         string
	config       string
	want         []string // each "line N: …", or the beginning of it
	beyondSchema bool
}{
	{name: "empty", config: "", want: []string{"line 1: the file must hold one YAML document"}},
	{name: "only a comment", config: "# nothing\n", want: []string{"line 1: the file must hold one YAML document"}},
	{name: "two documents", config: "version: 1\n---\nversion: 1\n", want: []string{"line 1: the file must hold one YAML document"}, beyondSchema: true},
	{name: "not a mapping", config: "- version\n", want: []string{"line 1: the file must be a mapping"}},
	{name: "no version", config: "apply: {}\n", want: []string{"line 1: the file lacks the key `version`"}},
	{name: "next version", config: "version: 2\n", want: []string{"line 1: `version` must be 1"}},
	{name: "version as text", config: "version: \"1\"\n", want: []string{"line 1: `version` must be 1"}},
	{name: "misspelt key", config: "version: 1\nproject: []\n", want: []string{"line 2: the file cannot have the key `project`: did you mean `projects`?"}},
	{name: "foreign key", config: "version: 1\nhooks: [rm]\n", want: []string{"line 2: the file cannot have the key `hooks`"}},
	{name: "key that is no text", config: "version: 1\n7: x\n", want: []string{"line 2: the file cannot have the key `7`"}},
	{name: "key twice", config: "version: 1\nversion: 1\n", want: []string{"line 2: mapping key \"version\" already defined at [1:1]"}, beyondSchema: true},
	{name: "broken YAML", config: "version: 1\napply: {on: [merge\n", want: []string{"line 2: "}, beyondSchema: true},
	{name: "anchor and alias", config: "version: 1\napply: &a {approvals: 2}\npolicies: *a\n", want: []string{"line 2: `apply` must be a mapping", "line 3: `policies` must be a mapping"}, beyondSchema: true},
	{name: "merge key", config: "version: 1\napply:\n  <<: {approvals: 2}\n", want: []string{"line 3: `apply` cannot have the key `<<`"}, beyondSchema: true},
	{name: "no value", config: "version: 1\napply:\n", want: []string{"line 2: `apply` must be a mapping"}},
	{name: "no projects", config: "version: 1\nprojects: []\n", want: []string{"line 2: `projects` is empty"}},
	{name: "project without anything", config: "version: 1\nprojects:\n  - {}\n", want: []string{"line 3: a project lacks the key `name`", "line 3: a project lacks the key `dir`"}},
	{
		name: "several at once",
		config: `version: 1
projects:
  - name: Payments
    dir: ../other
    when_modifed: ["*.tf"]
    engine: pulumi
apply:
  approvals: 0
`,
		want: []string{
			"line 3: `name`: `Payments` must consist of",
			"line 4: `dir`: `../other` must be a path inside the repository",
			"line 5: a project cannot have the key `when_modifed`: did you mean `when_modified`?",
			"line 6: `engine`: `pulumi` is not one of terraform, opentofu",
			"line 8: `apply.approvals` must be a number from 1 to 10",
		},
	},
	{name: "a word for a truth", config: apply("codeowners: yes please"), want: []string{"line 3: `apply.codeowners` must be true or false"}},
	{name: "a truth as text", config: apply(`approver_may_apply: "false"`), want: []string{"line 3: `apply.approver_may_apply` must be true or false"}},
	{name: "a team without an organisation", config: apply("teams: [platform]"), want: []string{"line 3: `apply.teams`: `platform` must be written"}},
	{name: "a team that climbs", config: apply("teams: [acme/../x]"), want: []string{"line 3: `apply.teams`: `acme/../x`"}},
	{name: "no approvals for what destroys", config: apply("destructive: {approvals: 0}"), want: []string{"line 3: `apply.destructive.approvals` must be a number"}},
	{name: "a misspelt key of what destroys", config: apply("destructive: {team: [acme/dba]}"), want: []string{"line 3: `apply.destructive` cannot have the key `team`: did you mean `teams`?"}},
	{name: "no windows", config: apply("windows: []"), want: []string{"line 3: `apply.windows` is empty"}},
	{name: "a window of no day", config: apply("windows: [{days: [], from: 09:00, to: 10:00}]"), want: []string{"line 3: `days` names no day"}},
	{name: "a window without an end", config: apply("windows: [{days: [mon], from: 09:00}]"), want: []string{"line 3: a window lacks the key `to`"}},
	{name: "a day that is none", config: apply("windows: [{days: [monday], from: 09:00, to: 10:00}]"), want: []string{"line 3: `days`: `monday` is not one of"}},
	{name: "an hour that is none", config: apply("windows: [{days: [mon], from: 9:00, to: 24:30}]"), want: []string{"line 3: `from`: `9:00` must be a time", "line 3: `to`: `24:30` must be a time"}},
	{name: "a window over midnight", config: apply("windows: [{days: [mon], from: 22:00, to: 02:00}]"), want: []string{"line 3: a window has to end later"}, beyondSchema: true},
	{name: "a zone that is none", config: apply("windows: [{days: [mon], from: 09:00, to: 10:00, zone: Europe/Nowhere}]"), want: []string{"line 3: `zone`: `Europe/Nowhere` is not the name of a time zone"}, beyondSchema: true},
	{name: "the zone of some machine", config: apply("windows: [{days: [mon], from: 09:00, to: 10:00, zone: Local}]"), want: []string{"line 3: `zone`: `Local`"}, beyondSchema: true},
	{name: "a zone by its path", config: apply("windows: [{days: [mon], from: 09:00, to: 10:00, zone: ../../etc/passwd}]"), want: []string{"line 3: `zone`: `../../etc/passwd`"}},
	{name: "a freeze without a reason", config: apply("freezes: [{from: 2026-12-20, until: 2027-01-04}]"), want: []string{"line 3: a freeze lacks the key `reason`"}},
	{name: "a freeze that ends first", config: apply("freezes: [{from: 2027-01-04, until: 2026-12-20, reason: x}]"), want: []string{"line 3: a freeze cannot end on 2026-12-20"}, beyondSchema: true},
	{name: "a day of no calendar", config: apply("freezes: [{from: 2026-02-30, until: 2026-03-01, reason: x}]"), want: []string{"line 3: `from`: `2026-02-30` must be a day"}, beyondSchema: true},
	{name: "name that climbs", config: one("name: a/../b", "dir: a"), want: []string{"line 3: `name`: `a/../b`"}},
	{name: "name like a flag", config: one("name: -all", "dir: a"), want: []string{"line 3: `name`: `-all`"}},
	{name: "number as name", config: one("name: 7", "dir: a"), want: []string{"line 3: `name` must be a text"}},
	{name: "absolute dir", config: one("name: a", "dir: /etc"), want: []string{"line 4: `dir`: `/etc` must be a path inside"}},
	{name: "dir that climbs later", config: one("name: a", "dir: a/../../b"), want: []string{"line 4: `dir`: `a/../../b` must be a path inside"}},
	{name: "unclean dir", config: one("name: a", "dir: ./infra/"), want: []string{"line 4: `dir`: `./infra/` must be written `infra`"}},
	{name: "backslash in dir", config: one("name: a", `dir: a\b`), want: []string{"line 4: `dir`"}},
	{name: "empty dir", config: one("name: a", `dir: ""`), want: []string{"line 4: `dir` must be a text"}},
	{name: "bad workspace", config: one("name: a", "dir: a", "workspace: ../x"), want: []string{"line 5: `workspace`"}},
	{name: "bad environment", config: one("name: a", "dir: a", "environment: \" x\""), want: []string{"line 5: `environment`"}},
	{name: "absolute pattern", config: one("name: a", "dir: a", "when_modified: [/etc/*]"), want: []string{"line 5: `when_modified`: `/etc/*` is not a pattern"}},
	{name: "broken pattern", config: one("name: a", "dir: a", "when_modified: [\"a[\"]"), want: []string{"line 5: `when_modified`: `a[` is not a pattern"}, beyondSchema: true},
	{name: "pattern that climbs", config: one("name: a", "dir: a", "when_modified: [../../x]"), want: []string{"line 3: `when_modified`: `../../x` leads out"}, beyondSchema: true},
	{name: "pattern as text", config: one("name: a", "dir: a", "when_modified: x"), want: []string{"line 5: `when_modified` must be a list"}},
	{name: "pattern twice", config: one("name: a", "dir: a", "when_modified: [x, x]"), want: []string{"line 5: `when_modified` has `x` twice"}},
	{name: "unknown dependency", config: one("name: a", "dir: a", "depends_on: [b]"), want: []string{"line 3: `a` depends on `b`, which is not a project"}, beyondSchema: true},
	{name: "itself", config: one("name: a", "dir: a", "depends_on: [a]"), want: []string{"line 3: projects depend on each other in a circle: a → a"}, beyondSchema: true},
	{
		name:         "circle",
		config:       "version: 1\nprojects:\n- {name: z, dir: z, depends_on: [a]}\n- {name: a, dir: a, depends_on: [b]}\n- {name: b, dir: b, depends_on: [a]}\n",
		want:         []string{"line 4: projects depend on each other in a circle: a → b → a"},
		beyondSchema: true,
	},
	{name: "name twice", config: "version: 1\nprojects:\n- {name: a, dir: a}\n- {name: a, dir: b}\n", want: []string{"line 4: two projects have the name `a`"}, beyondSchema: true},
	{name: "state twice", config: "version: 1\nprojects:\n- {name: a, dir: a}\n- {name: b, dir: a, workspace: default}\n", want: []string{"line 4: `a` and `b` are the same workspace"}, beyondSchema: true},
	{name: "unknown event", config: "version: 1\napply: {on: [push]}\n", want: []string{"line 2: `apply.on`: `push` is not one of merge, comment"}},
	{name: "approvals as text", config: "version: 1\napply: {approvals: two}\n", want: []string{"line 2: `apply.approvals` must be a number"}},
	{name: "approvals in hexadecimal", config: "version: 1\napply: {approvals: 0x2}\n", want: []string{"line 2: `apply.approvals` must be a number"}, beyondSchema: true},
	{name: "policies elsewhere", config: "version: 1\npolicies: {dir: ../rules}\n", want: []string{"line 2: `policies.dir`"}},
	{name: "too large", config: "version: 1\n#" + strings.Repeat("x", 70_000), want: []string{"line 1: the file is too large"}, beyondSchema: true},
	{name: "too deep", config: "version: " + strings.Repeat("[", 20_000), want: []string{"line 1: the file is too large"}, beyondSchema: true},
}

// one is a configuration with one project, whose first key is on line 3.
func one(keys ...string) string {
	return "version: 1\nprojects:\n  - " + strings.Join(keys, "\n    ") + "\n"
}

func TestParseTellsEveryMistake(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			_, err := project.Parse([]byte(m.config))
			var shown *fault.Error
			if !errors.As(err, &shown) {
				t.Fatalf("got %v, want a fault", err)
			}
			got := strings.Split(shown.Why, "\n")
			if len(got) != len(m.want) {
				t.Fatalf("got %q, want %q", got, m.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], m.want[i]) {
					t.Errorf("got %q, want %q…", got[i], m.want[i])
				}
			}
		})
	}
}

func TestParseErrorCarriesLines(t *testing.T) {
	t.Parallel()
	_, err := project.Parse([]byte("version: 1\nhooks: []\n"))
	var config *project.ConfigError
	if !errors.As(err, &config) || len(config.Problems) != 1 || config.Problems[0].Line != 2 {
		t.Errorf("got %v, want a problem on line 2", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	for _, m := range mistakes {
		if len(m.config) < 1000 {
			f.Add([]byte(m.config))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := project.Parse(data)
		if err != nil {
			if shown := fault.Public(err); shown.Why == "" || shown.Fix == "" {
				t.Errorf("a mistake without an explanation: %v", err)
			}
			return
		}
		if config.Version != 1 || config.Apply.Approvals < 1 || config.Policies.Dir == "" {
			t.Errorf("accepted %+v", config)
		}
		for _, p := range config.Projects {
			if p.Name == "" || p.Dir == "" || p.Workspace == "" || p.Environment == "" ||
				strings.HasPrefix(p.Dir, "/") || p.Dir == ".." || strings.HasPrefix(p.Dir, "../") || strings.Contains(p.Name, "..") && strings.Contains(p.Name, "/..") {
				t.Errorf("accepted %+v", p)
			}
		}
	})
}
