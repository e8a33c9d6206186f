package sandbox_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/sandbox"
)

// The role of applies is asked for after the authorisation and not before, the one of plans for each plan.
//
// Covers: T57
func TestApplyRoleIsMintedAfterTheAuthorisation(t *testing.T) {
	t.Parallel()
	const planRole, applyRole = "arn:aws:iam::123456789012:role/plan", "arn:aws:iam::123456789012:role/apply"
	var mu sync.Mutex
	var asked []string
	sts := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		asked = append(asked, r.Form.Get("RoleArn"))
		mu.Unlock()
		fmt.Fprint(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>minted</AccessKeyId>`+
			`<SecretAccessKey>minted</SecretAccessKey><SessionToken>minted</SessionToken><Expiration>2040-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	})
	count := func(role string) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range asked {
			if a == role {
				n++
			}
		}
		return n
	}
	w := startSmall(t, one)
	if err := w.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Bot.Environ = append(slices.Clone(w.Bot.Environ), "AWS_ENDPOINT_URL_STS="+sts)
	w.Bot.Args = append(w.Bot.Args, "--aws-plan-role", planRole, "--aws-apply-role", applyRole)
	if err := w.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	if n := count(planRole); n != 1 {
		t.Errorf("the role of plans was asked for %d times, want once for the plan", n)
	}
	refused(t, p, sandbox.Author, "/apply", "may not be applied")
	if n := count(applyRole); n != 0 {
		t.Errorf("the role of applies was asked for %d times without an authorisation", n)
	}
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
	if n := count(applyRole); n != 1 {
		t.Errorf("the role of applies was asked for %d times, want once", n)
	}
}
