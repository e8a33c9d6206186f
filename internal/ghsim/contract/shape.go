package contract

import (
	"errors"
	"fmt"
	"slices"
)

// shape is what all recorded examples of a value have in common. A description says what must be
// there at least; the examples also say what GitHub always sends without having promised it.
type shape struct {
	Types   []string          `json:"types"`
	Members map[string]*shape `json:"members"`
	Items   *shape            `json:"items"`
}

// differs compares a value. Null stands for anything, because examples can't show every null.
func (s *shape) differs(at string, value any) error {
	if s == nil || value == nil {
		return nil
	}
	kind := kindOf(value)
	if !slices.Contains(s.Types, kind) && !slices.Equal(s.Types, []string{"null"}) {
		return fmt.Errorf("%s: a %s, in GitHub's examples a %v", at, kind, s.Types)
	}
	var found []error
	switch value := value.(type) {
	case map[string]any:
		for name, member := range s.Members {
			got, has := value[name]
			if !has {
				found = append(found, fmt.Errorf("%s/%s is in all of GitHub's examples and missing here", at, name))
			}
			found = append(found, member.differs(at+"/"+name, got))
		}
	case []any:
		for i, e := range value {
			found = append(found, s.Items.differs(fmt.Sprintf("%s/%d", at, i), e))
		}
	}
	return errors.Join(found...)
}

func kindOf(value any) string {
	switch value.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	}
	return "number"
}
