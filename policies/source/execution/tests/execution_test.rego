package source.execution_test

import data.source.execution

nothing := {"provisioners": [], "resources": [], "functions": []}

found(doc) := {[f.rule, object.get(f, "verdict", "fail")] | some f in execution.deny with input as object.union(nothing, doc)}

provisioner(digest) := {"provisioners": [{"address": "a", "file": "main.tf", "line": 2, "type": "local-exec", "when": "destroy", "digest": digest}]}

test_provisioner if {
	found(provisioner("sha256:1")) == {["provisioner", "fail"]}
	found(provisioner("sha256:1")) == set() with data.source.execution.parameters.provisioners as ["sha256:1"]
	found(provisioner("")) == {["provisioner", "undetermined"]}
	found(provisioner("")) == {["provisioner", "undetermined"]} with data.source.execution.parameters.provisioners as [""]
	count(execution.judged) == 1 with input as provisioner("")
}

resource(mode, type) := {"resources": [{"mode": mode, "type": type, "address": "x", "file": "main.tf", "line": 1}]}

test_data_sources if {
	found(resource("data", "external")) == {["data-source", "fail"]}
	found(resource("resource", "external")) == set()
	found(resource("data", "aws_vpc")) == set()
}

function(name, path) := {"functions": [{"name": name, "path": path, "text": "/etc/passwd", "file": "main.tf", "line": 1}]}

test_files if {
	found(function("file", "inside")) == set()
	found(function("file", "outside")) == {["file-path", "fail"]}
	found(function("file", "outside")) == set() with data.source.execution.parameters.files as ["/etc/*"]
	found(function("file", "computed")) == {["file-path", "undetermined"]}
}

test_uncovered if {
	count(execution.warn) == 1 with input as object.union(nothing, function("nonsensitive", "none"))
	count(execution.warn) == 0 with input as object.union(nothing, function("file", "inside"))
}
