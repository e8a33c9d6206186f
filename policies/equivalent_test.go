package policies_test

// equivalent are the mutants that no plan of the fixtures can show, and why.
var equivalent = map[string]string{
	`plan/private_subnets/addresses.rego: silence deny contains f if { parameters.endpoints_are == "deny"`: "waits for a parameter that no fixture sets",
}
