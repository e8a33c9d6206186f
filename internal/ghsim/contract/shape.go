package contract

import (
	"errors"
	"fmt"
)

// shape is what all recorded examples of a value have in common: the members of its objects, the
// elements of its arrays. The description says what must be there at least; the examples also say
// what GitHub always sends without having promised it. Types are left to the description, because
// some recordings are older than it.
type shape struct {
	Members map[string]*shape `json:"members,omitempty"`
	Items   *shape            `json:"items,omitempty"`
}

// differs names the members that a value lacks.
func (s *shape) differs(at string, value any) error {
	if s == nil {
		return nil
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
