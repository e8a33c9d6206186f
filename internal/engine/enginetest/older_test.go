package enginetest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// remembered is how GitHub answers now to questions about the pull request, after a while in which nothing happens: it tells
// times in seconds.
func remembered(t *testing.T, w *enginetest.World) []byte {
	t.Helper()
	reads := w.GitHub.RequestsTo(readsPull)
	if len(reads) == 0 {
		t.Fatal("the pull request was never read")
	}
	w.Let(5 * time.Second)
	return reads[len(reads)-1].Answer
}

// lags has GitHub answer so, after some questions that it answers as things are.
func lags(w *enginetest.World, answer []byte, skip int) *ghsim.Injected {
	return w.GitHub.Inject(readsPull, ghsim.Fault{Skip: skip, Do: func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = rw.Write(answer)
	}})
}

// While GitHub answers with what was before it said that the pull request is a draft, nobody decides. Then the
// decision is the right one.
//
// Covers: R20, T20
func TestADraftLooksReadyForAWhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		ready := remembered(t, w)
		must(t, p.ConvertToDraft(enginetest.Ada))
		settled(t, w)
		old := lags(w, ready, 1) // who asks is told of the draft still
		before := len(p.Comments())
		_, err := p.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(30 * time.Second)
		if n := len(w.Cloud.Applies()); n != 0 || old.Hits() == 0 || len(p.Comments()) != before+1 {
			t.Fatalf("%d applies by an old answer\n%s", n, texts(p))
		}
		old.Clear()
		settled(t, w)
		if n := len(w.Cloud.Applies()); n != 0 || !strings.Contains(texts(p), "The pull request is a draft.") {
			t.Fatalf("%d applies of a draft\n%s", n, texts(p))
		}
		must(t, p.ReadyForReview(enginetest.Ada))
		settled(t, w)
		says(t, w, p, enginetest.Ada, "/apply")
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("the twin makes %d applies\n%s", n, texts(p))
		}
	})
}

// The pull request is closed at the last moment before the claim, and the last question about it is answered with what
// was before: that proves nothing.
//
// Covers: R20, T20
func TestTheLastAnswerBeforeTheClaimIsOld(t *testing.T) {
	for name, lagging := range map[string]bool{"old": true, "new": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				const last = 4 // who asks, the facts, the facts once more, and the pull request at the end
				p := approved(t, w)
				open := remembered(t, w)
				must(t, p.Edit(enginetest.Ada, ghsim.PullEdit{Title: ptr("Other")}))
				settled(t, w)
				asked := 0
				if lagging {
					old := lags(w, open, last-1)
					w.OnRead(func(what string) {
						if !strings.HasSuffix(what, "/pulls/1") {
							return
						}
						if asked++; asked == last {
							must(t, p.Close(enginetest.Ada))
						}
					})
					defer old.Clear()
					_, err := p.Comment(enginetest.Ada, "/apply")
					must(t, err)
					w.Let(30 * time.Second)
					if n := len(w.Cloud.Applies()); n != 0 || old.Hits() == 0 {
						t.Fatalf("%d applies, and %d questions with an old answer\n%s", n, old.Hits(), texts(p))
					}
					return
				}
				w.OnRead(func(what string) {
					if strings.HasSuffix(what, "/pulls/1") && len(w.Cloud.Applies()) == 0 {
						asked++
					}
				})
				says(t, w, p, enginetest.Ada, "/apply")
				if n := len(w.Cloud.Applies()); n != 1 || asked != last {
					t.Errorf("%d applies, after %d questions: the other case lies at question %d\n%s", n, asked, last, texts(p))
				}
			})
		})
	}
}

// GitHub answers with the head before the last push, to a webhook and in its lists: the old head is not planned again, and
// nothing is told to be missed.
//
// Covers: R20, R18
func TestAnOldHeadIsNoNews(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		reconciling(t, w)
		p := propose(t, w)
		w.Let(2 * time.Minute)
		first := remembered(t, w)
		file, text := enginetest.Resource("third", "3")
		_, err := w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
		must(t, err)
		w.Let(2 * time.Minute)
		missed := w.Alarms("missed pull_request")
		list := append(append([]byte{'['}, first...), ']')
		one, many := lags(w, first, 0), w.GitHub.Inject(ghsim.Match{Method: http.MethodGet, Path: "/repos/*/*/pulls"},
			ghsim.Fault{Do: func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json; charset=utf-8")
				_, _ = rw.Write(list)
			}})
		must(t, p.Close(enginetest.Ada))
		must(t, p.Reopen(enginetest.Ada)) // two webhooks
		w.Let(6 * time.Minute)
		if one.Hits() == 0 || many.Hits() == 0 {
			t.Fatalf("%d and %d questions with an old answer", one.Hits(), many.Hits())
		}
		one.Clear()
		many.Clear()
		w.Let(2 * time.Minute)
		runs, err := w.Runs(p.Number())
		must(t, err)
		if len(runs) != 2 || runs[0].HeadSHA != p.Info().HeadSHA {
			t.Errorf("%d runs, the newest of %s", len(runs), runs[0].HeadSHA)
		}
		if n := w.Alarms("missed pull_request") - missed; n != 0 {
			t.Errorf("%d times something is told to be missed", n)
		}
		if got := conclusion(w, p, "tollgate"); got != "completed success" {
			t.Errorf("the check is %q", got)
		}
	})
}
