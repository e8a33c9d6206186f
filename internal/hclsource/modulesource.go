package hclsource

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	registryModule = regexp.MustCompile(`^(?:([0-9a-z.-]+\.[a-z][0-9a-z-]*(?::[0-9]+)?)/)?([0-9a-z][0-9a-z_-]*)/([0-9a-z][0-9a-z_-]*)/([0-9a-z]+)(?://[^?]*)?$`)
	gitModule      = regexp.MustCompile(`^(?:git::https://|git::ssh://git@)([0-9a-z.-]+(?::[0-9]+)?)/([^?]+?)(?:\?(.*))?$`)
	gitShorthand   = regexp.MustCompile(`^(github\.com|bitbucket\.org)/([^?]+?)(?:\?(.*))?$`)
	gitOverSSH     = regexp.MustCompile(`^git@([0-9a-z.-]+):([^?]+?)(?:\?(.*))?$`)
	pathSegment    = regexp.MustCompile(`^[0-9A-Za-z_.~][0-9A-Za-z_.~-]*$`)
)

// classify says what kind of source a module call names. Terraform's own reading of these has many
// forms and exceptions; whatever is not plainly one of the usual is of the kind other.
func (c *Call) classify() {
	c.Kind = "other"
	lower := strings.ToLower(c.Source)
	if strings.HasPrefix(c.Source, "./") || strings.HasPrefix(c.Source, "../") || c.Source == "." || c.Source == ".." {
		c.Kind = "local"
		return
	}
	for _, form := range []*regexp.Regexp{gitModule, gitShorthand, gitOverSSH} {
		m := form.FindStringSubmatch(c.Source)
		if m == nil {
			continue
		}
		repository, inner, _ := strings.Cut(m[2], "//")
		repository = strings.TrimSuffix(repository, ".git")
		if form == gitShorthand && strings.Count(repository, "/") != 1 {
			return
		}
		ref, ok := onlyRef(m[3])
		if !ok || !plainPath(repository) || inner != "" && !plainPath(inner) {
			return
		}
		c.Kind, c.Repository, c.Ref = "git", strings.ToLower(m[1]+"/"+repository), ref
		return
	}
	if m := registryModule.FindStringSubmatch(lower); m != nil && lower == c.Source && !strings.HasPrefix(lower, "github.com/") && !strings.HasPrefix(lower, "bitbucket.org/") {
		host := m[1]
		if host == "" {
			host = defaultRegistry
		}
		c.Kind, c.Repository = "registry", strings.Join([]string{host, m[2], m[3], m[4]}, "/")
	}
}

const defaultRegistry = "registry.terraform.io"

// onlyRef reads a query that says nothing but which commit is meant.
func onlyRef(query string) (string, bool) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values["ref"]) > 1 {
		return "", false
	}
	for key := range values {
		if key != "ref" && key != "depth" {
			return "", false
		}
	}
	return values.Get("ref"), true
}

// plainPath reports whether a path leads down only, and has no segment that a program could take for an
// option.
func plainPath(p string) bool {
	for _, segment := range strings.Split(p, "/") {
		if !pathSegment.MatchString(segment) || segment == ".." || segment == "." {
			return false
		}
	}
	return true
}

var providerSource = regexp.MustCompile(`^(?:([0-9a-z.-]+(?::[0-9]+)?)/)?([0-9a-z](?:[0-9a-z_-]*[0-9a-z])?)/([0-9a-z](?:[0-9a-z_-]*[0-9a-z])?)$`)

// providerAddress is a provider's source with its host, in small letters as Terraform compares it, or
// empty if it is none.
func providerAddress(source string) string {
	m := providerSource.FindStringSubmatch(strings.ToLower(source))
	if m == nil {
		return ""
	}
	host := m[1]
	if host == "" {
		host = defaultRegistry
	}
	return strings.Join([]string{host, m[2], m[3]}, "/")
}
