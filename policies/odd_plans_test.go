package policies_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// oddPlans is how many odd variants of each fixture are judged.
const oddPlans = 3

// Terraform plans much that no fixture shows: blocks that are written twice, ids that several resources
// share, values that are null or unknown, documents that hold anything. An evaluation that fails refuses
// the whole plan, so none of that may make it fail.
func TestOddPlansAreJudged(t *testing.T) {
	t.Parallel()
	built := newSuite(sources(t))
	for _, f := range fixtures(t) {
		t.Run(path.Join(f.family, filepath.Base(f.dir)), func(t *testing.T) {
			t.Parallel()
			set, err := built.set(f)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(oddPlans) {
				if _, err := set.JudgePlan(context.Background(), oddPlan(t, f, seed)); err != nil {
					t.Errorf("variant %d: %v", seed, err)
				}
			}
		})
	}
}

func oddPlan(t *testing.T, f fixture, seed uint64) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	o := odd{rand.New(rand.NewPCG(seed, 0))}
	var changes []any
	for _, r := range plan["resource_changes"].([]any) {
		changes = append(changes, o.resources(r.(map[string]any))...)
	}
	plan["resource_changes"] = changes
	if prior, ok := plan["prior_state"].(map[string]any); ok {
		prior["values"] = o.value(prior["values"])
	}
	text, err = json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// odd makes values odd, in ways that depend on its seed only.
type odd struct{ random *rand.Rand }

func (o odd) now(share float64) bool { return o.random.Float64() < share }

// resources are two or three of the resource, with different values but often with one id.
func (o odd) resources(r map[string]any) []any {
	var all []any
	for i := range 2 + o.random.IntN(2) {
		change := maps.Clone(r["change"].(map[string]any))
		if after, ok := change["after"].(map[string]any); ok {
			known, unknown := o.value(after), change["after_unknown"]
			if o.now(0.5) {
				known, unknown = o.hide(known)
			}
			change["after"], change["after_unknown"] = known, unknown
		}
		twin := maps.Clone(r)
		twin["change"] = change
		if i > 0 {
			twin["index"] = i
			twin["address"] = fmt.Sprintf("%s[%d]", r["address"], i)
		}
		all = append(all, twin)
	}
	return all
}

// value is another value of the same type, or null.
func (o odd) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		other := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			other[key] = o.value(v[key])
		}
		return other
	case []any:
		return o.list(v, o.value)
	case string:
		return o.text(v)
	case bool:
		return o.orNull(v != o.now(0.2))
	case float64:
		return o.orNull(v + float64(o.random.IntN(2)))
	}
	return v
}

// list holds each element up to four times, and sometimes null or nothing.
func (o odd) list(v []any, vary func(any) any) []any {
	other := []any{}
	for _, element := range v {
		for range 1 + o.random.IntN(4) {
			other = append(other, vary(element))
		}
	}
	switch {
	case o.now(0.05):
		return []any{}
	case o.now(0.1):
		return append(other, nil)
	}
	return other
}

func (o odd) text(v string) any {
	var document any
	if err := json.Unmarshal([]byte(v), &document); err == nil {
		if text, err := json.Marshal(o.any(document)); err == nil {
			return string(text)
		}
	}
	if o.now(0.05) {
		return []any{"", "{}", "[1]", "null", v + "x"}[o.random.IntN(5)]
	}
	return o.orNull(v)
}

func (o odd) orNull(v any) any {
	if o.now(0.08) {
		return nil
	}
	return v
}

// any is like value, but of any type: nobody checks what stands in a document.
func (o odd) any(v any) any {
	if o.now(0.1) {
		return []any{nil, true, 7, "word", []any{nil, 1}, map[string]any{"a": 1}}[o.random.IntN(6)]
	}
	switch v := v.(type) {
	case map[string]any:
		other := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			other[key] = o.any(v[key])
		}
		return other
	case []any:
		return o.list(v, o.any)
	}
	return v
}

// hide makes some values unknown, most of those that are null.
func (o odd) hide(v any) (known, unknown any) {
	switch v := v.(type) {
	case map[string]any:
		open, hidden := map[string]any{}, map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if o.now(0.03) || v[key] == nil && o.now(0.6) {
				hidden[key] = true
				continue
			}
			open[key], hidden[key] = o.hide(v[key])
		}
		return open, hidden
	case []any:
		open, hidden := []any{}, []any{}
		for _, element := range v {
			known, unknown := o.hide(element)
			open, hidden = append(open, known), append(hidden, unknown)
		}
		return open, hidden
	}
	return v, v == nil
}
