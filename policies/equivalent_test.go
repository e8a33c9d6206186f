package policies_test

// equivalent are the mutants that no plan of the fixtures can show, and why.
var equivalent = map[string]string{}
