package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// What Terraform gets of the server's environment: what providers and proxies need, and nothing
// else. The configuration variables of the guarded repository come through terraformVariables.
var (
	passedPrefixes = []string{"AWS_", "TF_VAR_"}
	passedNames    = []string{"PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "TZ"}
)

// terraformEnviron is the allow-listed part of environ.
func terraformEnviron(environ []string, further string) []string {
	names := append(list(further), passedNames...)
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(names, name) || slices.ContainsFunc(passedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			out = append(out, kv)
		}
	}
	return out
}

// terraformVariables are the settings of the guarded repository that come from the environment:
// for a root module that declares the variable, and for a partial S3 backend.
func terraformVariables(environ []string) engine.Environment {
	names := map[string]string{"ENVIRONMENT_SUFFIX": "environment_suffix", "AWS_REGION": "aws_region",
		"TERRAFORM_STATE_BUCKET": "", "TERRAFORM_STATE_BUCKET_REGION": ""}
	out := engine.Environment{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		variable, known := names[name]
		if !known || value == "" {
			continue
		}
		out[name] = value
		if variable != "" {
			out[variable] = value
		}
	}
	return out
}

// withoutOwn leaves out the variables by which Terraform would find the server's own credentials.
func withoutOwn(environ []string) []string {
	return slices.DeleteFunc(environ, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(cloud.Own, name)
	})
}

// credentials are those of plans and applies, or nil if they use the server's own.
func credentials(ctx context.Context, s settings, log *slog.Logger) (engine.Credentials, error) {
	roles := map[cloud.Use]string{}
	for use, role := range map[cloud.Use]string{cloud.Plan: s.PlanRole, cloud.Apply: s.ApplyRole} {
		if role != "" {
			roles[use] = role
			continue
		}
		log.Warn("no role is set, so Terraform gets the server's own credentials", "for", use)
	}
	if len(roles) == 0 && s.Sandbox == "off" {
		return nil, nil
	}
	return cloud.New(ctx, cloud.Config{Roles: roles, HandOver: s.Sandbox == "on", Lifetime: time.Duration(s.RoleMinutes) * time.Minute})
}

// findTerraform finds Terraform and the provider mirrors of this machine, and installs Terraform
// under the data directory if there is none.
func findTerraform(ctx context.Context, s settings, environ []string) (binary string, mirrors []string, err error) {
	found, err := toolchain.Ensure(ctx, toolchain.Config{
		CacheDir: filepath.Join(s.DataDir, "tools"), Terraform: s.Terraform, Mirrors: list(s.ProviderDirs),
		CLIConfigFile: lookup(environ, "TF_CLI_CONFIG_FILE"), Home: lookup(environ, "HOME"),
	}, toolchain.Terraform)
	if err != nil {
		return "", nil, err
	}
	if mirrors = list(s.ProviderDirs); len(mirrors) > 0 {
		return found.Terraform, mirrors, nil
	}
	have, err := toolchain.Ensure(ctx, toolchain.Config{CLIConfigFile: lookup(environ, "TF_CLI_CONFIG_FILE"), Home: lookup(environ, "HOME")}, toolchain.Providers)
	if err != nil {
		return found.Terraform, nil, nil // no mirror on this machine: the registry serves
	}
	return found.Terraform, have.Mirrors, nil
}

// list splits a setting that names several things.
func list(s string) []string {
	var out []string
	for p := range strings.SplitSeq(s, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func lookup(environ []string, name string) string {
	for _, kv := range environ {
		if n, v, _ := strings.Cut(kv, "="); n == name {
			return v
		}
	}
	return ""
}
