package sandbox_test

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/sandbox"
)

// A plan and its apply end the same in rooms of their own, which is the default, and outside.
func TestPlanAndApplyInASandboxAndWithout(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"in it": nil, "without": {"--sandbox=off"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startSmall(t, one, args...)
			p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
			head := p.Info().HeadSHA
			want(t, w, head, "tollgate", "success")
			approve(t, p)
			if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
				t.Fatal(err)
			}
			want(t, w, head, "tollgate/apply: app", "success")
		})
	}
}
