package enginetest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// Of code that is refused nothing is laid out and nothing is planned or applied; its twin, which only has
// another name, is planned.
//
// Covers: T39, T47
func TestRefusedCodeIsNotPlanned(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		begun(t, w)
		open := func(name string) *ghsim.Pull {
			file, text := enginetest.Resource(name, "1")
			_, err := w.Repo.Push(ghsim.Push{Branch: name, By: enginetest.Ada, Files: map[string]string{file: text}})
			must(t, err)
			p, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: name, Title: name})
			must(t, err)
			w.Let(time.Minute)
			return p
		}
		before, applied := w.Cloud.Plans(), len(w.Cloud.Applies())
		p := open("refused")
		if n := w.Cloud.Plans(); n != before {
			t.Errorf("%d plans were made of refused code", n-before)
		}
		c, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate")
		if c.Conclusion != "failure" || !strings.HasPrefix(c.Title, "Not run: the code is refused") {
			t.Errorf("the check is %q: %q", c.Conclusion, c.Title)
		}
		must(t, p.Approve(enginetest.Grace))
		_, err := p.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(time.Minute)
		told := func(c ghsim.CommentInfo) bool { return strings.Contains(c.Body, "is refused, so nothing of it is run") }
		if !slices.ContainsFunc(p.Comments(), told) {
			t.Error("nobody says why it is not applied")
		}
		if n := len(w.Cloud.Applies()); n != applied {
			t.Errorf("%d applies of refused code", n-applied)
		}
		open("accepted")
		if w.Cloud.Plans() == before {
			t.Error("the twin was not planned")
		}
	})
}
