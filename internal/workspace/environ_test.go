package workspace

import (
	"net/url"
	"strings"
	"testing"
)

func TestNetworkConfig(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ []string
		target  string
		want    string // proxy
	}{
		{"none", nil, "https://github.com/o/r.git", ""},
		{"https", []string{"HTTPS_PROXY=http://p:1"}, "https://github.com/o/r.git", "http://p:1"},
		{"lower case", []string{"https_proxy=http://p:1"}, "https://github.com/o/r.git", "http://p:1"},
		{"exempt by name", []string{"HTTPS_PROXY=http://p:1", "NO_PROXY=.example.com"}, "https://git.example.com/o/r.git", ""},
		{"exempt by network", []string{"HTTPS_PROXY=http://p:1", "no_proxy=10.0.0.0/8"}, "https://10.1.2.3/o/r.git", ""},
		{"not exempt", []string{"HTTPS_PROXY=http://p:1", "NO_PROXY=.example.com"}, "https://github.com/o/r.git", "http://p:1"},
		{"loopback", []string{"HTTPS_PROXY=http://p:1", "HTTP_PROXY=http://p:1"}, "http://127.0.0.1:8080/o/r.git", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target, err := url.Parse(test.target)
			if err != nil {
				t.Fatal(err)
			}
			got, err := newEnviron(test.environ).networkConfig(target, "")
			if err != nil || strings.Contains(got, "proxy = ") != (test.want != "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, %v; want the proxy %q", got, err, test.want)
			}
		})
	}
}

// A value cannot end its line and begin a setting of its own.
func TestQuoteConfig(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`plain`:                      `"plain"`,
		`a"b\c`:                      `"a\"b\\c"`,
		"x\n[core]\n\tfsmonitor = y": `"x[core]` + "\t" + `fsmonitor = y"`,
	} {
		if got := quoteConfig(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for in, gone := range map[string]string{
		"remote: token sekret42 is bad":                            "sekret42",
		"remote: ghs_16C7e42F292c6912E7710c838347Ae178B4a":         "16C7e42F",
		"fatal: https://x-access-token:abc@github.com/o/r.git":     "abc",
		"Authorization: Basic eC1hY2Nlc3MtdG9rZW46c2VrcmV0NDI=":    "eC1hY2Nl",
		"authorization: bearer github_pat_11ABCDEFG0123456789_zzz": "11ABCDEFG",
	} {
		if got := scrub(in, "sekret42"); strings.Contains(got, gone) {
			t.Errorf("%q is left in %q", gone, got)
		}
	}
	if got := scrub("fatal: couldn't find remote ref refs/heads/x"); got != "fatal: couldn't find remote ref refs/heads/x" {
		t.Errorf("got %q", got)
	}
}
