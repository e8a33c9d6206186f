package source.providers_test

import data.source.providers

aws := "registry.terraform.io/hashicorp/aws"

hash := "h1:edXOJWE4ORX8Fm+dpVpICzMZJat4AX0VRCAy/xkcOc0="

other := "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

used(source) := {"source": source, "written": source, "address": "required_providers.x", "file": "main.tf", "line": 3}

entry(version, hashes) := {"source": aws, "version": version, "hashes": hashes, "file": ".terraform.lock.hcl", "line": 2}

code(source, entries, before) := {"used": [used(source)], "lock": entries, "base": {"lock": before}}

found(doc) := {[f.rule, object.get(f, "verdict", "fail")] | some f in providers.deny with input as doc}

test_known_and_locked if {
	found(code(aws, [entry("5.0.0", [hash])], [entry("5.0.0", [hash])])) == set()
	found(code("terraform.io/builtin/terraform", [], [])) == set()
	count(providers.judged) == 1 with input as code(aws, [], [])
}

test_stranger if found(code("registry.terraform.io/evil/evil", [], [])) == {["provider", "fail"], ["lock", "fail"]}

test_no_source if found(code("", [], [])) == {["provider", "undetermined"]}

test_not_locked if {
	found(code(aws, [], [])) == {["lock", "fail"]}
	found(code(aws, [entry("5.0.0", [])], [])) == {["lock", "fail"]}
	found(code(aws, [entry("5.0.0", ["h1:"])], [])) == {["lock", "fail"]}
	found(code(aws, [entry("", [hash])], [])) == {["lock", "fail"]}
	found(code(aws, [], [])) == set() with data.source.providers.parameters.unlocked as [aws]
}

test_version if {
	found(code(aws, [entry("4.0.0", [hash])], [entry("5.0.0", [hash])])) == {["lock-version", "fail"]}
	found(code(aws, [entry("5.1.0", [hash])], [entry("5.0.0", [hash])])) == set()
	found(code(aws, [entry("latest", [hash])], [entry("5.0.0", [hash])])) == {["lock-version", "undetermined"]}
	found(code(aws, [entry("5.0.0", [hash])], [entry("latest", [hash])])) == {["lock-version", "undetermined"]}
}

test_hashes if {
	found(code(aws, [entry("5.0.0", [hash, other])], [entry("5.0.0", [hash])])) == {["lock-hashes", "fail"]}
	found(code(aws, [entry("5.0.0", [hash])], [entry("5.0.0", [hash, other])])) == {["lock-hashes", "fail"]}
	found(code(aws, [entry("5.0.0", [hash, other])], [entry("5.0.0", [hash])])) == set() with data.source.providers.parameters.lock_changes as [aws]
}
