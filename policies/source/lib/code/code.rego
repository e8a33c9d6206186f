# METADATA
# title: What rules for code have in common
package source.lib.code

# A finding at a place in the code.
finding(rule, at, msg) := {
	"rule": rule,
	"address": object.get(at, "address", ""),
	"file": at.file,
	"line": at.line,
	"msg": msg,
}

# One that cannot be decided because something is no literal.
undetermined(rule, at, msg) := object.union(finding(rule, at, msg), {"verdict": "undetermined"})

# Whether a name matches one of the patterns of a list: * is anything within a segment, ** anything.
listed(name, patterns) if {
	some pattern in patterns
	glob.match(pattern, ["/"], name)
}

# Whether a literal says that something is off.
off(value) if value in {null, false, ""}
