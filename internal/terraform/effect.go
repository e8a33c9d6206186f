package terraform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// effect is everything that applying a plan would do to one resource, and nothing else: no
// timestamp, no drift, no reason, no value of what stays as it is.
type effect struct {
	Address         string            `json:"address"`
	PreviousAddress string            `json:"previous_address,omitempty"`
	Deposed         string            `json:"deposed,omitempty"`
	Provider        string            `json:"provider"`
	Actions         tfjson.Actions    `json:"actions"`
	Before          any               `json:"before"`
	After           any               `json:"after"`
	AfterUnknown    any               `json:"after_unknown"`
	Sensitive       any               `json:"sensitive"`
	ReplacePaths    []string          `json:"replace_paths,omitempty"`
	Importing       *tfjson.Importing `json:"importing,omitempty"`
}

// effectDigest is equal for two plans exactly if they would do the same, as far as Terraform knows
// before the apply: a value that is not known yet equals any other that is not known yet.
//
// Reads that wait for the apply are part of it, since what they find ends up in unknown values.
// Sensitive values enter as HMACs, so that a password cannot be found by trying against the digest.
func effectDigest(doc *document, key []byte) (string, error) {
	if len(key) < 32 {
		return "", fmt.Errorf("key for sensitive values has %d bytes, want at least 32", len(key))
	}
	resources := make([]effect, 0, len(doc.Resources))
	for _, r := range doc.Resources {
		if r.Change.Actions.NoOp() && r.Change.Importing == nil && (r.PreviousAddress == "" || r.PreviousAddress == r.Address) {
			continue
		}
		e := effectOf(r.Change, key)
		e.Address, e.PreviousAddress, e.Deposed, e.Provider = r.Address, r.PreviousAddress, r.DeposedKey, r.ProviderName
		resources = append(resources, e)
	}
	slices.SortFunc(resources, func(a, b effect) int {
		return strings.Compare(a.Address+"\x00"+a.Deposed, b.Address+"\x00"+b.Deposed)
	})
	outputs := make(map[string]effect)
	for name, o := range doc.Outputs {
		if !o.Actions.NoOp() {
			outputs[name] = effectOf(&o, key)
		}
	}
	data, err := json.Marshal(map[string]any{"resources": resources, "outputs": outputs, "invocations": doc.Invocations})
	if err != nil {
		return "", fmt.Errorf("encode effect: %w", err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func effectOf(c *tfjson.Change, key []byte) effect {
	digested := func(secret any) any { return keyedDigest(secret, key) }
	return effect{
		Actions:      c.Actions,
		Before:       hide(c.Before, c.BeforeSensitive, digested),
		After:        hide(c.After, c.AfterSensitive, digested),
		AfterUnknown: c.AfterUnknown,
		Sensitive:    c.AfterSensitive,
		ReplacePaths: paths(c.ReplacePaths),
		Importing:    c.Importing,
	}
}

// hide replaces every value that is marked sensitive. The marks form a tree of the same shape as the
// value, cut off where nothing below is marked.
func hide(value, marks any, instead func(secret any) any) any {
	switch m := marks.(type) {
	case bool:
		if m {
			return instead(value)
		}
	case map[string]any:
		if v, ok := value.(map[string]any); ok {
			hidden := make(map[string]any, len(v))
			for k := range v {
				hidden[k] = hide(v[k], m[k], instead)
			}
			return hidden
		}
	case []any:
		if v, ok := value.([]any); ok && len(m) == len(v) {
			hidden := make([]any, len(v))
			for i := range v {
				hidden[i] = hide(v[i], m[i], instead)
			}
			return hidden
		}
	}
	if anyTrue(marks) {
		// The shapes differ, so what exactly is marked cannot be told.
		return instead(value)
	}
	return value
}

func keyedDigest(value any, key []byte) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return "hmac-sha256:" + hex.EncodeToString(mac.Sum(nil))
}
