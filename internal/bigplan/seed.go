package bigplan

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// object is JSON whose members stay as they are unless they are looked at.
type object map[string]json.RawMessage

// seed is a plan as far as it is copied.
type seed struct {
	plan struct {
		FormatVersion    string   `json:"format_version"`
		TerraformVersion string   `json:"terraform_version"`
		Variables        object   `json:"variables"`
		ResourceDrift    []object `json:"resource_drift"`
		ResourceChanges  []object `json:"resource_changes"`
		PlannedValues    struct {
			RootModule module `json:"root_module"`
		} `json:"planned_values"`
		PriorState struct {
			Values struct {
				RootModule module `json:"root_module"`
			} `json:"values"`
		} `json:"prior_state"`
		Configuration struct {
			ProviderConfig map[string]object `json:"provider_config"`
			RootModule     object            `json:"root_module"`
		} `json:"configuration"`
		RelevantAttributes []object `json:"relevant_attributes"`
	}
	names []string // what must differ between instances, quoted
}

// module is a module of planned values or of the prior state.
type module struct {
	Address      json.RawMessage `json:"address,omitempty"`
	Resources    []object        `json:"resources,omitempty"`
	ChildModules []module        `json:"child_modules,omitempty"`
}

// awsID is an id such as "subnet-0123456789abcdef0", with its quotes.
var awsID = regexp.MustCompile(`"[a-z]+-[0-9a-f]{8,17}"`)

func parse(content []byte) (*seed, error) {
	s := &seed{}
	if err := json.Unmarshal(content, &s.plan); err != nil {
		return nil, err
	}
	if len(s.plan.ResourceChanges) == 0 {
		return nil, errors.New("it has no resource changes to copy")
	}
	seen := map[string]bool{}
	for _, id := range awsID.FindAllString(string(content), -1) {
		if !seen[id] {
			seen[id] = true
			s.names = append(s.names, id)
		}
	}
	for _, r := range s.plan.ResourceChanges {
		var change struct{ Before, After map[string]any }
		if err := json.Unmarshal(r["change"], &change); err != nil {
			return nil, err
		}
		for _, values := range []map[string]any{change.Before, change.After} {
			for _, attribute := range []string{"id", "arn", "name", "identifier"} {
				text, _ := values[attribute].(string)
				if name := string(quoted(text)); text != "" && !seen[name] {
					seen[name] = true
					s.names = append(s.names, name)
				}
			}
		}
	}
	return s, nil
}

// replacer adds a suffix to every name.
func (s *seed) replacer(suffix string) *strings.Replacer {
	var pairs []string
	for _, name := range s.names {
		pairs = append(pairs, name, strings.TrimSuffix(name, `"`)+"-"+suffix+`"`)
	}
	return strings.NewReplacer(pairs...)
}
