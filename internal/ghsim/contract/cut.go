//go:build ignore

// Cut writes what this package holds a stand-in against: description/github.json, the part of
// GitHub's OpenAPI description that the stand-in serves and sends, and description/hooks.json,
// the shape of the webhooks that GitHub has really sent. It is run when a route or an event has
// been added, in a directory outside the repository:
//
//	npm pack @octokit/openapi@23.0.2 @octokit/webhooks-examples@7.6.1
//	tar xzf octokit-openapi-23.0.2.tgz package/generated/api.github.com.json
//	tar xzf octokit-webhooks-examples-7.6.1.tgz package/api.github.com/index.json
//
// and then here: go run cut.go THAT-DIRECTORY/package
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/ghsim"
)

type object = map[string]any

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run cut.go PACKAGE-DIRECTORY")
	}
	err := errors.Join(
		cut(filepath.Join(os.Args[1], "generated/api.github.com.json"), "description/github.json"),
		cutExamples(filepath.Join(os.Args[1], "api.github.com/index.json"), "description/hooks.json"),
	)
	if err != nil {
		log.Fatal(err)
	}
}

func cut(from, to string) error {
	var full object
	if err := read(from, &full); err != nil {
		return err
	}
	paths, err := cutPaths(full["paths"].(object))
	if err != nil {
		return err
	}
	hooks, err := cutHooks(full["x-webhooks"].(object))
	if err != nil {
		return err
	}
	info := full["info"].(object)
	return write(to, object{
		"openapi": full["openapi"], "paths": paths, "x-webhooks": hooks,
		"info":       object{"title": info["title"], "version": info["version"], "license": info["license"]},
		"components": components(full, paths, hooks),
	})
}

func read(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func write(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// cutPaths keeps the operations that the stand-in serves.
func cutPaths(all object) (object, error) {
	kept := object{}
	for _, r := range ghsim.Routes() {
		method, path, _ := strings.Cut(r, " ")
		item, found := all[path].(object)
		operation, has := item[strings.ToLower(method)]
		if !found || !has {
			return nil, fmt.Errorf("GitHub describes no %s", r)
		}
		if kept[path] == nil {
			kept[path] = object{}
		}
		kept[path].(object)[strings.ToLower(method)] = slim(operation)
	}
	return kept, nil
}

// cutHooks keeps the bodies of the webhooks that the stand-in sends.
func cutHooks(all object) (object, error) {
	kept := object{}
	for _, name := range ghsim.Events() {
		key := strings.NewReplacer(".", "-", "_", "-").Replace(name)
		item, found := all[key].(object)
		if !found {
			return nil, fmt.Errorf("GitHub describes no webhook %s", name)
		}
		post := item["post"].(object)
		kept[key] = object{"post": object{"requestBody": slim(post["requestBody"])}}
	}
	return kept, nil
}

// slim drops prose and examples, which are most of the description.
func slim(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = slim(v[i])
		}
	case object:
		for key, value := range v {
			_, isText := value.(string)
			_, isSchema := value.(object)
			switch {
			case key == "properties" && isSchema: // a property may have any name, also "description"
				for name, schema := range value.(object) {
					value.(object)[name] = slim(schema)
				}
			case key == "description" && isText, key == "title" && isText, key == "summary" && isText,
				key == "examples", key == "example", key == "externalDocs", key == "tags", key == "default",
				strings.HasPrefix(key, "x-") && key != "x-multi-segment":
				delete(v, key)
			default:
				v[key] = slim(value)
			}
		}
	}
	return v
}

// components keeps what the kept parts refer to, directly or through others.
func components(full object, parts ...any) object {
	kept := object{}
	var follow func(v any)
	follow = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				follow(e)
			}
		case object:
			if ref, ok := v["$ref"].(string); ok {
				kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
				if kept[kind] == nil {
					kept[kind] = object{}
				}
				if kept[kind].(object)[name] != nil {
					return
				}
				target := slim(full["components"].(object)[kind].(object)[name])
				kept[kind].(object)[name] = target
				follow(target)
				return
			}
			for _, e := range v {
				follow(e)
			}
		}
	}
	for _, p := range parts {
		follow(p)
	}
	return kept
}

// cutExamples reduces recorded webhooks to what all those of one event have in common.
func cutExamples(from, to string) error {
	var events []struct {
		Name     string
		Examples []any
	}
	if err := read(from, &events); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, name := range ghsim.Events() {
		event, _, _ := strings.Cut(name, ".")
		wanted[event] = true
	}
	shapes := object{}
	for _, e := range events {
		if wanted[e.Name] {
			shapes[e.Name] = common(e.Examples)
		}
	}
	return write(to, shapes)
}

// common describes what all values share: the members that every object has, and what the elements
// of all arrays share.
func common(values []any) object {
	members, items, objects := map[string][]any{}, []any(nil), 0
	for _, v := range values {
		switch v := v.(type) {
		case object:
			objects++
			for name, member := range v {
				members[name] = append(members[name], member)
			}
		case []any:
			items = append(items, v...)
		}
	}
	out, shared := object{}, object{}
	for name, all := range members {
		switch {
		case name == "permissions": // a dictionary: which ones there are is the App's choice
			shared[name] = object{}
		case len(all) == objects:
			shared[name] = common(all)
		}
	}
	if len(shared) > 0 {
		out["members"] = shared
	}
	if len(items) > 0 {
		out["items"] = common(items)
	}
	return out
}
