package enginetest_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// While a hundred pull requests of one repository wait, and those that are worked on take as long as they like,
// the only one of another repository is planned at once. All are planned in the end.
//
// Covers: T79
func TestAStormOfPullRequestsStarvesNobody(t *testing.T) {
	const storm = 100
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		shop, err := w.GitHub.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "shop", Private: true, Author: enginetest.Ada,
			Roles: map[string]string{enginetest.Ada: "write"}, Files: fstest.MapFS{".tollgate.yaml": {Data: []byte(enginetest.Settings(1))}}})
		must(t, err)
		open := func(r *ghsim.Repo, name string) *ghsim.Pull {
			file, text := enginetest.Resource(name, "1")
			_, err := r.Push(ghsim.Push{Branch: name, By: enginetest.Ada, From: "main", Files: map[string]string{file: text}})
			must(t, err)
			p, err := r.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: name, Title: name})
			must(t, err)
			return p
		}
		planned := func(r *ghsim.Repo, p *ghsim.Pull) bool {
			c, ok := r.CheckRun(p.Info().HeadSHA, "tollgate/plan: "+enginetest.Project)
			return ok && c.Conclusion == "success"
		}
		over := make(chan struct{})
		var mu sync.Mutex
		fetched := 0 // pull requests of the storm of which the work has begun
		w.OnRead(func(what string) {
			if what == w.Repo.FullName()+": fetch" {
				mu.Lock()
				fetched++
				mu.Unlock()
				<-over
			}
		})
		var pulls []*ghsim.Pull
		for i := range storm {
			pulls = append(pulls, open(w.Repo, fmt.Sprintf("r%d", i)))
		}
		w.Let(time.Minute)
		for _, p := range pulls {
			if c, ok := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate"); !ok || c.Status == "completed" {
				t.Fatalf("#%d is not shown as under way: %+v", p.Number(), c)
			}
		}
		if fetched == 0 || fetched > 10 {
			t.Fatalf("%d of the storm are worked on at once", fetched)
		}
		one := open(shop, "r0")
		w.Let(30 * time.Second)
		if !planned(shop, one) {
			t.Error("the pull request of the other repository is not planned while the storm waits")
		}
		close(over)
		must(t, w.Settle(10*time.Minute))
		for _, p := range pulls {
			if !planned(w.Repo, p) {
				t.Errorf("#%d of the storm is not planned", p.Number())
			}
		}
	})
}
