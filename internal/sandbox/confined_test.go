package sandbox_test

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/sandbox"
)

// A plan and its apply in rooms of their own end as they do outside.
func TestPlanAndApplyInASandbox(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one, "--sandbox", "on")
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}
