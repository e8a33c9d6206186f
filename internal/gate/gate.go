// Package gate judges documents with Rego: may this code be run at all, may this plan be applied, and
// may this person apply it now. It hides the policy engine and fails closed: what was not judged is never allowed.
//
// # What a policy set looks like
//
// A set is a file tree with a folder per gate, source/, plan/ and apply/. Rules are ordinary Rego v1 in any
// package whose file lies below the gate's folder; the same package name in two gates means two
// packages. Files elsewhere in the tree are libraries for all gates. Data files (*.json, *.yaml,
// *.yml) are mounted under data at the path of their folder, as "opa test" and conftest do it.
// Test files (*_test.rego), which must not define what the gate asks for, and folders called testdata
// are no part of a set; waivers.yaml at its root is, but no data.
//
// # What the gate asks
//
//	deny, violation, warn   sets of findings; a suffix is allowed, as in deny_public_bucket
//	exception               conftest's exceptions: sets of arrays of suffixes, which waive deny_SUFFIX
//	judged                  objects {rule, address}: what a rule looked at (source and plan gate)
//	requirements            objects {text, met}: what an apply needs (apply gate)
//
// A finding is a string, or an object with msg and optionally:
//
//	rule         id of the rule, which is custom.id in its METADATA; without it the set's name
//	address      full address of the resource
//	attribute    path of the attribute inside the resource, such as a.b[0].c
//	verdict      "fail" (default), or "undetermined": the value is known only after the apply
//	remediation  what to write instead; without it custom.remediation of the METADATA
//	touched      whether the plan changes what the finding is about; without it the gate looks
//	             the address up
//	file, line   where it is (source gate), for which the attribute stands in other gates
//
// Findings of warn, and of rules with custom.severity "warn", do not block. Nor does a finding about
// what the plan does not touch: an old sin must be seen but must not block an unrelated change. An
// apply, though, is denied whatever the plan touches.
// A data file in the folder of a policy can say otherwise, by the ids of its rules:
//
//	levels:
//	  listener-policy: warn
//	  version: {fail: deny, undetermined: warn, untouched: deny}
//
// What is not named there stays as it is. With untouched: deny, what the plan does not touch is as
// serious as what it does. A rule with custom.waivable: false is one that no waiver covers, and no
// exception; nor do they cover a finding of its rule set under an id that no METADATA describes.
//
// Whatever a rule has judged without a finding is reported as a pass.
package gate

import (
	"cmp"
	"io/fs"
	"slices"
	"sync"

	"github.com/tollgate/tollgate/internal/fault"
)

// The gates of a set, for Compile.
const (
	ForSources = "source"
	ForPlans   = "plan"
	ForApplies = "apply"
)

// Set is a compiled policy set. It is immutable and safe for concurrent use.
type Set struct {
	name   string
	digest string
	source *program
	plan   *program
	apply  *program
}

// Load is Read and Compile, for sets that can be trusted not to exhaust this process.
func Load(name string, fsys fs.FS) (*Set, error) {
	src, err := Read(name, fsys)
	if err != nil {
		return nil, err
	}
	return Compile(src, ForSources, ForPlans, ForApplies)
}

// Compile compiles the rules of a set for the given gates. It returns a *fault.Error that names the
// file unless every file of these gates is sound and at least one rule can say no. That the set has
// no rules for a gate is no error; see JudgesSources, JudgesPlans and JudgesApplies.
func Compile(src *Source, gates ...string) (*Set, error) {
	wanted := func(file string) bool {
		return file != waiversFile && (gateOf(file) == "" || slices.Contains(gates, gateOf(file)))
	}
	if err := noVerdictInTests(src, wanted); err != nil {
		return nil, err
	}
	if !src.Judges(ForSources) && !src.Judges(ForPlans) && !src.Judges(ForApplies) {
		return nil, noPolicy(src.Name)
	}
	parsed, err := src.parse(func(file string) bool { return !isTest(file) && wanted(file) })
	if err != nil {
		return nil, err
	}
	s := &Set{name: src.Name, digest: src.digest()} // of what is compiled, whatever it was said to be
	var sourceErr, planErr, applyErr error
	var wait sync.WaitGroup
	for _, gate := range gates {
		switch gate {
		case ForSources:
			wait.Go(func() { s.source, sourceErr = compile(parsed, gate) })
		case ForPlans:
			wait.Go(func() { s.plan, planErr = compile(parsed, gate) })
		case ForApplies:
			wait.Go(func() { s.apply, applyErr = compile(parsed, gate) })
		}
	}
	wait.Wait()
	if err := cmp.Or(sourceErr, planErr, applyErr); err != nil {
		return nil, err
	}
	return s, nil
}

func noPolicy(set string) error {
	return fault.New("The policy set "+set+" holds no policy.",
		"A gate without rules would let everything pass.",
		"Put Rego files with deny rules below "+set+"/source, "+set+"/plan or "+set+"/apply.")
}

// Name is the name that the set was loaded under.
func (s *Set) Name() string { return s.name }

// Digest is "sha256:…" over the names and contents of all policy and data files of the set.
func (s *Set) Digest() string { return s.digest }

// JudgesSources reports whether the set has rules for code and was compiled for them.
func (s *Set) JudgesSources() bool { return s.source != nil }

// JudgesPlans reports whether the set has rules for plans and was compiled for them.
func (s *Set) JudgesPlans() bool { return s.plan != nil }

// JudgesApplies reports whether the set has rules for applies and was compiled for them.
func (s *Set) JudgesApplies() bool { return s.apply != nil }
