package workspace

import (
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// environ is what git may know of the server's surroundings.
type environ struct {
	path    string
	certs   string // PEM file of certificate authorities, or empty for the system's
	proxies func(*url.URL) (*url.URL, error)
}

func newEnviron(server []string) environ {
	vars := map[string]string{}
	for _, kv := range server {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	either := func(name string) string {
		if v := vars[name]; v != "" {
			return v
		}
		return vars[strings.ToLower(name)]
	}
	proxy := httpproxy.Config{
		HTTPProxy:  either("HTTP_PROXY"),
		HTTPSProxy: either("HTTPS_PROXY"),
		NoProxy:    either("NO_PROXY"),
	}
	return environ{path: vars["PATH"], certs: vars["SSL_CERT_FILE"], proxies: proxy.ProxyFunc()}
}

// forGit is the whole environment of a git process. The proxy variables are absent on purpose:
// libcurl reads them by rules other than Go's.
func (e environ) forGit(config string) []string {
	if config == "" {
		config = "/dev/null"
	}
	return []string{
		"PATH=" + e.path,
		"HOME=/nonexistent",
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + config,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=",
		"GIT_LFS_SKIP_SMUDGE=1",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_OPTIONAL_LOCKS=0",
	}
}

// networkConfig is the configuration of one fetch in git's own format. The credential is bound
// to the URL, so that git offers it to no other place.
func (e environ) networkConfig(target *url.URL, authorization string) (string, error) {
	proxy, err := e.proxies(target)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("[http]\n")
	if proxy != nil {
		b.WriteString("\tproxy = " + quoteConfig(proxy.String()) + "\n")
	}
	if e.certs != "" {
		b.WriteString("\tsslCAInfo = " + quoteConfig(e.certs) + "\n")
	}
	if authorization != "" {
		b.WriteString("[http " + quoteConfig(target.String()) + "]\n")
		b.WriteString("\textraHeader = " + quoteConfig("Authorization: "+authorization) + "\n")
	}
	return b.String(), nil
}

var configEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", "", "\r", "", "\x00", "")

func quoteConfig(s string) string { return `"` + configEscapes.Replace(s) + `"` }
