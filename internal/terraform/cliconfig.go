package terraform

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// source says where one provider is taken from.
type source struct {
	provider string // host/namespace/type
	mirror   string
}

// mirrored returns the providers that are to be taken from a mirror. With a lock file those are
// the locked ones that a mirror holds in that version, so that a mirror that lags behind does not
// hide the registry; without one, all that a mirror holds at all.
func mirrored(mirrors []string, lock []locked) ([]source, error) {
	var found []source
	for _, mirror := range mirrors {
		patterns := []string{"*/*/*/*"}
		if lock != nil {
			patterns = patterns[:0]
			for _, l := range lock {
				patterns = append(patterns, l.Provider+"/"+l.Version)
			}
		}
		for _, p := range patterns {
			dirs, err := fs.Glob(os.DirFS(mirror), p+"/"+platform())
			if err != nil {
				return nil, fmt.Errorf("look for providers in mirror: %w", err)
			}
			for _, d := range dirs {
				found = append(found, source{provider: filepath.Dir(filepath.Dir(d)), mirror: mirror})
			}
		}
	}
	// The first mirror that has a provider wins.
	slices.SortStableFunc(found, func(a, b source) int { return strings.Compare(a.provider, b.provider) })
	return slices.CompactFunc(found, func(a, b source) bool { return a.provider == b.provider }), nil
}

func platform() string { return runtime.GOOS + "_" + runtime.GOARCH }

// cliConfig is the configuration for init and apply. The explicit provider_installation matters
// most: without it Terraform also installs what lies in terraform.d/plugins of the checkout.
//
// The cache is for providers from the registry only. Terraform takes a package from there only
// after comparing it with a hash in the lock file, and never when there is no lock file.
func cliConfig(sources []source, cache string) string {
	var b, excluded strings.Builder
	b.WriteString("disable_checkpoint = true\n")
	if cache != "" {
		fmt.Fprintf(&b, "plugin_cache_dir = %s\n", quote(cache))
	}
	b.WriteString("provider_installation {\n")
	for _, s := range sources {
		fmt.Fprintf(&b, "  filesystem_mirror {\n    path    = %s\n    include = [%s]\n  }\n", quote(s.mirror), quote(s.provider))
		fmt.Fprintf(&excluded, "%s, ", quote(s.provider))
	}
	fmt.Fprintf(&b, "  direct {\n    exclude = [%s]\n  }\n}\n", strings.TrimSuffix(excluded.String(), ", "))
	return b.String()
}

// overrideConfig is the configuration for plan and show with packages that were verified already.
func overrideConfig(packages map[string]string) string {
	var b strings.Builder
	b.WriteString("disable_checkpoint = true\nprovider_installation {\n  dev_overrides {\n")
	for _, provider := range sortedKeys(packages) {
		fmt.Fprintf(&b, "    %s = %s\n", quote(provider), quote(packages[provider]))
	}
	b.WriteString("  }\n  direct {\n    exclude = [\"*/*/*\"]\n  }\n}\n")
	return b.String()
}

// quote writes a string for HCL 1, where ${ starts an interpolation.
func quote(s string) string { return strings.ReplaceAll(strconv.Quote(s), "${", "$${") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
