package source.tree_test

import data.source.tree

facts := {"entries": 1, "bytes": 1, "depth": 1, "largest": {"path": "a", "size": 1}}

code(files) := {"project": {"dir": "app"}, "tree": facts, "errors": [], "files": files, "base": {"known": true, "values": ["app/old.auto.tfvars"]}}

found(doc) := {[f.rule, object.get(f, "verdict", "fail")] | some f in tree.deny with input as doc}

file(path) := {"path": path, "kind": "file", "size": 1}

test_ordinary if found(code([file("app/README.md"), file("app/.terraform.lock.hcl"), file("app/x.tfvars")])) == set()

test_unreadable if {
	found(object.union(code([]), {"errors": [{"file": "a.tf", "line": 1, "message": "x"}]})) == {["unreadable", "undetermined"]}
}

test_committed if {
	every path in ["app/.terraform/environment", "app/Terraform.d/x", ".terraformrc", "app/terraform.tfstate", "app/x.tfplan"] {
		found(code([file(path)])) == {["committed", "fail"]}
	}
	found(code([file("app/terraform.tfstate")])) == set() with data.source.tree.parameters.committed as ["app/*"]
}

link(path, leads) := {"path": path, "kind": "link", "size": 0, "target": "x", "leads": leads}

test_links if {
	found(code([link("a", "b")])) == set()
	found(code([object.remove(link("a", "b"), ["leads"])])) == {["link", "fail"]}
	found(code([link("a", "b"), link("b/c", "d")])) == {["link", "fail"]}
	found(code([link("a", "."), link("b/c", "d")])) == {["link", "fail"]}
	found(code([link("a", "."), link("bc", "d")])) == {["link", "fail"]}
}

test_submodules if {
	found(code([{"path": "x", "kind": "submodule"}])) == {["submodule", "fail"]}
	found(code([{"path": "x", "kind": "submodule"}])) == set() with data.source.tree.parameters.submodules as ["x"]
}

test_lfs if found(code([object.union(file("app/x"), {"pointer": true})])) == {["lfs", "fail"]}

test_overrides if {
	every path in ["app/override.tf", "app/x_override.tf.json", "override.tofu"] {
		found(code([file(path)])) == {["override", "fail"]}
	}
	found(code([file("app/overrides.tf")])) == set()
	found(code([file("app/override.tf")])) == set() with data.source.tree.parameters.overrides as ["app/*"]
}

warned(doc) := {f.file | some f in tree.warn with input as doc}

test_values if {
	warned(code([file("app/new.auto.tfvars"), file("app/old.auto.tfvars"), file("other/x.auto.tfvars"), file("app/x.tfvars")])) == {"app/new.auto.tfvars"}
	warned(code([file("app/terraform.tfvars")])) == {"app/terraform.tfvars"}
	warned(object.union(code([file("app/terraform.tfvars")]), {"base": {"known": false}})) == set()
	warned(object.union(code([file("terraform.tfvars")]), {"project": {"dir": "."}})) == {"terraform.tfvars"}
}

test_size if {
	every more in [{"entries": 300000}, {"bytes": 3000000000}, {"depth": 70}, {"largest": {"path": "a", "size": 200000000}}] {
		found(object.union(code([]), {"tree": object.union(facts, more)})) == {["size", "fail"]}
	}
}
