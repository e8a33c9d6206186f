package terraform

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tollgate/tollgate/internal/change"
)

// planState reads from a saved plan which state it was made on. Terraform puts that state into the
// file, so it costs neither a process nor a question to the backend, and cannot be of another moment.
func planState(file string) (change.StateVersion, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return change.StateVersion{}, fmt.Errorf("open plan file: %w", err)
	}
	defer z.Close()
	state, err := z.Open("tfstate")
	if err != nil {
		return change.StateVersion{}, fmt.Errorf("find the state in the plan file: %w", err)
	}
	defer state.Close()
	v, err := stateVersion(state)
	if err != nil {
		return change.StateVersion{}, fmt.Errorf("read the state in the plan file: %w", err)
	}
	return v, nil
}

// stateVersion reads no further than it has to: the resources, which hold secrets and may be tens of
// megabytes, come last.
func stateVersion(r io.Reader) (v change.StateVersion, err error) {
	dec := json.NewDecoder(r)
	if _, err := dec.Token(); err != nil {
		return v, err
	}
	for found := 0; dec.More(); {
		key, err := dec.Token()
		if err != nil {
			return v, err
		}
		var into any = new(json.RawMessage)
		switch key {
		case "serial":
			into, found = &v.Serial, found+1
		case "lineage":
			into, found = &v.Lineage, found+1
		}
		if err := dec.Decode(into); err != nil {
			return v, fmt.Errorf("%v: %w", key, err)
		}
		if found == 2 {
			return v, nil
		}
	}
	return v, errors.New("it names no serial or no lineage")
}

// lockDigest identifies the lock file that the providers of a plan were held against; empty if there is none.
func lockDigest(lock []byte) string {
	if len(bytes.TrimSpace(lock)) == 0 {
		return ""
	}
	sum := sha256.Sum256(lock)
	return "sha256:" + hex.EncodeToString(sum[:])
}
