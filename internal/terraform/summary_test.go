package terraform_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/terraform"
)

const before = `
resource "terraform_data" "updated"   { input = { a = "1", b = 2.50 } }
resource "terraform_data" "replaced"  {
  input            = "x"
  triggers_replace = "1"
}
resource "terraform_data" "deleted"   {}
resource "terraform_data" "forgotten" {}
resource "terraform_data" "old"       {}
resource "terraform_data" "same"      { input = "s" }
output "gone" { value = 1 }
output "same" { value = "s" }
`

const after = `
resource "terraform_data" "updated"   { input = { a = "2", b = 2.50 } }
resource "terraform_data" "replaced"  {
  input            = "x"
  triggers_replace = "2"
}
removed {
  from = terraform_data.forgotten
  lifecycle {
    destroy = false
  }
}
moved {
  from = terraform_data.old
  to   = terraform_data.new["k.1"]
}
resource "terraform_data" "new" { for_each = toset(["k.1"]) }
import {
  to = terraform_data.imported
  id = "i-1"
}
resource "terraform_data" "imported" {}
resource "terraform_data" "created"  { input = terraform_data.replaced.id }
resource "terraform_data" "same"     { input = "s" }
data "terraform_remote_state" "late" {
  backend    = "local"
  config     = { path = "${terraform_data.created.id}" }
}
output "same" { value = "s" }
output "new"  { value = terraform_data.created.id }
`

// rewrite replaces the main.tf of a module.
func rewrite(t *testing.T, m terraform.Module, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.Root, "stack", "main.tf"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

// applied returns a module whose state is that of a configuration.
func applied(t *testing.T, b *bench, config string) terraform.Module {
	t.Helper()
	m := module(t, map[string]string{"main.tf": config})
	_, file, _ := plan(t, b, m)
	if out, exit := apply(t, b, m, file); exit != 0 {
		t.Fatalf("apply: exit %d\n%s", exit, out)
	}
	return m
}

// stateVersion reads which state a module has now, from the file of its backend.
func stateVersion(t *testing.T, m terraform.Module) change.StateVersion {
	t.Helper()
	text, err := os.ReadFile(m.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Lineage string
		Serial  int64
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	return change.StateVersion{Lineage: state.Lineage, Serial: state.Serial}
}

func TestSummaryOfEveryAction(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := applied(t, b, before)
	rewrite(t, m, after)
	p, _, _ := plan(t, b, m)

	want := change.PlanSummary{
		Counts: change.Counts{Create: 1, Update: 1, Replace: 1, Delete: 1, Forget: 1, Import: 1, Move: 1, Outputs: 2},
		Changes: []change.ResourceChange{
			{Address: "terraform_data.deleted", Type: "terraform_data", Action: change.Delete},
			{Address: "terraform_data.replaced", Type: "terraform_data", Action: change.Replace, Attributes: []string{"id", "output", "triggers_replace"}, ForcesReplace: []string{"triggers_replace"}},
			{Address: "terraform_data.forgotten", Type: "terraform_data", Action: change.Forget},
			{Address: "terraform_data.created", Type: "terraform_data", Action: change.Create},
			{Address: "terraform_data.updated", Type: "terraform_data", Action: change.Update, Attributes: []string{"input", "output"}},
			{Address: "terraform_data.imported", Type: "terraform_data", Action: change.NoOp, Importing: true},
			{Address: `terraform_data.new["k.1"]`, PreviousAddress: "terraform_data.old", Type: "terraform_data", Action: change.NoOp},
		},
		EffectDigest:     p.Summary.EffectDigest,
		TerraformVersion: b.Version(),
		State:            stateVersion(t, m),
	}
	if diff := cmp.Diff(want, p.Summary); diff != "" {
		t.Error(diff)
	}
	if again, _, _ := plan(t, b, m); again.Summary.EffectDigest != p.Summary.EffectDigest || !strings.HasPrefix(p.Summary.EffectDigest, "sha256:") {
		t.Errorf("the same plan has digests %s and %s", p.Summary.EffectDigest, again.Summary.EffectDigest)
	}
	rewrite(t, m, before)
	if p, _, _ := plan(t, b, m); !p.Summary.Counts.Empty() || len(p.Summary.Changes) != 0 {
		t.Errorf("no change: %+v", p.Summary)
	}
}

// fixture is a plan as show -json prints it, with room for what a test adds.
func fixture(t *testing.T, changes ...map[string]any) map[string]any {
	t.Helper()
	if changes == nil {
		changes = []map[string]any{resource("aws_x.a", update(`{"v":1}`, `{"v":2}`))}
	}
	return map[string]any{
		"format_version": "1.2", "terraform_version": "1.11.4", "timestamp": "2026-01-02T03:04:05Z",
		"complete": true, "errored": false, "applyable": true, "resource_changes": changes,
	}
}

func resource(address string, c map[string]any) map[string]any {
	return map[string]any{"address": address, "mode": "managed", "type": "aws_x", "name": "a", "provider_name": "aws", "change": c}
}

func update(before, after string) map[string]any {
	return map[string]any{
		"actions": []string{"update"}, "before": json.RawMessage(before), "after": json.RawMessage(after),
		"after_unknown": map[string]any{}, "before_sensitive": map[string]any{}, "after_sensitive": map[string]any{},
	}
}

func with(m map[string]any, name string, value any) map[string]any {
	m[name] = value
	return m
}

func summarise(t *testing.T, doc map[string]any) (change.PlanSummary, error) {
	t.Helper()
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return terraform.Summarise(data, key)
}

func TestOnlyCompletePlansCount(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(map[string]any)
		good   bool
	}{
		"complete":       {func(map[string]any) {}, true},
		"older version":  {func(d map[string]any) { delete(d, "complete"); delete(d, "errored") }, true},
		"errored":        {func(d map[string]any) { d["errored"] = true }, false},
		"incomplete":     {func(d map[string]any) { d["complete"] = false }, false},
		"deferred":       {func(d map[string]any) { d["deferred_changes"] = []any{map[string]any{"reason": "x"}} }, false},
		"unknown format": {func(d map[string]any) { d["format_version"] = "2.0" }, false},
		"no format":      {func(d map[string]any) { delete(d, "format_version") }, false},
		"unknown action": {func(d map[string]any) {
			d["resource_changes"] = []any{resource("aws_x.a", map[string]any{"actions": []string{"detonate"}})}
		}, false},
		"no change": {func(d map[string]any) {
			d["resource_changes"] = []any{map[string]any{"address": "aws_x.a", "mode": "managed"}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := fixture(t)
			tt.change(doc)
			if _, err := summarise(t, doc); (err == nil) != tt.good {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := terraform.Summarise([]byte("{"), key); err == nil {
		t.Error("half a document counts")
	}
	if _, err := terraform.Summarise(nil, key); err == nil {
		t.Error("nothing counts")
	}
	var f *terraform.Failure
	if _, err := summarise(t, with(fixture(t), "errored", true)); !errors.Is(err, terraform.ErrIncomplete) || !errors.As(err, &f) {
		t.Errorf("error is %v", err)
	}
}

func TestEffectDigest(t *testing.T) {
	t.Parallel()
	one := func(c map[string]any) map[string]any { return fixture(t, resource("aws_x.a", c)) }
	digest := func(doc map[string]any) string {
		t.Helper()
		s, err := summarise(t, doc)
		if err != nil {
			t.Fatal(err)
		}
		return s.EffectDigest
	}
	base := digest(fixture(t))
	noop := map[string]any{"actions": []string{"no-op"}, "before": map[string]any{"v": 1}, "after": map[string]any{"v": 1}}
	for name, doc := range map[string]map[string]any{
		"other time":      with(fixture(t), "timestamp", "2027-01-01T00:00:00Z"),
		"drift":           with(fixture(t), "resource_drift", []any{resource("aws_x.z", noop)}),
		"other reason":    fixture(t, with(resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), "action_reason", "x")),
		"untouched added": fixture(t, resource("aws_x.0", noop), resource("aws_x.a", update(`{"v":1}`, `{"v":2}`))),
		"unmoved":         fixture(t, with(resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), "deposed", "")),
	} {
		if got := digest(doc); got != base {
			t.Errorf("%s: the effect is the same, the digest is not", name)
		}
	}
	seen := map[string]string{base: "base"}
	for name, doc := range map[string]map[string]any{
		"after":            one(update(`{"v":1}`, `{"v":3}`)),
		"number as string": one(update(`{"v":1}`, `{"v":"2"}`)),
		"large number":     one(update(`{"v":1}`, `{"v":9007199254740993}`)),
		"larger number":    one(update(`{"v":1}`, `{"v":9007199254740992}`)),
		"before":           one(update(`{"v":0}`, `{"v":2}`)),
		"unknown":          one(with(update(`{"v":1}`, `{}`), "after_unknown", map[string]any{"v": true})),
		"action":           one(with(update(`{"v":1}`, `{"v":2}`), "actions", []string{"delete", "create"})),
		"create first":     one(with(update(`{"v":1}`, `{"v":2}`), "actions", []string{"create", "delete"})),
		"forced by":        one(with(update(`{"v":1}`, `{"v":2}`), "replace_paths", [][]any{{"v"}})),
		"importing":        one(with(update(`{"v":1}`, `{"v":2}`), "importing", map[string]any{"id": "i-1"})),
		"other import":     one(with(update(`{"v":1}`, `{"v":2}`), "importing", map[string]any{"id": "i-2"})),
		"address":          fixture(t, resource("aws_x.b", update(`{"v":1}`, `{"v":2}`))),
		"moved":            fixture(t, with(resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), "previous_address", "aws_x.b")),
		"deposed":          fixture(t, with(resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), "deposed", "d1")),
		"provider":         fixture(t, with(resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), "provider_name", "other")),
		"one more":         fixture(t, resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), resource("aws_x.b", update(`{"v":1}`, `{"v":2}`))),
		"none":             with(fixture(t), "resource_changes", []any{}),
		"output":           with(fixture(t), "output_changes", map[string]any{"o": update(`1`, `2`)}),
		"other output":     with(fixture(t), "output_changes", map[string]any{"o": update(`1`, `3`)}),
		"late read":        fixture(t, resource("aws_x.a", update(`{"v":1}`, `{"v":2}`)), with(resource("data.aws_x.d", with(update(`null`, `{}`), "actions", []string{"read"})), "mode", "data")),
		"action invoked":   with(fixture(t), "action_invocations", []any{map[string]any{"address": "action.x.y"}}),
	} {
		got := digest(doc)
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[got] = name
	}
}

// Covers: T54
func TestEffectDigestHidesSensitiveValues(t *testing.T) {
	t.Parallel()
	secret := func(value string, marks any) []byte {
		c := with(update(`{"list":[{"p":"old"},{"q":1}]}`, `{"list":[{"p":`+value+`},{"q":1}]}`), "after_sensitive", marks)
		data, err := json.Marshal(fixture(t, resource("aws_x.a", c)))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	marked := map[string]any{"list": []any{map[string]any{"p": true}, map[string]any{}}}
	digest := func(data, key []byte) string {
		t.Helper()
		s, err := terraform.Summarise(data, key)
		if err != nil {
			t.Fatal(err)
		}
		return s.EffectDigest
	}
	other := bytes.Repeat([]byte("o"), 32)
	if digest(secret(`"a"`, marked), key) == digest(secret(`"b"`, marked), key) {
		t.Error("another secret is another effect")
	}
	if first, again := digest(secret(`"a"`, marked), key), digest(secret(`"a"`, marked), key); first != again {
		t.Error("the same secret is the same effect")
	}
	if digest(secret(`"a"`, marked), key) == digest(secret(`"a"`, marked), other) {
		t.Error("the secret enters the digest without the key")
	}
	if digest(secret(`"a"`, map[string]any{}), key) != digest(secret(`"a"`, map[string]any{}), other) {
		t.Error("the key matters although nothing is secret")
	}
	// Marks of another shape than the value hide all of it.
	odd := map[string]any{"list": []any{map[string]any{"p": true}}}
	if digest(secret(`"a"`, odd), key) == digest(secret(`"a"`, odd), other) {
		t.Error("a secret with odd marks enters the digest without the key")
	}
	if _, err := terraform.Summarise(secret(`"a"`, marked), key[:31]); err == nil {
		t.Error("a short key is accepted")
	}
}
