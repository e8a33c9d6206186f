package main

import (
	"errors"
	"io/fs"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/policies"
)

// basePolicies returns the policies that no repository can remove, and what to call them: those of
// this program, in which an organisation's replace the files of the same name.
func basePolicies(s settings) (name string, fsys fs.FS, err error) {
	if s.Policies == "" {
		return "built-in", policies.Files, nil
	}
	over, err := gate.OpenPinned(s.Policies, s.PolicyDigest)
	if err != nil {
		return "", nil, setting(err)
	}
	fsys, err = gate.Overlay(policies.Files, over)
	return "organisation", fsys, err
}

// setting says which setting an error is about.
func setting(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return fault.Wrap(f.Err, f.What, f.Why, f.Fix+" The settings are --organisation-policies and --organisation-policies-digest.")
}
