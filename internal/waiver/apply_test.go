package waiver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/waiver"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func finding(address string) change.Finding {
	return change.Finding{Policy: "plan.tls", Rule: "version", Address: address, Verdict: change.Fail, Severity: change.Deny, Message: "It accepts TLS 1.0."}
}

// waives reports whether a waiver of the address covers a finding about the resource.
func waives(t *testing.T, address, resource string) bool {
	t.Helper()
	list := parse(t, one("address: '"+strings.ReplaceAll(address, "'", "''")+"'"))
	return list.Apply([]change.Finding{finding(resource)}, nil, noon).Findings[0].Verdict == change.Waived
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		matches []string
		not     []string
	}{
		{"aws_lb.a", []string{"aws_lb.a"},
			[]string{"aws_lb.b", "aws_lb.aa", "aws_alb.a", "aws_lb.a[0]", `aws_lb.a["x"]`, "module.m.aws_lb.a", "data.aws_lb.a", "", "aws_lb", "aws_lb.a.b"}},
		{"aws_lb.a[0]", []string{"aws_lb.a[0]"}, []string{"aws_lb.a", "aws_lb.a[1]", "aws_lb.a[00]", `aws_lb.a["0"]`}},
		{"aws_lb.a[*]", []string{"aws_lb.a[0]", "aws_lb.a[17]", `aws_lb.a["x.y"]`, `aws_lb.a["]"]`}, []string{"aws_lb.a", "aws_lb.ab[0]", "module.m.aws_lb.a[0]"}},
		{"aws_lb.a*", []string{"aws_lb.a", "aws_lb.ab"}, []string{"aws_lb.ba", "aws_lb.a[0]", `aws_lb.ab["x"]`}},
		{"aws_lb.a*z*", []string{"aws_lb.az", "aws_lb.abzzc"}, []string{"aws_lb.a", "aws_lb.abc"}},
		{`aws_lb.a["eu-*"]`, []string{`aws_lb.a["eu-"]`, `aws_lb.a["eu-west.1"]`, `aws_lb.a["eu-\"x\"]"]`, `aws_lb.a["eu-*"]`},
			[]string{`aws_lb.a["us-1"]`, "aws_lb.a[0]", "aws_lb.a"}},
		{`aws_lb.a["\*.example.com"]`, []string{`aws_lb.a["*.example.com"]`}, []string{`aws_lb.a["www.example.com"]`}},
		{`aws_lb.a["\"x\\"]`, []string{`aws_lb.a["\"x\\"]`}, []string{`aws_lb.a["x"]`}},
		{`aws_lb.a["\\*"]`, []string{`aws_lb.a["\\"]`, `aws_lb.a["\\xyz"]`}, []string{`aws_lb.a["x"]`}},
		{"aws_lb.ü", []string{"aws_lb.ü"}, []string{"aws_lb.u"}},
		{"module.m.aws_lb.a", []string{"module.m.aws_lb.a"},
			[]string{"aws_lb.a", "module.n.aws_lb.a", "module.m[0].aws_lb.a", "module.m.module.m.aws_lb.a"}},
		{`module.m["x*"].aws_lb.a`, []string{`module.m["xy"].aws_lb.a`}, []string{`module.m["y"].aws_lb.a`, "module.m.aws_lb.a"}},
		{"module.*.aws_lb.a", []string{"module.m.aws_lb.a"}, []string{"aws_lb.a", "module.m.module.n.aws_lb.a", "module.m[0].aws_lb.a"}},
		{"module.module.aws_lb.a", []string{"module.module.aws_lb.a"}, []string{"aws_lb.a"}},
		{"**.aws_lb.a", []string{"aws_lb.a", "module.m.aws_lb.a", `module.m["a.b"].module.n[0].aws_lb.a`}, []string{"aws_lb.b", "module.m.aws_lb.a[0]"}},
		{"module.m.**.aws_lb.a", []string{"module.m.aws_lb.a", "module.m.module.n.module.o.aws_lb.a"}, []string{"aws_lb.a", "module.n.module.m.aws_lb.a"}},
		{"**.module.m[*].**.aws_lb.a", []string{"module.m[0].aws_lb.a", "module.x.module.m[1].module.y.aws_lb.a"}, []string{"module.m.aws_lb.a", "module.x.aws_lb.a"}},
		{"data.aws_lb.a", []string{"data.aws_lb.a"}, []string{"aws_lb.a"}},
		{"**.data.aws_lb.a", []string{"module.m.data.aws_lb.a"}, []string{"module.m.aws_lb.a"}},
	}
	for _, test := range tests {
		for _, resource := range test.matches {
			if !waives(t, test.pattern, resource) {
				t.Errorf("%s does not match %s", test.pattern, resource)
			}
		}
		for _, resource := range test.not {
			if waives(t, test.pattern, resource) {
				t.Errorf("%s matches %s", test.pattern, resource)
			}
		}
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"aws_lb", "*", "aws_lb.a.b", "module.m", "module.m.aws_lb", "aws_lb[0].a", "aws_lb..a", ".aws_lb.a", "aws_lb.a.",
		"aws_lb.a b", "aws_lb.a[", "aws_lb.a[]", "aws_lb.a[x]", "aws_lb.a[-1]", "aws_lb.a[**]", `aws_lb.a["x]`, `aws_lb.a["x"`, `aws_lb.a["x\"]`, `aws_lb.a["x"]y`,
		"aws_lb.a[0][1]", "aws_lb.a**", "**a.aws_lb.a", "aws_lb.**.a", "module.**.aws_lb.a", "aws_lb.?", "aws_lb." + strings.Repeat("a", 1100), "data.data.aws_lb.a"} {
		if _, err := waiver.Parse("w", []byte(one("address: '"+address+"'"))); err == nil {
			t.Errorf("%s is taken for an address", address)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	list := parse(t, one("address: aws_lb.a")+strings.TrimPrefix(one("address: aws_lb.a*", `owner: "@bob"`), "waivers:\n"))
	of := func(f change.Finding, changes func(*change.Finding)) change.Finding { changes(&f); return f }
	open, conftest := finding("aws_lb.a"), finding("aws_lb.ab")
	open.Verdict, open.Severity, open.NoOp = change.Undetermined, change.Warn, true
	conftest.Message = "old TLS"
	untouched := []change.Finding{
		of(open, func(f *change.Finding) { f.Verdict = change.Pass }),
		of(open, func(f *change.Finding) { f.Verdict = change.Waived }),
		of(open, func(f *change.Finding) { f.Rule = "origin" }),
		of(open, func(f *change.Finding) { f.Policy = "tls" }),
		finding("aws_lb.b"),
		finding(""),
	}
	findings := append([]change.Finding{finding("aws_lb.a"), open, conftest}, untouched...)
	before := slices.Clone(findings)
	got := list.Apply(findings, []string{"plan.tls/origin"}, noon)
	waived := func(f change.Finding, message string) change.Finding {
		f.Was, f.Verdict, f.Message = f.Verdict, change.Waived, message
		return f
	}
	want := waiver.Outcome{
		Findings: append([]change.Finding{
			waived(findings[0], "It accepts TLS 1.0. Waived until 2027-03-31 by @alice: Replaced in the spring."),
			waived(findings[1], "It accepts TLS 1.0. Waived until 2027-03-31 by @alice: Replaced in the spring."),
			waived(findings[2], "old TLS. Waived until 2027-03-31 by @bob: Replaced in the spring."),
		}, untouched...),
		Matched: []string{"plan.tls/version aws_lb.a", "plan.tls/version aws_lb.a*"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, findings); diff != "" {
		t.Errorf("Apply changes its argument:\n%s", diff)
	}
	if diff := cmp.Diff(waiver.Outcome{Findings: findings}, (waiver.List{}).Apply(findings, nil, noon)); diff != "" {
		t.Errorf("without waivers (-want +got):\n%s", diff)
	}
}

// instances are findings about n instances of one resource.
func instances(n int) []change.Finding {
	var findings []change.Finding
	for i := range n {
		findings = append(findings, finding(fmt.Sprintf("aws_lb.a[%d]", i)))
	}
	return findings
}

// Each case that is refused stands beside one that differs in nothing else and holds.
func TestWaiversThatDoNotHold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		waiver   string
		findings []change.Finding
		forbid   []string
		now      time.Time
		kind     string // empty if it holds
		what     string
	}{
		{"last second", one("address: aws_lb.a"), nil, nil, time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC), "", ""},
		{"next day", one("address: aws_lb.a"), nil, nil, time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), waiver.Expired, "expired on 2027-03-31"},
		{"next day elsewhere only", one("address: aws_lb.a"), nil, nil, time.Date(2027, 4, 1, 10, 0, 0, 0, time.FixedZone("", 11*3600)), "", ""},
		{"a year ahead", one("address: aws_lb.a", "expires: 2027-11-22"), nil, nil, noon, "", ""},
		{"a year and a day", one("address: aws_lb.a", "expires: 2027-11-23"), nil, nil, noon, waiver.OverBroad, "until 2027-11-23, more than a year ahead"},
		{"another rule is kept", one("address: aws_lb.a"), nil, []string{"plan.tls/origin"}, noon, "", ""},
		{"the rule is kept", one("address: aws_lb.a"), nil, []string{"plan.tls/origin", "plan.tls/version"}, noon, waiver.Forbidden, "cannot be waived"},
		{"name in part", one(`address: "**.aws_lb.a*"`), nil, nil, noon, "", ""},
		{"name left open", one(`address: "aws_lb.*"`), nil, nil, noon, waiver.OverBroad, "leaves the resource's name open"},
		{"type left open", one(`address: "**.aws_*.a"`), nil, nil, noon, waiver.OverBroad, "leaves the resource type open"},
		{"all left open", one(`address: "**.*.*"`), nil, nil, noon, waiver.OverBroad, "leaves the resource type open"},
		{"only modules", one(`address: "**"`), nil, nil, noon, waiver.OverBroad, "it names no resource"},
		{"ten resources", one(`address: "aws_lb.a[*]"`), instances(10), nil, noon, "", ""},
		{"eleven resources", one(`address: "aws_lb.a[*]"`), instances(11), nil, noon, waiver.OverBroad, "matches 11 resources of this plan, more than 10"},
		{"eleven findings about one", one("address: aws_lb.a"), slices.Repeat([]change.Finding{finding("aws_lb.a")}, 11), nil, noon, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			findings := test.findings
			if findings == nil {
				findings = []change.Finding{finding("aws_lb.a")}
			}
			list := parse(t, test.waiver)
			got := list.Apply(findings, test.forbid, test.now)
			want := change.Waived
			if test.kind != "" {
				want = change.Fail
			}
			for _, f := range got.Findings {
				if f.Verdict != want {
					t.Errorf("%s: %s; want %s", f.Address, f.Verdict, want)
				}
			}
			if len(got.Matched) != 1 || len(list.Orphans(got.Matched)) != 0 {
				t.Errorf("matched %q; want the waiver, so that it is no orphan", got.Matched)
			}
			if test.kind == "" {
				if len(got.Notices) > 0 {
					t.Errorf("notices %+v", got.Notices)
				}
				return
			}
			if len(got.Notices) != 1 {
				t.Fatalf("notices %+v; want one", got.Notices)
			}
			n := got.Notices[0]
			if n.Kind != test.kind || !strings.Contains(n.What, test.what) || n.File != "policies/waivers.yaml" || n.Line != 2 || n.Why == "" || n.Fix == "" {
				t.Errorf("notice %+v; want %s: %s", n, test.kind, test.what)
			}
		})
	}
}

func TestOneThatDoesNotHoldLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	expired := one("address: aws_lb.a", "expires: 2026-01-01")
	list := parse(t, expired+strings.TrimPrefix(one("address: aws_lb.a*"), "waivers:\n"))
	got := list.Apply([]change.Finding{finding("aws_lb.a")}, nil, noon)
	if got.Findings[0].Verdict != change.Waived || len(got.Notices) != 1 || got.Notices[0].Kind != waiver.Expired {
		t.Errorf("outcome %+v; want the second waiver to hold and the first to be reported", got)
	}
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	list := parse(t, one("address: aws_lb.a")+strings.TrimPrefix(one("address: aws_lb.b"), "waivers:\n"))
	plan := func(address string) []string {
		return list.Apply([]change.Finding{finding(address)}, nil, noon).Matched
	}
	if got := list.Orphans(append(plan("aws_lb.a"), plan("aws_lb.b")...)); len(got) != 0 {
		t.Errorf("orphans %+v; want none, as each has its project", got)
	}
	got := list.Orphans(append(plan("aws_lb.a"), plan("aws_lb.c")...))
	want := []change.Notice{{
		Kind: waiver.Orphaned, File: "policies/waivers.yaml", Line: 7,
		What: "The waiver of plan.tls/version for aws_lb.b, which @alice answers for, matches no finding.",
		Why:  "It would let through whatever comes to match it until 2027-03-31.",
		Fix:  "Remove it if the resource is mended or gone; otherwise correct its rule or its address.",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orphans (-want +got):\n%s", diff)
	}
}

// A waiver may only let a finding pass that it names, whatever the pattern and the address.
func FuzzApply(f *testing.F) {
	f.Add("aws_lb.a", "aws_lb.a")
	f.Add("**.module.m[*].**.aws_lb.a*b*", `module.m["x"].module.n[0].aws_lb.aab`)
	f.Add(`aws_lb.a["\*\"*"]`, `aws_lb.a["*\"x"]`)
	f.Add("**", "module.m.aws_lb.a")
	f.Add(`aws_lb.a["***************x"]`, `aws_lb.a["`+strings.Repeat("y", 500)+`"]`)
	f.Fuzz(func(t *testing.T, pattern, resource string) {
		quoted := "'" + strings.ReplaceAll(pattern, "'", "''") + "'"
		list, err := waiver.Parse("w", []byte(one("address: "+quoted)))
		if err != nil {
			return
		}
		written := list.Waivers()[0].Address
		got := list.Apply([]change.Finding{finding(resource)}, nil, noon)
		waived := got.Findings[0].Verdict == change.Waived
		if exact := !strings.Contains(written, "*"); exact && waived != (written == resource) {
			t.Errorf("%q, without wildcards, waives %q: %v", written, resource, waived)
		}
		if waived && strings.HasPrefix(written, "**.") && list.Apply([]change.Finding{finding("module.outer." + resource)}, nil, noon).Findings[0].Verdict != change.Waived {
			t.Errorf("%q waives %q, but not in a module", written, resource)
		}
	})
}
