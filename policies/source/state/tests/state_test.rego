package source.state_test

import data.source.state

setting(path, value) := {"path": path, "value": value, "block": false, "file": "main.tf", "line": 3}

block(name, settings) := {"type": "backend", "name": name, "module": "app", "address": "backend", "file": "main.tf", "line": 2, "settings": settings}

cloud := {"type": "cloud", "name": "", "module": "app", "address": "cloud", "file": "main.tf", "line": 2, "settings": []}

code(now, before) := {
	"project": {"name": "app", "dir": "app"},
	"backends": [b | some b in [now]; is_object(b)],
	"backend": now,
	"base": {"known": true, "backend": before},
	"resources": [],
}

found(doc) := {[f.rule, object.get(f, "verdict", "fail")] | some f in state.deny with input as doc}

s3(settings) := block("s3", settings)

test_same if {
	found(code(s3([setting("bucket", "a")]), s3([setting("bucket", "a")]))) == set()
	found(code(null, null)) == set()
	found(code(block("local", []), null)) == set()
	count(state.judged) == 1 with input as code(s3([]), null)
}

test_moved if {
	found(code(s3([setting("bucket", "a")]), s3([setting("bucket", "b")]))) == {["backend-moved", "fail"]}
	found(code(null, s3([]))) == {["backend-moved", "fail"]}
	found(code(s3([]), s3([setting("use_lockfile", true)]))) == {["backend-moved", "fail"]}
	found(code(s3([setting("use_lockfile", true)]), s3([]))) == set()
	found(code(s3([]), null)) == set() with data.source.state.parameters.moving as ["app"]
}

test_kinds if {
	found(code(cloud, cloud)) == {["backend", "fail"]}
	found(code(block("http", []), block("http", []))) == {["backend", "fail"]}
	elsewhere := object.union(block("http", []), {"module": "app/m"})
	found(object.union(code(null, null), {"backends": [elsewhere]})) == set()
}

test_local_path if {
	outside := block("local", [setting("path", "../x")])
	found(code(outside, outside)) == {["backend", "fail"]}
	found(code(outside, outside)) == set() with data.source.state.parameters.local_paths as ["../*"]
	computed := block("local", [object.union(setting("path", null), {"computed": true})])
	found(code(computed, computed)) == {["backend", "fail"]}
	inside := block("local", [setting("path", "a/x..y")])
	found(code(inside, inside)) == set()
}

remote(settings) := object.union(code(null, null), {"resources": [{"type": "terraform_remote_state", "address": "x", "file": "main.tf", "line": 1, "settings": settings}]})

test_remote_state if {
	found(remote([setting("backend", "s3")])) == set()
	found(remote([setting("backend", "local")])) == {["remote-state", "fail"]}
	found(remote([])) == {["remote-state", "undetermined"]}
	found(remote([setting("backend", "s3"), object.union(setting("config", null), {"computed": true})])) == {["remote-state", "undetermined"]}
}

test_remote_state_by_http if {
	doc := remote([setting("backend", "http"), setting("config.address", "https://states.example:8443/a")])
	found(doc) == {["remote-state", "fail"]}
	found(doc) == set() with data.source.state.parameters.remote_state_hosts as ["states.example"]
	user := remote([setting("backend", "http"), setting("config.address", "https://states.example@evil.example/a")])
	found(user) == {["remote-state", "fail"]} with data.source.state.parameters.remote_state_hosts as ["states.example", ""]
}
