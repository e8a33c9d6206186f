package confine

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRemediesNameWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	fine := fstest.MapFS{"proc/sys/user/max_user_namespaces": file("63000\n"), "proc/sys/kernel/unprivileged_userns_clone": file("1\n"),
		"proc/sys/kernel/apparmor_restrict_unprivileged_userns": file("0\n")}
	if got := remedies(fine, "6.1.0-18-amd64"); len(got) != 5 {
		t.Errorf("nothing is seen to stand in the way, and what could is not listed: %q", got)
	}
	for name, c := range map[string]struct {
		machine fstest.MapFS
		release string
		want    []string
	}{
		"an old kernel":        {fine, "5.4.0-150-generic", []string{"Linux 5.12"}},
		"a very old kernel":    {fine, "4.19.0", []string{"Linux 5.12"}},
		"no name spaces":       {fstest.MapFS{"proc/sys/user/max_user_namespaces": file("0\n")}, "6.1.0", []string{"max_user_namespaces"}},
		"Debian's switch":      {fstest.MapFS{"proc/sys/kernel/unprivileged_userns_clone": file("0\n")}, "6.1.0", []string{"unprivileged_userns_clone"}},
		"Ubuntu's switch":      {fstest.MapFS{"proc/sys/kernel/apparmor_restrict_unprivileged_userns": file("1\n")}, "6.8.0", []string{"apparmor_restrict"}},
		"Docker":               {fstest.MapFS{".dockerenv": file("")}, "6.1.0", []string{"seccomp=unconfined"}},
		"an old one, Podman's": {fstest.MapFS{"run/.containerenv": file("")}, "5.10.0", []string{"Linux 5.12", "seccomp=unconfined"}},
	} {
		got := remedies(c.machine, c.release)
		if !slices.EqualFunc(got, c.want, strings.Contains) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
