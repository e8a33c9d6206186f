package ghsim

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// router finds operations by GitHub's own path templates. http.ServeMux can't hold them: it
// refuses .../issues/comments/{comment_id} beside .../issues/{issue_number}/comments.
type router struct{ routes []*compiled }

type compiled struct {
	route
	method string
	path   *regexp.Regexp
	names  []string
	weight int // the more literal text, the more specific
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// spansSlashes are the parameters that may hold slashes, escaped or not.
var spansSlashes = map[string]bool{"ref": true, "branch": true, "path": true, "basehead": true}

func newRouter(routes []route) *router {
	rt := &router{}
	for _, r := range routes {
		method, template, _ := strings.Cut(r.pattern, " ")
		c := &compiled{route: r, method: method, weight: len(pathParam.ReplaceAllString(template, ""))}
		expr := regexp.QuoteMeta(template)
		for _, m := range pathParam.FindAllStringSubmatch(template, -1) {
			c.names = append(c.names, m[1])
			one := `([^/]+)`
			if spansSlashes[m[1]] {
				one = `(.+)`
			}
			expr = strings.Replace(expr, regexp.QuoteMeta(m[0]), one, 1)
		}
		c.path = regexp.MustCompile("^" + expr + "/?$")
		rt.routes = append(rt.routes, c)
	}
	slices.SortStableFunc(rt.routes, func(a, b *compiled) int { return cmp.Compare(b.weight, a.weight) })
	return rt
}

// find returns the most specific operation and sets the request's path values; the zero route if
// there is none.
func (rt *router) find(r *http.Request) (route, map[string]string) {
	for _, c := range rt.routes {
		if c.method != r.Method {
			continue
		}
		m := c.path.FindStringSubmatch(r.URL.EscapedPath())
		if m == nil {
			continue
		}
		params := map[string]string{}
		for i, name := range c.names {
			value, err := url.PathUnescape(m[i+1])
			if err != nil {
				return route{}, nil
			}
			params[name] = value
			r.SetPathValue(name, value)
		}
		return c.route, params
	}
	return route{}, nil
}
