package project_test

import (
	"slices"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/project"
)

func TestDiscover(t *testing.T) {
	t.Parallel()
	backend := func(dir string, calls ...string) project.ModuleInfo {
		return project.ModuleInfo{Dir: dir, HasBackend: true, Calls: calls}
	}
	provider := func(dir string, calls ...string) project.ModuleInfo {
		return project.ModuleInfo{Dir: dir, HasProvider: true, Calls: calls}
	}
	plain := func(dir string) project.ModuleInfo { return project.ModuleInfo{Dir: dir} }
	broken := func(dir string) project.ModuleInfo { return project.ModuleInfo{Dir: dir, Broken: true} }
	for _, test := range []struct {
		name    string
		modules []project.ModuleInfo
		want    []string // dir=name
	}{
		{"nothing", nil, nil},
		{"a root and its modules", []project.ModuleInfo{backend("infrastructure", "infrastructure/modules/a"), plain("infrastructure/modules/a")}, []string{"infrastructure=infrastructure"}},
		{"the repository itself", []project.ModuleInfo{provider(".")}, []string{".=root"}},
		{"resources only", []project.ModuleInfo{{Dir: "app", HasResources: true, Calls: []string{"lib"}}, {Dir: "lib", HasResources: true}, {Dir: "modules/m", HasResources: true}}, []string{"app=app"}},
		{"neither backend nor provider", []project.ModuleInfo{plain("lib")}, nil},
		{"called, with a provider of its own", []project.ModuleInfo{provider("app", "lib"), provider("lib")}, []string{"app=app"}},
		{"called, with a backend", []project.ModuleInfo{provider("app", "lib"), backend("lib")}, []string{"app=app", "lib=lib"}},
		{"calls itself", []project.ModuleInfo{provider("app", "app")}, []string{"app=app"}},
		{"examples and tests", []project.ModuleInfo{provider("examples/one"), provider("x/tests/setup"), provider("modules/m")}, nil},
		{"example with a backend", []project.ModuleInfo{backend("examples/live")}, []string{"examples/live=examples/live"}},
		{"broken", []project.ModuleInfo{broken("app"), broken("modules/m")}, []string{"app=app"}},
		{"broken but called", []project.ModuleInfo{provider("app", "lib"), broken("lib")}, []string{"app=app"}},
		{"names that collide", []project.ModuleInfo{backend("Prod"), backend("prod"), backend("prod-2")}, []string{"Prod=prod", "prod=prod-2", "prod-2=prod-2-2"}},
		{"odd characters", []project.ModuleInfo{backend("Umgebung (neu)/ä"), backend("..x/-y")}, []string{"..x/-y=x/y", "Umgebung (neu)/ä=umgebung--neu-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range project.Discover(test.modules) {
				got = append(got, p.Dir+"="+p.Name)
				if p.Workspace != "default" || p.Engine != "terraform" || p.Environment != p.Name {
					t.Errorf("not complete: %+v", p)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAffected(t *testing.T) {
	t.Parallel()
	projects := []project.Project{
		{Project: change.Project{Name: "app", Dir: "live/app", DependsOn: []string{"net"}}, WhenModified: []string{"../../config/*.yaml", "*.md"}},
		{Project: change.Project{Name: "net", Dir: "live/net"}},
		{Project: change.Project{Name: "odd", Dir: "live/[x]"}, WhenModified: []string{"../a*"}},
	}
	deps := func(dir string) ([]string, bool) {
		if dir == "live/app" || dir == "live/net" {
			return []string{dir, "modules/shared", "modules/" + dir[len("live/"):]}, true
		}
		return []string{dir}, true
	}
	for _, test := range []struct {
		name    string
		changed []string
		want    []string
	}{
		{"nothing", nil, nil},
		{"own file", []string{"live/app/main.tf"}, []string{"app"}},
		{"module of one", []string{"modules/net/main.tf"}, []string{"net"}},
		{"module of both, dependency first", []string{"modules/shared/main.tf"}, []string{"net", "app"}},
		{"template below a module", []string{"modules/app/templates/user-data.sh"}, []string{"app"}},
		{"directory with a common beginning", []string{"modules/app2/main.tf", "live/apple/main.tf"}, nil},
		{"documentation and tests", []string{"modules/shared/README.md", "live/net/tests/a.tftest.hcl"}, nil},
		{"documentation that a pattern asks for", []string{"live/app/README.md"}, []string{"app"}},
		{"pattern outside the directory", []string{"config/prod.yaml"}, []string{"app"}},
		{"pattern that goes no deeper", []string{"config/prod/x.yaml"}, nil},
		{"directory that looks like a pattern", []string{"live/abc"}, []string{"odd"}},
		{"configuration and policies", []string{".tollgate.yaml", "policies/plan/tls.rego"}, nil},
		{"last of many", append(slices.Repeat([]string{"docs/page.html"}, 3100), "live/net/zz.tf"), []string{"net"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := names(project.Affected(projects, test.changed, deps)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A module graph that cannot be read must not let a change pass unplanned.
func TestAffectedWhenTheGraphIsUnknown(t *testing.T) {
	t.Parallel()
	projects := []project.Project{{Project: change.Project{Name: "app", Dir: "app"}}}
	deps := func(known bool) func(string) ([]string, bool) {
		return func(dir string) ([]string, bool) { return []string{dir}, known }
	}
	if got := project.Affected(projects, []string{"elsewhere/main.tf"}, deps(false)); len(got) != 1 {
		t.Errorf("unknown graph: got %v, want the project", got)
	}
	if got := project.Affected(projects, []string{"elsewhere/main.tf"}, deps(true)); len(got) != 0 {
		t.Errorf("known graph: got %v, want nothing", got)
	}
	if got := project.Affected(projects, []string{"README.md"}, deps(false)); len(got) != 0 {
		t.Errorf("documentation: got %v, want nothing", got)
	}
}

func TestRootProjectIsAffectedByAllBelow(t *testing.T) {
	t.Parallel()
	projects := []project.Project{{Project: change.Project{Name: "root", Dir: "."}}}
	got := project.Affected(projects, []string{"files/policy.json"}, func(dir string) ([]string, bool) { return []string{dir}, true })
	if len(got) != 1 {
		t.Errorf("got %v, want the project", got)
	}
}

func names(projects []change.Project) []string {
	var out []string
	for _, p := range projects {
		out = append(out, p.Name)
	}
	return out
}
