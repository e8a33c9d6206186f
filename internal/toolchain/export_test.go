package toolchain

// WithSites sends downloads to a test's own servers and looks for mirrors only below the roots.
func WithSites(cfg Config, releases, key, registry string, roots ...string) Config {
	cfg.sites = sites{releases: releases, key: key, registry: registry}
	cfg.roots = append([]string{}, roots...)
	return cfg
}

// Platform is the name of the directory that holds a provider for this machine.
func Platform() string { return platform() }
