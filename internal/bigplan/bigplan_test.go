package bigplan_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/bigplan"
)

const seed = `{
  "format_version": "1.2", "terraform_version": "1.11.4",
  "variables": {"region": {"value": "eu-central-1"}},
  "planned_values": {"root_module": {"resources": [{"address": "aws_subnet.a", "values": {"id": "subnet-0123456789abcdef0"}}],
    "child_modules": [{"address": "module.m", "resources": [{"address": "module.m.aws_eip.b[0]", "values": {}}]}]}},
  "resource_changes": [
    {"address": "aws_subnet.a", "type": "aws_subnet", "change": {"actions": ["no-op"], "after": {"id": "subnet-0123456789abcdef0"}}},
    {"address": "module.m.aws_eip.b[0]", "module_address": "module.m", "type": "aws_eip", "change": {"actions": ["create"], "after": {"name": "b"}}}],
  "prior_state": {"values": {"root_module": {"resources": [{"address": "aws_subnet.a", "values": {"id": "subnet-0123456789abcdef0"}}]}}},
  "configuration": {"provider_config": {"aws": {"name": "aws"}}, "root_module": {
    "resources": [{"address": "aws_subnet.a", "type": "aws_subnet", "name": "a", "provider_config_key": "aws"}]}}
}`

type plan struct {
	ResourceChanges []struct {
		Address       string
		ModuleAddress string `json:"module_address"`
		Change        struct{ After map[string]any }
	} `json:"resource_changes"`
	PriorState struct {
		Values struct {
			RootModule struct {
				ChildModules []struct {
					Address   string
					Resources []struct{ Values map[string]any }
				} `json:"child_modules"`
			} `json:"root_module"`
		}
	} `json:"prior_state"`
	Configuration struct {
		ProviderConfig map[string]any `json:"provider_config"`
		RootModule     struct {
			ModuleCalls map[string]struct {
				Module struct {
					Resources []struct {
						Key string `json:"provider_config_key"`
					}
				}
			} `json:"module_calls"`
		} `json:"root_module"`
	}
}

func write(t *testing.T, resources int, seeds ...[]byte) ([]byte, plan) {
	t.Helper()
	var b bytes.Buffer
	if err := bigplan.Write(&b, resources, seeds...); err != nil {
		t.Fatal(err)
	}
	var p plan
	if err := json.Unmarshal(b.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), p
}

func TestCopiesAreWholeAndDiffer(t *testing.T) {
	t.Parallel()
	first, p := write(t, 50, []byte(seed))
	again, _ := write(t, 50, []byte(seed))
	if !bytes.Equal(first, again) {
		t.Error("the same seed gave another plan")
	}
	addresses, ids := map[string]bool{}, map[any]bool{}
	for _, r := range p.ResourceChanges {
		addresses[r.Address] = true
		if id, ok := r.Change.After["id"]; ok {
			ids[id] = true
		}
	}
	if n := len(p.ResourceChanges); n != 50 || len(addresses) != n || len(ids) != n/2 {
		t.Errorf("%d changes with %d addresses and %d ids, want 50, 50 and 25", n, len(addresses), len(ids))
	}
	if r := p.ResourceChanges[1]; r.Address != `module.stack_000["team-00"].module.m.aws_eip.b[0]` || r.ModuleAddress != `module.stack_000["team-00"].module.m` {
		t.Errorf("the second change is %+v", r)
	}
	prior := p.PriorState.Values.RootModule.ChildModules
	if len(prior) != 25 || prior[0].Resources[0].Values["id"] != p.ResourceChanges[0].Change.After["id"] {
		t.Errorf("the prior state holds %d modules, the first is %+v", len(prior), prior[0])
	}
	calls := p.Configuration.RootModule.ModuleCalls
	key := calls["stack_001"].Module.Resources[0].Key
	if len(calls) != 5 || p.Configuration.ProviderConfig[key] == nil {
		t.Errorf("%d calls, provider %q of the second is not configured", len(calls), key)
	}
}

func TestSeedsTakeTurns(t *testing.T) {
	t.Parallel()
	other := bytes.ReplaceAll([]byte(seed), []byte("aws_eip.b[0]"), []byte("aws_eip.other"))
	_, p := write(t, 20, []byte(seed), other)
	if got := p.ResourceChanges[11].Address; got != `module.stack_001["team-00"].module.m.aws_eip.other` {
		t.Errorf("the second call begins with %s", got)
	}
}

func TestSeedMustBeAPlan(t *testing.T) {
	t.Parallel()
	if err := bigplan.Write(&bytes.Buffer{}, 10, []byte(seed)); err != nil {
		t.Errorf("Write: %v", err)
	}
	if err := bigplan.Write(&bytes.Buffer{}, 10, []byte("Error: no plan")); err == nil {
		t.Error("Write took a seed that is no plan")
	}
	if err := bigplan.Write(&bytes.Buffer{}, 10, []byte(`{"resource_changes": []}`)); err == nil {
		t.Error("Write took a seed without resources, of which no number of copies is enough")
	}
}

// What Terraform itself writes can be copied.
func TestRealPlans(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../policies/testdata/*/*/plan.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plans: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, p := write(t, 1, content)
		if len(p.ResourceChanges) == 0 {
			t.Errorf("%s: nothing copied", file)
		}
	}
}
