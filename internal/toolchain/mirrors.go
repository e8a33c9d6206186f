package toolchain

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// mirrors lists this machine's provider mirrors, in the order in which they are trusted: those
// that were given, those of the CLI configuration, the cache's own, those that Terraform looks at
// by itself, and those in the usual places.
func (s *search) mirrors() []string {
	dirs := slices.Clone(s.Mirrors)
	if text, err := os.ReadFile(s.CLIConfigFile); err == nil {
		dirs = append(dirs, mirrorsInCLIConfig(string(text), s.Home)...)
	}
	if s.CacheDir != "" {
		dirs = append(dirs, s.mirrorInCache())
	}
	dirs = append(dirs, s.impliedMirrors()...)
	for _, pattern := range s.searchRoots() {
		matches, err := filepath.Glob(filepath.Join(pattern, registry))
		if err != nil {
			continue // a home directory whose name holds a bracket
		}
		for _, match := range matches {
			if dir := filepath.Dir(match); ownedByUs(match) {
				dirs = append(dirs, dir)
			}
		}
	}
	return distinct(slices.DeleteFunc(dirs, func(dir string) bool { return !isMirror(dir) }))
}

// searchRoots are patterns of directories that may be mirrors. Their depth is fixed, so that the
// search ends quickly and cannot run in circles.
func (s *search) searchRoots() []string {
	if s.roots != nil {
		return s.roots
	}
	roots := []string{"/opt/*", "/opt/*/*", "/usr/share/*", "/usr/local/share/*", "/var/lib/*", "/srv/*", "/srv/*/*"}
	if s.Home != "" {
		roots = append(roots, filepath.Join(s.Home, "*"))
	}
	return roots
}

// impliedMirrors are the directories that Terraform reads without being told.
func (s *search) impliedMirrors() []string {
	var dirs []string
	if s.Home != "" {
		dirs = append(dirs, filepath.Join(s.Home, ".terraform.d", "plugins"), filepath.Join(s.Home, ".local", "share", "terraform", "plugins"))
	}
	return append(dirs, "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")
}

// mirrorsInCLIConfig finds the filesystem mirrors of a Terraform CLI configuration. The file is
// the user's own and small; only the one setting is looked for.
func mirrorsInCLIConfig(text, home string) []string {
	text = regexp.MustCompile(`(?m)^\s*(#|//).*$`).ReplaceAllString(text, "")
	block := regexp.MustCompile(`filesystem_mirror\s*\{[^}]*?\bpath\s*=\s*"([^"]+)"`)
	var dirs []string
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		dir := m[1]
		if rest, ok := strings.CutPrefix(dir, "~/"); ok {
			dir = filepath.Join(home, rest)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

func isMirror(dir string) bool { return len(sourcesIn(dir)) > 0 }

// ownedByUs reports whether nobody but root and this user can put programs into the directory:
// what is found without being named will be run.
func ownedByUs(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && (owner.Uid == 0 || int(owner.Uid) == os.Geteuid())
}

// distinct resolves links and drops the directories that came up before.
func distinct(dirs []string) []string {
	var real []string
	for _, dir := range dirs {
		path, err := filepath.EvalSymlinks(dir)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil && !slices.Contains(real, path) {
			real = append(real, path)
		}
	}
	return real
}
