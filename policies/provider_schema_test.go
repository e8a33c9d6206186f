package policies_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/toolchain"
	"github.com/tollgate/tollgate/internal/toolchain/toolchaintest"
)

// providerSchema is what the AWS provider says of its resource types, as paths such as
// aws_lb_listener.default_action.redirect.protocol.
type providerSchema struct {
	version  string
	types    map[string]bool
	settable map[string]bool // what a configuration may set: attributes, and blocks without any
	others   map[string]bool // what it may not set, and blocks
}

func (s providerSchema) has(path string) bool { return s.settable[path] || s.others[path] }

// schemaBlock is a block or a nested attribute in the output of terraform providers schema.
type schemaBlock struct {
	Attributes map[string]struct {
		Type               any
		NestedType         *schemaBlock `json:"nested_type"`
		Optional, Required bool
	}
	BlockTypes map[string]struct{ Block schemaBlock } `json:"block_types"`
}

func (s providerSchema) addBlock(path string, b schemaBlock) {
	s.others[path] = true
	for name, a := range b.Attributes {
		if a.NestedType != nil {
			s.addBlock(path+"."+name, *a.NestedType)
			continue
		}
		s.addType(path+"."+name, a.Type, a.Optional || a.Required)
	}
	for name, inner := range b.BlockTypes {
		s.addBlock(path+"."+name, inner.Block)
		if len(inner.Block.Attributes)+len(inner.Block.BlockTypes) == 0 {
			s.settable[path+"."+name] = true
		}
	}
}

// addType adds an attribute. A list of objects is a block in all but name.
func (s providerSchema) addType(path string, kind any, settable bool) {
	for {
		parts, ok := kind.([]any)
		if !ok || len(parts) != 2 {
			break
		}
		if object, ok := parts[1].(map[string]any); ok && parts[0] == "object" {
			s.others[path] = true
			for name, inner := range object {
				s.addType(path+"."+name, inner, settable)
			}
			return
		}
		kind = parts[1]
	}
	if settable {
		s.settable[path] = true
	} else {
		s.others[path] = true
	}
}

func newSchema(version string, kinds map[string]struct{ Block schemaBlock }) providerSchema {
	s := providerSchema{version: version, types: map[string]bool{}, settable: map[string]bool{}, others: map[string]bool{}}
	for kind, schema := range kinds {
		s.types[kind] = true
		// How long Terraform waits says nothing about the resource.
		delete(schema.Block.BlockTypes, "timeouts")
		s.addBlock(kind, schema.Block)
		// The schema calls it optional for the sake of older versions.
		delete(s.settable, kind+".id")
		s.others[kind+".id"] = true
	}
	return s
}

var versionLine = regexp.MustCompile(`(version\s*=\s*)"([^"]+)"`)

func readSchema(t *testing.T) providerSchema {
	t.Helper()
	code, err := os.ReadFile("testdata/provider.tf")
	if err != nil {
		t.Fatal(err)
	}
	version := string(versionLine.FindSubmatch(code)[2])
	config := toolchaintest.CLIConfig(t)
	if *otherProvider != "" {
		code = versionLine.ReplaceAll(code, []byte(`${1}"`+*otherProvider+`"`))
		version, config = *otherProvider, anySource(t, *otherProvider, config)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "provider.tf"), code, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), toolchaintest.Terraform(t), args...)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + dir, "TF_CLI_CONFIG_FILE=" + config}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return out
	}
	run("init", "-no-color", "-backend=false", "-input=false")
	var output struct {
		Providers map[string]struct {
			Resources map[string]struct{ Block schemaBlock } `json:"resource_schemas"`
		} `json:"provider_schemas"`
	}
	if err := json.Unmarshal(run("providers", "schema", "-json"), &output); err != nil {
		t.Fatalf("read the schema: %v", err)
	}
	for name, provider := range output.Providers {
		if strings.HasSuffix(name, "/hashicorp/aws") {
			return newSchema(version, provider.Resources)
		}
	}
	t.Fatal("Terraform shows no schema of hashicorp/aws")
	return providerSchema{}
}

// anySource is a CLI configuration that may download a provider which the machine's mirrors lack.
func anySource(t *testing.T, version, mirrored string) string {
	t.Helper()
	for _, mirror := range toolchaintest.Mirrors(t) {
		if found, _ := filepath.Glob(filepath.Join(mirror, "*", "hashicorp", "aws", version)); len(found) > 0 {
			return mirrored
		}
	}
	file := filepath.Join(t.TempDir(), "direct.tfrc")
	if err := os.WriteFile(file, []byte(toolchain.CLIConfig(nil)), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
