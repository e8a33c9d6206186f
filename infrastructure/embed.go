// Package infrastructure carries the payment system's Terraform configuration, with its
// emulator launcher, inside the binary, so that a demo needs no checkout.
package infrastructure

import "embed"

// Files is this folder as committed: without the .terraform directories and
// __pycache__ of whoever worked in it.
//
//go:embed *.tf *.tfvars environment.sh README.md
//go:embed .gitignore .terraform.lock.hcl .terraform-docs.yml .tflint.hcl
//go:embed emulator modules tests
var Files embed.FS
