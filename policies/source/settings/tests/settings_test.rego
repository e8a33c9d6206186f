package source.settings_test

import data.source.settings

setting(path, more) := object.union({"path": path, "value": "x", "file": "main.tf", "line": 3}, more)

provider(s) := {"providers": [{"name": "aws", "address": "provider.aws", "settings": s}], "backends": [], "resources": []}

found(doc) := {[f.rule, object.get(f, "verdict", "fail")] | some f in settings.deny with input as doc}

test_ordinary if {
	found(provider([setting("region", {}), setting("default_tags.tags.profile", {}), setting("default_tags.tags.?", {})])) == set()
	count(settings.judged) == 1 with input as provider([])
}

test_refused if {
	some path in ["profile", "endpoints", "a.exec", "x_custom_endpoint", "http_proxy"]
	found(provider([setting(path, {})])) == {["provider-setting", "fail"]}
}

test_switched_off if {
	found(provider([setting("insecure", {"value": false})])) == set()
	found(provider([setting("profile", {"value": null})])) == set()
	found(provider([setting("profile", {"value": null, "computed": true})])) == {["provider-setting", "fail"]}
	found(provider([setting("endpoints", {"value": null, "block": true})])) == {["provider-setting", "fail"]}
}

test_allowed if {
	found(provider([setting("profile", {})])) == set() with data.source.settings.parameters.allowed as ["aws.profile"]
}

test_computed_name if found(provider([setting("assume_role.?", {})])) == {["provider-setting", "undetermined"]}

test_roles if {
	arn := "arn:aws:iam::111122223333:role/plan"
	found(provider([setting("assume_role.role_arn", {"value": arn})])) == {["assumed-role", "fail"]}
	found(provider([setting("assume_role.role_arn", {"value": arn})])) == set() with data.source.settings.parameters.assumed as ["arn:aws:iam::111122223333:role/**"]
	found(provider([setting("assume_role.role_arn", {"value": null, "computed": true})])) == {["assumed-role", "undetermined"]}
	found(provider([setting("assume_role.role_arn", {"value": ""})])) == set()
}

test_backend if {
	found({"providers": [], "resources": [], "backends": [{"name": "s3", "address": "backend.s3", "settings": [setting("profile", {})]}]}) == {["provider-setting", "fail"]}
}

test_remote_state if {
	state := {"type": "terraform_remote_state", "address": "data.terraform_remote_state.x", "settings": [setting("backend", {"value": "s3"}), setting("config.profile", {})]}
	found({"providers": [], "backends": [], "resources": [state]}) == {["provider-setting", "fail"]}
	found({"providers": [], "backends": [], "resources": [state]}) == set() with data.source.settings.parameters.allowed as ["s3.profile"]
}
