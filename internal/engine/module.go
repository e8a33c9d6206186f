package engine

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/terraform"
)

// Environment are the settings of a guarded repository that come from the server's environment:
// values of root variables by the variable's name, and what completes a partial S3 backend by the
// environment variable's name.
type Environment map[string]string

// Module says how Terraform is to be run for a project whose tree is at root, and returns the
// identity of its state, which is what an apply locks: two projects with one state are one.
// Repositories have to differ in scope, and so does the directory in which the state of a project
// without a remote backend is kept.
func (env Environment) Module(root string, p change.Project, source *hclsource.Module, scope, states string) (terraform.Module, string, error) {
	m := terraform.Module{Root: root, Dir: p.Dir, Workspace: p.Workspace, Key: path.Join(scope, p.Dir, p.Workspace),
		InitKey: source.InitKey(), Variables: map[string]string{}, Backend: map[string]string{}}
	for _, v := range source.Variables() {
		if value, ok := env[v.Name]; ok {
			m.Variables[v.Name] = value
		}
	}
	b := source.Backend()
	switch {
	case !b.Present && !b.Cloud, b.Type == "local":
		m.StatePath = filepath.Clean(b.Attributes["path"])
		if m.StateNamed = filepath.IsAbs(m.StatePath); !m.StateNamed {
			m.StatePath = filepath.Join(states, filepath.FromSlash(p.Dir), "terraform.tfstate")
		}
		return m, path.Join("local", filepath.ToSlash(m.StatePath), p.Workspace), nil
	case b.Type == "s3":
		key, err := env.s3(&m, p, b)
		return m, key, err
	}
	return m, elsewhere(b, p, scope), nil
}

// elsewhere identifies the state in a backend of another type by all that its block says, so that
// two directories with one state share a lock. A block that says it in part, or from expressions,
// is only known by its directory.
func elsewhere(b hclsource.Backend, p change.Project, scope string) string {
	if len(b.Attributes) == 0 || len(b.Computed) > 0 {
		return path.Join(b.Type, scope, p.Dir, p.Workspace)
	}
	parts := []string{b.Type}
	for _, name := range slices.Sorted(maps.Keys(b.Attributes)) {
		parts = append(parts, name+"="+b.Attributes[name])
	}
	return strings.Join(append(parts, p.Workspace), "\n")
}

// s3 fills what a partial backend block leaves out.
func (env Environment) s3(m *terraform.Module, p change.Project, b hclsource.Backend) (string, error) {
	fill := func(name, value string) string {
		if b.Attributes[name] != "" || slices.Contains(b.Computed, name) {
			return b.Attributes[name]
		}
		if value != "" {
			m.Backend[name] = value
		}
		return value
	}
	bucket := fill("bucket", env["TERRAFORM_STATE_BUCKET"])
	fill("region", env["TERRAFORM_STATE_BUCKET_REGION"])
	key := fill("key", path.Join(env["ENVIRONMENT_SUFFIX"], p.Dir+".tfstate"))
	if bucket == "" {
		return "", fault.New(fmt.Sprintf("The S3 backend of %s names no bucket.", p.Name), "Without it Terraform does not know where the state is.",
			"Write `bucket` in the backend block, or set TERRAFORM_STATE_BUCKET and TERRAFORM_STATE_BUCKET_REGION for the server.")
	}
	return path.Join("s3", bucket, key, p.Workspace), nil
}
