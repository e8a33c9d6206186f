package gate

import (
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// allowedBuiltins are the functions that a policy may call: pure ones, and the clock. A built-in that
// a newer engine brings is unknown until it is added here. Left out on purpose: http.send and
// net.lookup_ip_addr (network), opa.runtime (environment), rego.parse_module and trace (the engine
// itself), rand.intn and uuid.rfc4122 (a verdict must be repeatable), signing and private keys.
const allowedBuiltins = `
abs and array.concat array.flatten array.reverse array.slice assign base64.decode base64.encode
base64.is_valid base64url.decode base64url.encode base64url.encode_no_pad bits.and bits.lsh
bits.negate bits.or bits.rsh bits.xor ceil concat contains count crypto.hmac.equal crypto.hmac.md5
crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 crypto.md5 crypto.sha1 crypto.sha256
crypto.x509.parse_and_verify_certificates crypto.x509.parse_and_verify_certificates_with_options
crypto.x509.parse_certificate_request crypto.x509.parse_certificates div endswith eq equal floor
format_int glob.match glob.quote_meta graph.reachable graph.reachable_paths gt gte hex.decode
hex.encode indexof indexof_n internal.member_2 internal.member_3 internal.print
internal.template_string internal.test_case intersection io.jwt.decode is_array is_boolean is_null
is_number is_object is_set is_string json.filter json.is_valid json.marshal
json.marshal_with_options json.match_schema json.patch json.remove json.unmarshal
json.verify_schema lower lt lte max min minus mul neq net.cidr_contains net.cidr_contains_matches
net.cidr_expand net.cidr_intersects net.cidr_is_valid net.cidr_merge numbers.range
numbers.range_step object.filter object.get object.keys object.remove object.subset object.union
object.union_n or plus print product regex.find_all_string_submatch_n regex.find_n
regex.globs_match regex.is_valid regex.match regex.replace regex.split regex.template_match
rego.metadata.chain rego.metadata.rule rem replace round semver.compare semver.is_valid sort split
sprintf startswith strings.any_prefix_match strings.any_suffix_match strings.count
strings.render_template strings.replace_n strings.reverse strings.split_n substring sum
time.add_date time.clock time.date time.diff time.format time.now_ns time.parse_duration_ns
time.parse_ns time.parse_rfc3339_ns time.weekday to_number trim trim_left trim_prefix trim_right
trim_space trim_suffix type_name union units.parse units.parse_bytes upper uri.is_valid uri.parse
urlquery.decode urlquery.decode_object urlquery.encode urlquery.encode_object uuid.parse walk
yaml.is_valid yaml.marshal yaml.unmarshal`

// capabilities is what the engine may do. It is built once: the engine only reads it.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	allowed := strings.Fields(allowedBuiltins)
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return !slices.Contains(allowed, b.Name)
	})
	// Empty forbids every host, nil would allow them all: json.match_schema follows remote references.
	caps.AllowNet = []string{}
	return caps
})
