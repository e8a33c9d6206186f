package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// registry is the host of a provider's address that names none.
const registry = "registry.terraform.io"

// A Provider is one version of a Terraform provider.
type Provider struct {
	Source  string // host/namespace/type
	Version string
}

func (p Provider) String() string {
	return strings.TrimPrefix(p.Source, registry+"/") + " " + p.Version
}

// ProvidersInLock reads a dependency lock file (.terraform.lock.hcl). Terraform writes that file
// in one fixed form, so that reading it takes no HCL parser.
func ProvidersInLock(text []byte) []Provider {
	entry := regexp.MustCompile(`(?m)^provider "([^"]+)" \{\n\s*version\s*=\s*"([^"]+)"`)
	var providers []Provider
	for _, m := range entry.FindAllSubmatch(text, -1) {
		providers = append(providers, Provider{Source: string(m[1]), Version: string(m[2])})
	}
	return providers
}

// findProviders returns the mirrors that together hold the wanted providers. What none of them
// holds is downloaded into the cache, which is a mirror too.
func (s *search) findProviders(ctx context.Context) ([]string, error) {
	for _, dir := range s.Mirrors {
		if !isMirror(dir) {
			return nil, fault.New(fmt.Sprintf("The provider mirror %q holds no providers for %s.", dir, platform()),
				"Terraform would look for its providers there.", "Correct the path, or leave it out.")
		}
	}
	mirrors := s.mirrors()
	if len(s.Providers) == 0 {
		s.say(Providers, "mirrors found: %s", orDefault(strings.Join(mirrors, ", "), "none, the registry is used"))
		return mirrors, nil
	}
	var use []string
	var missing []Provider
	for _, p := range s.Providers {
		i := slices.IndexFunc(mirrors, func(dir string) bool { return holds(dir, p) })
		if i < 0 {
			missing = append(missing, p)
			continue
		}
		s.say(Providers, "%s found: %s", p, mirrors[i])
		use = append(use, mirrors[i])
	}
	if len(missing) > 0 {
		fetched, err := s.fetchMissing(ctx, missing)
		if err != nil {
			return nil, err
		}
		use = append(use, fetched...)
	}
	slices.Sort(use)
	return slices.Compact(use), nil
}

// fetchMissing returns the cache's mirror, or nothing where Terraform itself will have to ask the
// registry because nothing may be installed.
func (s *search) fetchMissing(ctx context.Context, missing []Provider) ([]string, error) {
	if !s.installs() {
		s.say(Providers, "%v not on this machine: the registry is used", missing)
		return nil, nil
	}
	began := time.Now()
	s.say(Providers, "downloading %v", missing)
	if err := s.downloadProviders(ctx, missing); err != nil {
		return nil, fault.Wrap(err, fmt.Sprintf("The Terraform providers %v could not be downloaded.", missing), "Every plan needs them.",
			"Let this machine reach "+registry+", or put the providers into "+s.mirrorInCache()+
				" in the layout that `terraform providers mirror` writes.")
	}
	s.say(Providers, "downloaded in %s: %s", took(began), s.mirrorInCache())
	return []string{s.mirrorInCache()}, nil
}

func (s *search) mirrorInCache() string { return filepath.Join(s.CacheDir, "providers") }

// downloadProviders lets Terraform fetch them, since it verifies their signatures. Its plugin
// cache has the layout of an unpacked mirror; `terraform providers mirror` would leave archives,
// which every init then unpacks again: five seconds and 700 MB for the AWS provider.
func (s *search) downloadProviders(ctx context.Context, missing []Provider) error {
	terraform, err := s.terraform(ctx)
	if err != nil {
		return err
	}
	if err := reachable(ctx, orDefault(s.sites.registry, "https://"+registry)); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "tollgate-providers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	config, err := writeRequirements(work, missing)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.mirrorInCache(), 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, terraform, "init", "-backend=false", "-input=false", "-no-color")
	cmd.Dir = work
	cmd.Env = append(withoutTerraformSettings(cmd.Environ()),
		"CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+config, "TF_PLUGIN_CACHE_DIR="+filepath.Join(work, "cache"))
	if err := os.Mkdir(filepath.Join(work, "cache"), 0o755); err != nil {
		return err
	}
	if err := run(ctx, cmd); err != nil {
		return err
	}
	return s.adopt(filepath.Join(work, "cache"), missing)
}

// adopt copies what was fetched into the cache, each provider complete or not at all.
func (s *search) adopt(from string, providers []Provider) error {
	for _, p := range providers {
		sub := filepath.Join(filepath.FromSlash(p.Source), p.Version, platform())
		err := place(filepath.Join(s.mirrorInCache(), sub), func(dir string) error {
			return os.CopyFS(dir, os.DirFS(filepath.Join(from, sub)))
		})
		if err != nil {
			return fmt.Errorf("keep %s: %w", p, err)
		}
	}
	return nil
}

// writeRequirements writes a root module that requires the providers and an empty CLI
// configuration, whose path it returns.
func writeRequirements(dir string, providers []Provider) (string, error) {
	var b strings.Builder
	b.WriteString("terraform {\n  required_providers {\n")
	for i, p := range providers {
		fmt.Fprintf(&b, "    p%d = {\n      source  = %q\n      version = %q\n    }\n", i, p.Source, p.Version)
	}
	b.WriteString("  }\n}\n")
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(b.String()), 0o644); err != nil {
		return "", err
	}
	config := filepath.Join(dir, "empty.tfrc")
	return config, os.WriteFile(config, nil, 0o644)
}

// withoutTerraformSettings drops what would change where Terraform looks, or how.
func withoutTerraformSettings(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, "TF_") || strings.HasPrefix(v, "AWS_")
	})
}

// CLIConfig is a Terraform CLI configuration that takes from the mirrors what they hold, and
// everything else from the registry. A provider in a mirror is excluded from the registry, or a
// machine without a way out could not even use the mirror.
func CLIConfig(mirrors []string) string {
	var b strings.Builder
	var all []string
	b.WriteString("disable_checkpoint = true\n\nprovider_installation {\n")
	for _, dir := range mirrors {
		sources := sourcesIn(dir)
		all = append(all, sources...)
		fmt.Fprintf(&b, "  filesystem_mirror {\n    path    = %q\n    include = %s\n  }\n", dir, hclStrings(sources))
	}
	b.WriteString("  direct {\n")
	if len(all) > 0 {
		fmt.Fprintf(&b, "    exclude = %s\n", hclStrings(all))
	}
	b.WriteString("  }\n}\n")
	return b.String()
}

func hclStrings(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// platform is the name of the directory that holds a provider for this machine.
func platform() string { return runtime.GOOS + "_" + runtime.GOARCH }

// holds reports whether the mirror has this version for this machine, unpacked or as an archive.
func holds(dir string, p Provider) bool {
	base := filepath.Join(dir, filepath.FromSlash(p.Source))
	kind := path.Base(p.Source)
	for _, pattern := range []string{
		filepath.Join(base, p.Version, platform(), "terraform-provider-"+kind+"*"),
		filepath.Join(base, "terraform-provider-"+kind+"_"+p.Version+"_"+platform()+".zip"),
	} {
		if matches, err := filepath.Glob(pattern); err == nil && len(matches) > 0 {
			return true
		}
	}
	return false
}

// sourcesIn lists the addresses of the providers that a mirror holds for this machine.
func sourcesIn(dir string) []string {
	var sources []string
	for _, pattern := range []string{"*/*/*/" + platform(), "*/*/*_" + platform() + ".zip"} {
		matches, err := filepath.Glob(filepath.Join(dir, registry, filepath.FromSlash(pattern)))
		if err != nil {
			continue // the directory's own name holds a bracket
		}
		for _, match := range matches {
			relative, err := filepath.Rel(dir, match)
			if err != nil {
				continue
			}
			parts := strings.Split(filepath.ToSlash(relative), "/")
			sources = append(sources, strings.Join(parts[:3], "/"))
		}
	}
	slices.Sort(sources)
	return slices.Compact(sources)
}
