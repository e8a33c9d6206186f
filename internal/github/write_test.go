package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
)

func checkWith(annotations int) change.Check {
	c := change.Check{
		Name: "tollgate/plan: payments", HeadSHA: shaA, ExternalID: "run-1", DetailsURL: "https://t/runs/1", Status: "completed",
		Conclusion: "failure", Title: "1 to add", Summary: "S", Text: "T",
		Buttons: []change.Button{{Label: "Apply", Description: "Apply the plan", Identifier: "apply"}},
	}
	for i := range annotations {
		c.Annotations = append(c.Annotations, change.Annotation{
			Path: "main.tf", StartLine: i + 1, EndLine: i + 2, Level: "failure", Title: "TLS", Message: fmt.Sprint("m", i),
		})
	}
	return c
}

func TestCreateCheckSendsEverything(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/check-runs", answer(201, `{"id":11}`))
	id, err := f.app().CreateCheck(t.Context(), shop, checkWith(1))
	if err != nil || id != 11 {
		t.Fatalf("%d, %v", id, err)
	}
	want := []map[string]any{{
		"name": "tollgate/plan: payments", "head_sha": shaA, "external_id": "run-1", "details_url": "https://t/runs/1",
		"status": "completed", "conclusion": "failure",
		"output": m{"title": "1 to add", "summary": "S", "text": "T", "annotations": []any{m{
			"path": "main.tf", "start_line": 1.0, "end_line": 2.0, "annotation_level": "failure", "title": "TLS", "message": "m0",
		}}},
		"actions": []any{m{"label": "Apply", "description": "Apply the plan", "identifier": "apply"}},
	}}
	if diff := cmp.Diff(want, f.bodies()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}

	f = newFake(t)
	f.on("POST /repos/acme/shop/check-runs", answer(201, `{"id":11}`))
	bare := change.Check{Name: "tollgate", HeadSHA: shaA, Status: "queued"}
	if _, err := f.app().CreateCheck(t.Context(), shop, bare); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]map[string]any{{"name": "tollgate", "head_sha": shaA, "status": "queued"}}, f.bodies()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// step is what one request says of the check.
type step struct {
	Method, Status, Conclusion string
	First, Count               int
	Buttons                    int
}

func steps(f *fake) []step {
	var list []step
	for _, r := range f.requests {
		s := step{Method: r.Method, Status: fmt.Sprint(r.Body["status"])}
		s.Conclusion, _ = r.Body["conclusion"].(string)
		if output, ok := r.Body["output"].(m); ok {
			annotations, _ := output["annotations"].([]any)
			if s.Count = len(annotations); s.Count > 0 {
				s.First = int(annotations[0].(m)["start_line"].(float64))
			}
		}
		buttons, _ := r.Body["actions"].([]any)
		s.Buttons = len(buttons)
		list = append(list, s)
	}
	return list
}

func TestAnnotationsAreSentInOrder(t *testing.T) {
	t.Parallel()
	part := func(method string, first, count int) step {
		return step{Method: method, Status: "in_progress", First: first, Count: count}
	}
	last := func(method string, first, count int) step {
		return step{Method: method, Status: "completed", Conclusion: "failure", First: first, Count: count, Buttons: 1}
	}
	for annotations, want := range map[int][]step{
		0:   {last("POST", 0, 0)},
		1:   {last("POST", 1, 1)},
		50:  {last("POST", 1, 50)},
		51:  {part("POST", 1, 50), last("PATCH", 51, 1)},
		100: {part("POST", 1, 50), last("PATCH", 51, 50)},
		101: {part("POST", 1, 50), part("PATCH", 51, 50), last("PATCH", 101, 1)},
		120: {part("POST", 1, 50), part("PATCH", 51, 50), last("PATCH", 101, 20)},
	} {
		f := newFake(t)
		f.on("POST /repos/acme/shop/check-runs", answer(201, `{"id":11}`))
		f.on("PATCH /repos/acme/shop/check-runs/11", answer(200, `{"id":11}`))
		app := f.app()
		if id, err := app.CreateCheck(t.Context(), shop, checkWith(annotations)); err != nil || id != 11 {
			t.Errorf("%d annotations: %d, %v", annotations, id, err)
		}
		if diff := cmp.Diff(want, steps(f)); diff != "" {
			t.Errorf("create with %d annotations (-want +got):\n%s", annotations, diff)
		}

		f.requests = nil
		want[0].Method = "PATCH"
		if err := app.UpdateCheck(t.Context(), shop, 11, checkWith(annotations)); err != nil {
			t.Errorf("%d annotations: %v", annotations, err)
		}
		if diff := cmp.Diff(want, steps(f)); diff != "" {
			t.Errorf("update with %d annotations (-want +got):\n%s", annotations, diff)
		}
	}
}

func checkRunAnswer(id int64, changes ...func(m)) m {
	c := m{"id": id, "name": "tollgate/plan: payments", "head_sha": shaA, "external_id": "run-1", "status": "in_progress",
		"app": m{"id": appID}, "output": m{"annotations_count": 0}}
	for _, change := range changes {
		change(c)
	}
	return c
}

func TestInterruptedCheckIsResumed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/check-runs", answer(201, `{"id":11}`))
	f.on("PATCH /repos/acme/shop/check-runs/11", answer(200, `{"id":11}`), refuse(502, "Bad gateway"), answer(200, `{"id":11}`))
	f.on("GET /repos/acme/shop/commits/{sha}/check-runs", answerJSON(m{"total_count": 1, "check_runs": []any{
		checkRunAnswer(11, func(c m) { c["output"] = m{"annotations_count": 100} }),
	}}))
	app := f.app()
	id, err := app.CreateCheck(t.Context(), shop, checkWith(120))
	if wantFault(t, err, github.ErrUnavailable); id != 11 {
		t.Fatalf("the id %d does not come with the error", id)
	}
	f.requests = nil
	if id, err = app.ResumeCheck(t.Context(), shop, checkWith(120)); err != nil || id != 11 {
		t.Fatalf("resume: %d, %v", id, err)
	}
	want := []step{{Method: "GET", Status: "<nil>"}, {Method: "PATCH", Status: "completed", Conclusion: "failure", First: 101, Count: 20, Buttons: 1}}
	if diff := cmp.Diff(want, steps(f)); diff != "" {
		t.Errorf("resumed with (-want +got):\n%s", diff)
	}
	if q := f.requests[0].Query; !strings.Contains(q, "app_id=7") || !strings.Contains(q, "filter=all") || !strings.Contains(q, "check_name=tollgate%2Fplan") {
		t.Errorf("looked with %s", q)
	}
}

// A request that was given up may make its check after another was made in its place. None of them
// may stay as it was then.
func TestEveryCheckOfTheSameIdSaysTheSame(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/commits/{sha}/check-runs", answerJSON(m{"total_count": 2, "check_runs": []any{
		checkRunAnswer(12, func(c m) { c["output"] = m{"annotations_count": 0} }),
		checkRunAnswer(11, func(c m) { c["output"] = m{"annotations_count": 3} }),
		checkRunAnswer(11, func(c m) { c["output"] = m{"annotations_count": 3} }), // on two pages
		checkRunAnswer(13, func(c m) { c["external_id"] = "another" }),
	}}))
	f.on("PATCH /repos/acme/shop/check-runs/{id}", answer(200, `{"id":1}`))
	if id, err := f.app().ResumeCheck(t.Context(), shop, checkWith(3)); err != nil || id != 12 {
		t.Fatalf("resumed %d, %v, want the newest", id, err)
	}
	sent := map[string]int{}
	for _, r := range f.requests[1:] {
		annotations, _ := r.Body["output"].(map[string]any)["annotations"].([]any)
		sent[path.Base(r.Path)+" "+r.Body["status"].(string)] = len(annotations)
	}
	if diff := cmp.Diff(map[string]int{"11 completed": 0, "12 completed": 3}, sent); diff != "" {
		t.Errorf("annotations sent (-want +got):\n%s", diff)
	}
}

func TestLostCheckIsCreated(t *testing.T) {
	t.Parallel()
	foreign := []any{
		checkRunAnswer(21, func(c m) { c["app"] = m{"id": 8} }),
		checkRunAnswer(22, func(c m) { c["app"] = nil }),
		checkRunAnswer(23, func(c m) { c["external_id"] = "run-0" }),
		checkRunAnswer(24, func(c m) { c["name"] = "tollgate" }),
		checkRunAnswer(25, func(c m) { c["head_sha"] = shaB }),
		nil,
	}
	f := newFake(t)
	f.on("GET /repos/acme/shop/commits/{sha}/check-runs", answerJSON(m{"total_count": len(foreign), "check_runs": foreign}))
	f.on("POST /repos/acme/shop/check-runs", answer(201, `{"id":31}`))
	app := f.app()
	id, err := app.ResumeCheck(t.Context(), shop, checkWith(1))
	if err != nil || id != 31 {
		t.Errorf("%d, %v", id, err)
	}

	runs, err := app.FindChecks(t.Context(), shop, shaA, "tollgate/plan: payments", "")
	if want := (github.CheckRun{ID: 23, ExternalID: "run-0", Status: "in_progress"}); err != nil || len(runs) != 1 || runs[0] != want {
		t.Errorf("found %+v, %v", runs, err)
	}
	if _, err := app.FindChecks(t.Context(), shop, "main", "tollgate", ""); err == nil {
		t.Error("no error for a branch instead of a commit")
	}
}

func TestUpdateOfACompleteCheckAddsNothingTwice(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/commits/{sha}/check-runs", answerJSON(m{"check_runs": []any{
		checkRunAnswer(11, func(c m) {
			c["status"], c["conclusion"], c["output"] = "completed", "failure", m{"annotations_count": 3}
		}),
	}}))
	f.on("PATCH /repos/acme/shop/check-runs/11", answer(200, `{"id":11}`))
	if _, err := f.app().ResumeCheck(t.Context(), shop, checkWith(3)); err != nil {
		t.Fatal(err)
	}
	if got := steps(f)[1]; got.Count != 0 || got.Status != "completed" {
		t.Errorf("sent %+v", got)
	}
}

func TestChecksThatGitHubWouldMisread(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*change.Check){
		"complete without a conclusion":     func(c *change.Check) { c.Conclusion = "" },
		"a conclusion while in progress":    func(c *change.Check) { c.Status = "in_progress" },
		"no name":                           func(c *change.Check) { c.Name = "" },
		"no status":                         func(c *change.Check) { c.Status, c.Conclusion = "", "" },
		"a branch":                          func(c *change.Check) { c.HeadSHA = "main" },
		"a title without a summary":         func(c *change.Check) { c.Summary = "" },
		"annotations without title and all": func(c *change.Check) { c.Title, c.Summary = "", "" },
	} {
		f := newFake(t)
		check := checkWith(1)
		spoil(&check)
		app := f.app()
		if _, err := app.CreateCheck(t.Context(), shop, check); err == nil {
			t.Errorf("%s: created", name)
		}
		if err := app.UpdateCheck(t.Context(), shop, 11, check); err == nil {
			t.Errorf("%s: updated", name)
		}
		if len(f.seen()) != 0 {
			t.Errorf("%s: sent %v", name, f.seen())
		}
	}
}

const marker = "<!-- tollgate:summary -->"

func TestFindComments(t *testing.T) {
	t.Parallel()
	bot := m{"id": 50, "login": "tollgate[bot]", "type": "Bot"}
	mine := func(id int, body string) m {
		return commentAnswer(func(c m) {
			c["id"], c["body"], c["user"], c["performed_via_github_app"] = id, body, bot, m{"id": appID}
		})
	}
	others := []any{
		commentAnswer(func(c m) { c["id"], c["body"] = 1, marker }),                                         // a person's
		commentAnswer(func(c m) { c["id"], c["body"], c["user"] = 2, marker, bot }),                         // our name, no App
		commentAnswer(func(c m) { c["body"], c["performed_via_github_app"] = marker, m{"id": appID} }),      // a person through our App
		commentAnswer(func(c m) { c["body"], c["user"], c["performed_via_github_app"] = marker, bot, nil }), // no App
		mine(3, "refused: "+marker+" is quoted"), mine(4, "an answer"), nil,
	}
	for len(others) < 150 {
		others = append(others, commentAnswer())
	}
	f := newFake(t)
	f.on("GET /repos/acme/shop/issues/3/comments", paged(others, true))
	f.on("GET /repos/acme/shop/issues/4/comments", paged(append(others, mine(5, marker+"\nSummary"), mine(6, marker)), true))
	app := f.app()
	for number, want := range map[int][]int64{3: nil, 4: {5, 6}} {
		if ids, err := app.FindComments(t.Context(), shop, number, marker); err != nil || !slices.Equal(ids, want) {
			t.Errorf("pull request %d: comments %d, %v, want %d", number, ids, err, want)
		}
	}
	if _, err := app.FindComments(t.Context(), shop, 3, ""); err == nil {
		t.Error("no error without a marker")
	}
}

func TestDeleteComment(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("DELETE /repos/acme/shop/issues/comments/5", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	f.on("DELETE /repos/acme/shop/issues/comments/6", refuse(404, "Not Found"))
	f.on("DELETE /repos/acme/shop/issues/comments/7", refuse(403, "Resource not accessible by integration"))
	app := f.app()
	for _, id := range []int64{5, 6} {
		if err := app.DeleteComment(t.Context(), shop, id); err != nil {
			t.Errorf("comment %d: %v", id, err)
		}
	}
	wantFault(t, app.DeleteComment(t.Context(), shop, 7), github.ErrForbidden)
}

func TestCommentsAndReactions(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/issues/3/comments", answer(201, `{"id":5}`))
	f.on("PATCH /repos/acme/shop/issues/comments/5", answer(200, `{"id":5}`))
	f.on("POST /repos/acme/shop/issues/comments/5/reactions", answer(201, `{"id":6}`))
	app := f.app()
	id, err := app.CreateComment(t.Context(), shop, 3, "a < b & c")
	if err := errors.Join(err, app.UpdateComment(t.Context(), shop, id, "new"), app.React(t.Context(), shop, id, "eyes")); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{"body": "a < b & c"}, {"body": "new"}, {"content": "eyes"}}
	if diff := cmp.Diff(want, f.bodies()); id != 5 || diff != "" {
		t.Errorf("comment %d, sent (-want +got):\n%s", id, diff)
	}
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/deployments", answer(201, `{"id":8}`))
	f.on("POST /repos/acme/shop/deployments/8/statuses", answer(201, `{"id":9}`))
	f.on("GET /repos/acme/shop/deployments", paged([]any{
		nil, m{"id": 1, "payload": ""}, m{"id": 2, "payload": m{"execution_id": "e0"}}, m{"id": 8, "payload": m{"execution_id": "e1"}},
	}, true))
	app := f.app()
	d := github.Deployment{SHA: shaA, Environment: "production", Production: true, Description: "payments", ExecutionID: "e1"}
	id, err := app.CreateDeployment(t.Context(), shop, d)
	if err != nil || id != 8 {
		t.Fatalf("%d, %v", id, err)
	}
	status := github.DeploymentStatus{State: "in_progress", LogURL: "https://t/1", Description: "applying"}
	if err := app.SetDeploymentStatus(t.Context(), shop, id, status); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"ref": shaA, "task": "tollgate:apply", "auto_merge": false, "required_contexts": []any{}, "payload": m{"execution_id": "e1"},
			"environment": "production", "description": "payments", "production_environment": true},
		{"state": "in_progress", "log_url": "https://t/1", "description": "applying"},
	}
	if diff := cmp.Diff(want, f.bodies()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}

	if id, found, err := app.FindDeployment(t.Context(), shop, d); err != nil || !found || id != 8 {
		t.Errorf("found %d, %t, %v", id, found, err)
	}
	d.ExecutionID = "e2"
	if id, found, err := app.FindDeployment(t.Context(), shop, d); err != nil || found {
		t.Errorf("found %d, %t, %v for another execution", id, found, err)
	}
	d.SHA = "main"
	if _, err := app.CreateDeployment(t.Context(), shop, d); err == nil {
		t.Error("a branch was deployed, which may move")
	}
}

func TestDeploymentThatGitHubOnlyPromises(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/deployments", func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusAccepted, `{"message":"Auto-merged main into topic on deployment."}`)(w, r)
	})
	if _, err := f.app().CreateDeployment(t.Context(), shop, github.Deployment{SHA: shaA, Environment: "e", ExecutionID: "x"}); err == nil {
		t.Error("no error though nothing was created")
	}
}
