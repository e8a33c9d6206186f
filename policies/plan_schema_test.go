package policies_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// planSchema describes the input of the plan gate. `opa check` takes it, too.
const planSchema = "testdata/schema/plan.json"

// checked compiles the modules of the plan gate against the schema, as
// `opa check --strict --schema` does: a path that no plan has is a type error.
func checked(t *testing.T, modules map[string]*ast.Module) ast.Errors {
	t.Helper()
	text, err := os.ReadFile(planSchema)
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema)
	c := ast.NewCompiler().WithStrict(true).WithSchemas(set).WithUseTypeCheckAnnotations(true)
	c.Compile(modules)
	return c.Errors
}

// planModules are the policies and libraries of the plan gate, parsed anew.
func planModules(t *testing.T) map[string]*ast.Module {
	t.Helper()
	modules := map[string]*ast.Module{}
	for name, text := range sources(t) {
		if !strings.HasPrefix(name, "plan/") || filepath.Ext(name) != ".rego" {
			continue
		}
		m, err := ast.ParseModuleWithOpts(name, string(text), ast.ParserOptions{ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = m
	}
	return modules
}

// The schema would be worth nothing if plans looked different.
func TestPlansAreAsTheSchemaSays(t *testing.T) {
	t.Parallel()
	c := jsonschema.NewCompiler()
	schema, err := c.Compile(planSchema)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures(t) {
		plan, err := os.Open(filepath.Join(f.dir, "plan.json"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(plan)
		plan.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", f.dir, err)
		}
		doc.(map[string]any)["resource_chnges"] = []any{}
		if err := schema.Validate(doc); err == nil {
			t.Errorf("%s: the schema takes a key that no plan has", f.dir)
		}
	}
}

// A misspelled path is undefined, so its rule would never hold, and nobody would notice.
func TestMisspelledPathsAreErrors(t *testing.T) {
	t.Parallel()
	if errs := checked(t, planModules(t)); len(errs) > 0 {
		t.Fatalf("the policies do not fit the plan: %v", errs)
	}
	misspelled := 0
	for n := 0; ; n++ {
		modules := planModules(t)
		path := misspell(modules, n)
		if path == "" {
			break
		}
		misspelled++
		if errs := checked(t, modules); len(errs) == 0 {
			t.Errorf("nothing is wrong with %s", path)
		}
	}
	if misspelled < 10 {
		t.Errorf("%d paths were misspelled; the test looks for them in the wrong place", misspelled)
	}

	// Also behind a variable.
	for attribute, wrong := range map[string]bool{"change": false, "chnge": true} {
		modules := planModules(t)
		modules["x.rego"] = ast.MustParseModule(fmt.Sprintf("package x\n\ndeny contains r.address if {\n\tsome r in input.resource_changes\n\tr.%s.after.x\n}\n", attribute))
		if errs := checked(t, modules); (len(errs) > 0) != wrong {
			t.Errorf("r.%s: errors %v", attribute, errs)
		}
	}
}

// misspell changes the last fixed name of the n-th path into the input and returns what it has become,
// or "" if there are not as many.
func misspell(modules map[string]*ast.Module, n int) string {
	found := ""
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		ast.WalkRefs(modules[name], func(r ast.Ref) bool {
			if found != "" || !r[0].Equal(ast.InputRootDocument) || len(r) < 2 {
				return false
			}
			if n--; n >= 0 {
				return false
			}
			last := 1
			for last+1 < len(r) && fixed(r[last+1]) && typed(r[:last+1]) {
				last++
			}
			r[last] = ast.StringTerm("chnge")
			found = fmt.Sprintf("%s: %v", name, r)
			return false
		})
	}
	return found
}

func fixed(t *ast.Term) bool { _, ok := t.Value.(ast.String); return ok }

// typed reports whether the names below a path are known: those of a map, such as module_calls, are not.
func typed(r ast.Ref) bool {
	last, _ := r[len(r)-1].Value.(ast.String)
	switch last {
	case "module_calls", "provider_config", "variables", "output_changes", "outputs":
		return false
	}
	return true
}
