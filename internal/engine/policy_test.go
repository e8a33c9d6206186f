package engine

import (
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/waiver"
)

func waiverList(t *testing.T, addresses ...string) waiver.List {
	t.Helper()
	text := "waivers:"
	for _, a := range addresses {
		text += fmt.Sprintf("\n- {rule: plan.x/r, address: %s, reason: Needed until the migration, owner: '@ada', expires: 2027-01-31}", a)
	}
	if len(addresses) == 0 {
		text += " []"
	}
	l, err := waiver.Parse("policies/waivers.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A base branch that anybody can make waives nothing that the default branch does not waive.
func TestOnlyWhatEveryBranchWaivesIsWaived(t *testing.T) {
	t.Parallel()
	result := gate.Result{ResourcesJudged: 3}
	for _, a := range []string{"aws_a.both", "aws_a.base", "aws_a.protected"} {
		result.Findings = append(result.Findings, change.Finding{Policy: "plan.x", Rule: "r", Address: a, Verdict: change.Fail, Severity: change.Deny})
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	base, protected := waiverList(t, "aws_a.both", "aws_a.base"), waiverList(t, "aws_a.both", "aws_a.protected")
	for name, c := range map[string]struct {
		lists []waiver.List
		want  []string
	}{
		"none":            {nil, nil},
		"base":            {[]waiver.List{base}, []string{"aws_a.both", "aws_a.base"}},
		"base, protected": {[]waiver.List{base, protected}, []string{"aws_a.both"}},
		"protected, base": {[]waiver.List{protected, base}, []string{"aws_a.both"}},
		"base, empty":     {[]waiver.List{base, waiverList(t)}, nil},
		"empty, base":     {[]waiver.List{waiverList(t), base}, nil},
		"base, nothing":   {[]waiver.List{base, {}}, nil},
	} {
		var got []string
		for _, f := range waive(c.lists, result, now).findings {
			if f.Verdict == change.Waived {
				got = append(got, f.Address)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: waived (-want +got):\n%s", name, diff)
		}
	}
}

func TestAPolicyFolder(t *testing.T) {
	t.Parallel()
	const rego, waivers = "plan/a.rego", "waivers.yaml"
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files        fstest.MapFS
		read, judges bool
		wrong        bool
	}{
		"empty":           {fstest.MapFS{}, false, false, false},
		"policies":        {fstest.MapFS{rego: file("package a")}, true, true, false},
		"both":            {fstest.MapFS{rego: file("package a"), waivers: file("waivers: []")}, true, true, false},
		"waivers only":    {fstest.MapFS{waivers: file("waivers: []")}, true, false, false},
		"wrong waivers":   {fstest.MapFS{rego: file("package a"), waivers: file("waiver: []")}, false, false, true},
		"misplaced rules": {fstest.MapFS{"README.md": file("Rules."), waivers: file("waivers: []")}, true, true, false},
	} {
		p, err := readPolicies(c.files, "policies")
		var flt *fault.Error
		if errors.As(err, &flt) != c.wrong {
			t.Errorf("%s: error = %v", name, err)
		}
		if err == nil && ((p.source != nil) != c.read || p.judges != c.judges) {
			t.Errorf("%s: read %t, judges %t", name, p.source != nil, p.judges)
		}
	}
}
