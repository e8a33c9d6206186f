package policies_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

var (
	otherProvider = flag.String("provider", "", "hold the policies against the schema of this version of the AWS provider, instead of the one that the fixtures use")
	update        = flag.Bool("update", false, "rewrite the files that are made from something else")
)

// A family's list in testdata/schema/FAMILY.yaml says which attributes of the provider concern it,
// and which of these it does not judge, and why. What it judges is in its parameters. All of it
// stands below the family's name, because opa test loads these files as data, too.
type schemaList struct {
	// Patterns of the attributes that concern the family at all, such as aws_lb_listener.ssl_policy.
	Attributes []string
	// Tables of the family's parameters that hold attributes by type.
	Tables []string
	// Attributes that rules name in their code: type, attribute, id of the rule.
	Judged map[string]map[string]string
	// Attributes that concern the family but are not judged. The pattern matches whole paths.
	NotJudged []struct{ Match, Reason string } `yaml:"not_judged"`
}

// namedAttributes are paths such as aws_lb_listener.ssl_policy with the file that names them.
type namedAttributes map[string]string

// A provider brings new types and attributes with each version. None may slip through unnoticed.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema := readSchema(t)
	t.Run("taggable", func(t *testing.T) {
		t.Parallel()
		checkTaggable(t, schema)
	})
	parameters, err := filepath.Glob("plan/*/parameters.yaml")
	if err != nil || len(parameters) == 0 {
		t.Fatalf("no families: %v", err)
	}
	for _, file := range parameters {
		family := filepath.Base(filepath.Dir(file))
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			lists := map[string]schemaList{}
			readYAML(t, filepath.Join("testdata", "schema", family+".yaml"), &lists)
			list := lists[family]
			named := attributesInTables(familyData(t, family), list.Tables, filepath.Join("plan", family))
			missing, stale := list.compare(schema, family, named, ruleIDs(t, family))
			for _, complaint := range missing {
				t.Error(complaint)
			}
			for _, complaint := range stale {
				if *otherProvider == "" {
					t.Error(complaint)
				} else {
					// What one version lacks may be needed for plans of the other.
					t.Log(complaint)
				}
			}
		})
	}
}

// compare says what the schema has that nothing names, and what is named that the schema has not.
func (l schemaList) compare(s providerSchema, family string, named namedAttributes, rules map[string]bool) (missing, stale []string) {
	listFile := filepath.Join("testdata", "schema", family+".yaml")
	all := maps.Clone(named)
	for kind, attributes := range l.Judged {
		for attribute, rule := range attributes {
			all[kind+"."+attribute] = listFile
			if !rules[rule] {
				stale = append(stale, fmt.Sprintf("policies/%s says that the rule %s judges %s.%s, but the family has no such rule: correct the id.", listFile, rule, kind, attribute))
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if !s.has(path) {
			stale = append(stale, fmt.Sprintf("policies/%s names %s, which the AWS provider %s does not have: correct or remove the name.", all[path], path, s.version))
		}
	}
	open := l.concerned(s, all)
	for _, exclusion := range l.NotJudged {
		pattern := regexp.MustCompile("^(?:" + exclusion.Match + ")$")
		count := len(open)
		open = slices.DeleteFunc(open, pattern.MatchString)
		if len(open) == count {
			stale = append(stale, fmt.Sprintf("policies/%s excludes %s, which matches nothing of the AWS provider %s that is left to judge: remove the exclusion.", listFile, exclusion.Match, s.version))
		}
		if strings.TrimSpace(exclusion.Reason) == "" {
			stale = append(stale, fmt.Sprintf("policies/%s excludes %s without a reason: say why it is not judged.", listFile, exclusion.Match))
		}
	}
	for _, path := range open {
		missing = append(missing, fmt.Sprintf("The AWS provider %s has %s, which no rule and no exclusion names: judge it in policies/plan/%s or say in policies/%s, under not_judged, why not.", s.version, path, family, listFile))
	}
	return missing, stale
}

// concerned are the attributes that concern the family and that nothing names, sorted. A name of a
// block stands for everything in it.
func (l schemaList) concerned(s providerSchema, named namedAttributes) []string {
	pattern := regexp.MustCompile(strings.Join(l.Attributes, "|"))
	var paths []string
	for path := range s.settable {
		if pattern.MatchString(path) && !slices.ContainsFunc(prefixes(path), func(p string) bool { return named[p] != "" }) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// prefixes of a.b.c are a.b and a.b.c: the type alone names no attribute.
func prefixes(path string) []string {
	steps := strings.Split(path, ".")
	var all []string
	for n := 2; n <= len(steps); n++ {
		all = append(all, strings.Join(steps[:n], "."))
	}
	return all
}

// attributeKeys are the keys in a table of parameters whose values are attributes. Other keys, such
// as required or instead, hold values of attributes.
var attributeKeys = []string{"attribute", "unless", "subnets", "chosen", "named_by"}

// attributesInTables collects what stands below names of types, however the table is built.
func attributesInTables(data map[string]map[string]any, tables []string, dir string) namedAttributes {
	named := namedAttributes{}
	var collect func(file, kind string, value any)
	collect = func(file, kind string, value any) {
		switch v := value.(type) {
		case string:
			if kind != "" {
				named[kind+"."+v] = file
			}
		case []any:
			for _, item := range v {
				collect(file, kind, item)
			}
		case map[string]any:
			for key, item := range v {
				if strings.HasPrefix(key, "aws_") {
					collect(file, key, item)
				} else if _, nested := item.(map[string]any); nested || slices.Contains(attributeKeys, key) {
					collect(file, kind, item)
				}
			}
		}
	}
	for file, content := range data {
		parameters, _ := content["parameters"].(map[string]any)
		for _, table := range tables {
			collect(filepath.Join(dir, file), "", parameters[table])
			collect(filepath.Join(dir, file), "", content[table])
		}
	}
	return named
}

// familyData reads the data files of a family by name.
func familyData(t *testing.T, family string) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("plan", family, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no data: %v", family, err)
	}
	all := map[string]map[string]any{}
	for _, file := range files {
		content := map[string]any{}
		readYAML(t, file, &content)
		all[filepath.Base(file)] = content
	}
	return all
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalWithOptions(content, into, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func ruleIDs(t *testing.T, family string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for name, text := range sources(t) {
		if strings.HasPrefix(name, "plan/"+family+"/") {
			for _, match := range ruleID.FindAllSubmatch(text, -1) {
				ids[string(match[1])] = true
			}
		}
	}
	return ids
}

const (
	taggableFile   = "plan/required_tags/taggable.yaml"
	taggableHeader = "# Types that have tags, with the attribute that holds them, from the schema of the AWS provider %s.\n" +
		"# Made by go test ./policies -run TestSchema -update; do not edit.\ntaggable:\n"
)

// checkTaggable compares the types that can carry tags. They are data of the set, because a plan does
// not hold the schema.
func checkTaggable(t *testing.T, schema providerSchema) {
	t.Helper()
	var want bytes.Buffer
	fmt.Fprintf(&want, taggableHeader, schema.version)
	for _, kind := range slices.Sorted(maps.Keys(schema.types)) {
		if schema.settable[kind+".tags"] && schema.has(kind+".tags_all") {
			fmt.Fprintf(&want, "  %s: tags\n", kind)
		}
	}
	if *update {
		if err := os.WriteFile(taggableFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(taggableFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("policies/%s is not what the AWS provider %s has; go test ./policies -run TestSchema -update writes it (-want +got):\n%s", taggableFile, schema.version, diff)
	}
}
