package bigplan

import (
	"encoding/json"
	"io"
	"maps"
	"strings"
)

// plan writes one plan. The first error ends it.
type plan struct {
	w   io.Writer
	err error
}

func (p *plan) text(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

func (p *plan) json(v any) {
	content, err := json.Marshal(v)
	if err != nil && p.err == nil {
		p.err = err
	}
	p.text(string(content))
}

// member writes a name and a value; next writes what comes between two members.
func (p *plan) member(name string, v any) {
	p.json(name)
	p.text(":")
	p.json(v)
}

func (p *plan) next() { p.text(",") }

// list writes what each returns for each instance.
func (p *plan) list(name string, all []instance, each func(instance) []any) {
	p.json(name)
	p.text(":[")
	first := true
	for _, in := range all {
		for _, v := range each(in) {
			if !first {
				p.next()
			}
			first = false
			p.json(v)
		}
	}
	p.text("]")
}

// write writes the members in Terraform's order.
func (p *plan) write(all []instance) {
	head := all[0].seed.plan
	p.text("{")
	p.member("format_version", head.FormatVersion)
	p.next()
	p.member("terraform_version", head.TerraformVersion)
	p.next()
	p.member("variables", variables(all))
	p.next()
	p.text(`"planned_values":{"root_module":{`)
	p.list("child_modules", all, func(in instance) []any { return modules(in, in.seed.plan.PlannedValues.RootModule) })
	p.text("}},")
	p.list("resource_drift", all, func(in instance) []any { return changes(in, in.seed.plan.ResourceDrift) })
	p.next()
	p.list("resource_changes", all, func(in instance) []any { return changes(in, in.seed.plan.ResourceChanges) })
	p.next()
	p.text(`"prior_state":{`)
	p.member("format_version", "1.0")
	p.next()
	p.member("terraform_version", head.TerraformVersion)
	p.text(`,"values":{"root_module":{`)
	p.list("child_modules", all, func(in instance) []any { return modules(in, in.seed.plan.PriorState.Values.RootModule) })
	p.text("}}},")
	p.member("configuration", configuration(all))
	p.next()
	p.list("relevant_attributes", all, relevant)
	p.text(`,"timestamp":"2025-01-01T00:00:00Z","applyable":true,"complete":true,"errored":false}` + "\n")
}

// changes are the resource changes of an instance.
func changes(in instance, from []object) []any {
	var to []any
	for _, r := range from {
		moved := maps.Clone(r)
		moved["address"] = in.inside(r["address"])
		moved["module_address"] = in.inside(r["module_address"])
		moved["change"] = in.replace(r["change"])
		to = append(to, moved)
	}
	return to
}

// modules is the module of an instance in planned values or prior state, unless it is empty.
func modules(in instance, from module) []any {
	if len(from.Resources) == 0 && len(from.ChildModules) == 0 {
		return nil
	}
	return []any{in.moved(from)}
}

func (in instance) moved(from module) module {
	to := module{Address: in.inside(from.Address)}
	for _, r := range from.Resources {
		r = maps.Clone(r)
		r["address"] = in.inside(r["address"])
		r["values"] = in.replace(r["values"])
		to.Resources = append(to.Resources, r)
	}
	for _, child := range from.ChildModules {
		to.ChildModules = append(to.ChildModules, in.moved(child))
	}
	return to
}

func relevant(in instance) []any {
	var to []any
	for _, attribute := range in.seed.plan.RelevantAttributes {
		attribute = maps.Clone(attribute)
		attribute["resource"] = in.inside(attribute["resource"])
		to = append(to, attribute)
	}
	return to
}

// variables are those of each call's seed, named after the call.
func variables(all []instance) object {
	to := object{}
	for _, in := range calls(all) {
		for name, value := range in.seed.plan.Variables {
			to[in.call+"_"+name] = value
		}
	}
	return to
}

func configuration(all []instance) any {
	providers := map[string]object{}
	moduleCalls, declared := map[string]any{}, map[string]any{}
	for _, in := range calls(all) {
		for key, provider := range in.seed.plan.Configuration.ProviderConfig {
			provider = maps.Clone(provider)
			provider["module_address"] = quoted("module." + in.call)
			providers[in.providerKey(key)] = provider
		}
		expressions := map[string]any{}
		for name := range in.seed.plan.Variables {
			declared[in.call+"_"+name] = struct{}{}
			expressions[name] = map[string]any{"references": []string{"var." + in.call + "_" + name}}
		}
		moduleCalls[in.call] = map[string]any{
			"source": "./" + in.call, "expressions": expressions, "module": in.configuration(),
			"for_each_expression": map[string]any{"references": []string{"local.teams"}},
		}
	}
	return map[string]any{"provider_config": providers,
		"root_module": map[string]any{"module_calls": moduleCalls, "variables": declared}}
}

func (in instance) providerKey(key string) string { return "module." + in.call + ":" + key }

// configuration is the seed's configuration, with the providers of the instance's call.
func (in instance) configuration() json.RawMessage {
	var pairs []string
	for key := range in.seed.plan.Configuration.ProviderConfig {
		pairs = append(pairs, `"provider_config_key":`+string(quoted(key)), `"provider_config_key":`+string(quoted(in.providerKey(key))))
	}
	content, err := json.Marshal(in.seed.plan.Configuration.RootModule)
	if err != nil {
		panic(err) // it has been read from JSON
	}
	return json.RawMessage(strings.NewReplacer(pairs...).Replace(string(content)))
}
