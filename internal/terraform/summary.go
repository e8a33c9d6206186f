package terraform

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// document is what we read of a plan's JSON. It is not tfjson.Plan because that drops "errored",
// without which the plan of an interrupted run looks like one that changes nothing.
type document struct {
	FormatVersion    string                   `json:"format_version"`
	TerraformVersion string                   `json:"terraform_version"`
	Errored          bool                     `json:"errored"`
	Complete         *bool                    `json:"complete"`
	Resources        []*tfjson.ResourceChange `json:"resource_changes"`
	Outputs          map[string]tfjson.Change `json:"output_changes"`
	Deferred         []json.RawMessage        `json:"deferred_changes"`
	Invocations      []any                    `json:"action_invocations"`
}

// Summarise reads the output of show -json. It returns an error unless the plan is complete. The
// key hides the sensitive values in the effect digest.
func Summarise(planJSON []byte, key []byte) (change.PlanSummary, error) {
	doc, err := decode(planJSON)
	if err != nil {
		return change.PlanSummary{}, err
	}
	s := change.PlanSummary{TerraformVersion: doc.TerraformVersion}
	for _, r := range doc.Resources {
		if err := summarise(&s, r); err != nil {
			return change.PlanSummary{}, err
		}
	}
	for _, o := range doc.Outputs {
		if !o.Actions.NoOp() {
			s.Counts.Outputs++
		}
	}
	slices.SortFunc(s.Changes, func(a, b change.ResourceChange) int {
		return cmp.Or(cmp.Compare(rank(a.Action), rank(b.Action)), strings.Compare(a.Address, b.Address))
	})
	s.EffectDigest, err = effectDigest(doc, key)
	return s, err
}

func decode(planJSON []byte) (*document, error) {
	var doc document
	dec := json.NewDecoder(bytes.NewReader(planJSON))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if err := (&tfjson.Plan{FormatVersion: doc.FormatVersion}).Validate(); err != nil {
		return nil, fault.Wrap(err, "The plan has a format that Tollgate does not know.",
			"It could be misread, so it is not judged.", "Use a Terraform version that this Tollgate supports.")
	}
	if doc.Errored || (doc.Complete != nil && !*doc.Complete) || len(doc.Deferred) > 0 {
		return nil, fault.Wrap(&Failure{Kind: ErrIncomplete}, "Terraform has not planned everything.",
			"What is missing cannot be judged, so the plan cannot be approved.",
			"Remove whatever keeps Terraform from planning it all, such as a deferred resource or an interruption, and comment `/plan`.")
	}
	for _, r := range doc.Resources {
		if r.Change == nil {
			return nil, fmt.Errorf("plan has no change for %s", r.Address)
		}
	}
	return &doc, nil
}

// summarise adds one resource to the summary.
func summarise(s *change.PlanSummary, r *tfjson.ResourceChange) error {
	if r.Mode == tfjson.DataResourceMode {
		return nil
	}
	action, err := actionOf(r)
	if err != nil {
		return err
	}
	c := change.ResourceChange{
		Address: r.Address, Type: r.Type, Action: action, Importing: r.Change.Importing != nil,
	}
	if r.PreviousAddress != r.Address {
		c.PreviousAddress = r.PreviousAddress
	}
	if action == change.Update || action == change.Replace {
		c.Attributes = changedAttributes(r.Change)
		c.ForcesReplace = paths(r.Change.ReplacePaths)
	}
	count(&s.Counts, c)
	if action != change.NoOp || c.Importing || c.PreviousAddress != "" {
		s.Changes = append(s.Changes, c)
	}
	return nil
}

// actionOf fails on anything unknown: a plan whose effect is not understood must not be judged.
func actionOf(r *tfjson.ResourceChange) (change.Action, error) {
	switch a := r.Change.Actions; {
	case a.Replace():
		return change.Replace, nil
	case a.Delete():
		return change.Delete, nil
	case a.Forget():
		return change.Forget, nil
	case a.Create():
		return change.Create, nil
	case a.Update():
		return change.Update, nil
	case a.NoOp():
		return change.NoOp, nil
	default:
		return "", fault.New(fmt.Sprintf("The plan wants %q for `%s`, which Tollgate does not know.", a, r.Address),
			"A plan that is not understood cannot be judged.", "Use a Terraform version that this Tollgate supports.")
	}
}

func count(n *change.Counts, c change.ResourceChange) {
	switch c.Action {
	case change.Delete:
		n.Delete++
	case change.Replace:
		n.Replace++
	case change.Forget:
		n.Forget++
	case change.Create:
		n.Create++
	case change.Update:
		n.Update++
	}
	if c.Importing {
		n.Import++
	}
	if c.PreviousAddress != "" {
		n.Move++
	}
}

// rank is the position of an action in the order in which a reviewer must see them.
func rank(a change.Action) int {
	return slices.Index([]change.Action{
		change.Delete, change.Replace, change.Forget, change.Create, change.Update, change.Read, change.NoOp,
	}, a)
}

// changedAttributes names the top-level attributes whose value, or whose sensitivity, changes or
// may change.
func changedAttributes(c *tfjson.Change) []string {
	before, after := object(c.Before), object(c.After)
	unknown := object(c.AfterUnknown)
	wasSensitive, isSensitive := object(c.BeforeSensitive), object(c.AfterSensitive)
	names := make(map[string]bool)
	for _, o := range []map[string]any{before, after, unknown} {
		for k := range o {
			if !equal(before[k], after[k]) || anyTrue(unknown[k]) || anyTrue(wasSensitive[k]) != anyTrue(isSensitive[k]) {
				names[k] = true
			}
		}
	}
	return sortedKeys(names)
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// equal compares decoded JSON. Maps encode with sorted keys, so equal values encode equally.
func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// anyTrue reports whether a tree of marks holds a true.
func anyTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case []any:
		return slices.ContainsFunc(v, anyTrue)
	case map[string]any:
		for _, e := range v {
			if anyTrue(e) {
				return true
			}
		}
	}
	return false
}

// paths writes attribute paths as a[0].b["key"].
func paths(raw []any) []string {
	var all []string
	for _, p := range raw {
		steps, _ := p.([]any)
		var b strings.Builder
		for _, s := range steps {
			switch s := s.(type) {
			case json.Number:
				fmt.Fprintf(&b, "[%s]", s)
			case string:
				writeStep(&b, s)
			}
		}
		if b.Len() > 0 {
			all = append(all, b.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func writeStep(b *strings.Builder, s string) {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	switch {
	case !plain:
		fmt.Fprintf(b, "[%s]", strconv.Quote(s))
	case b.Len() == 0:
		b.WriteString(s)
	default:
		b.WriteString("." + s)
	}
}
