package confine

import (
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Remedies says what to change on this machine so that it can confine, one sentence each: what is
// seen to stand in the way. If nothing is, it is all that could.
func Remedies() []string {
	var name unix.Utsname
	_ = unix.Uname(&name) // without it nothing is said of the version
	return remedies(os.DirFS("/"), unix.ByteSliceToString(name.Release[:]))
}

func remedies(root fs.FS, release string) []string {
	setting := func(name, bad string) bool {
		b, err := fs.ReadFile(root, "proc/sys/"+strings.ReplaceAll(name, ".", "/"))
		return err == nil && strings.TrimSpace(string(b)) == bad
	}
	exists := func(name string) bool { _, err := fs.Stat(root, name); return err == nil }
	var seen, possible []string
	for _, r := range []struct {
		seen bool
		text string
	}{
		{older(release), "Use Linux 5.12 or newer."},
		{setting("user.max_user_namespaces", "0"), "Allow name spaces: sysctl -w user.max_user_namespaces=15000"},
		{setting("kernel.unprivileged_userns_clone", "0"), "Allow name spaces to every user: sysctl -w kernel.unprivileged_userns_clone=1"},
		{setting("kernel.apparmor_restrict_unprivileged_userns", "1"), "Let AppArmor allow them: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile with `userns,` for this program."},
		{exists(".dockerenv") || exists("run/.containerenv"), "Start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined."},
	} {
		possible = append(possible, r.text)
		if r.seen {
			seen = append(seen, r.text)
		}
	}
	if len(seen) > 0 {
		return seen
	}
	return possible
}

// older reports whether a release of Linux has no mount_setattr.
func older(release string) bool {
	major, rest, _ := strings.Cut(release, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	return err == nil && err2 == nil && (x < 5 || x == 5 && y < 12)
}
