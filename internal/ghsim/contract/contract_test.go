package contract_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/ghsim/contract"
)

// request is an exchange that GitHub's description allows; each case spoils it.
func request(route, body string) ghsim.Exchange {
	method, _, _ := strings.Cut(route, " ")
	return ghsim.Exchange{
		Kind: "rest", Method: method, Route: route, Path: "/repos/acme/payments/check-runs", UserAgent: "test",
		Params: map[string]string{"owner": "acme", "repo": "payments"}, Header: http.Header{"Content-Type": {"application/json"}},
		Body: []byte(body), Status: 404, AnswerHeader: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Answer: []byte(`{"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}`),
	}
}

const createRun = "POST /repos/{owner}/{repo}/check-runs"

func TestRequestsThatDiffer(t *testing.T) {
	t.Parallel()
	note := `{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}`
	output := func(inner string) string {
		return `{"name": "n", "head_sha": "s", "output": {"title": "t", "summary": "s", ` + inner + `}}`
	}
	annotations := func(n int) string {
		return output(`"annotations": [` + strings.TrimSuffix(strings.Repeat(note+",", n), ",") + `]`)
	}
	cases := map[string]struct {
		exchange ghsim.Exchange
		want     string // part of the one difference; "" for none
	}{
		"as described":       {request(createRun, `{"name": "n", "head_sha": "s", "conclusion": "success"}`), ""},
		"no head_sha":        {request(createRun, `{"name": "n"}`), `"head_sha" is missing`},
		"completed without":  {request(createRun, `{"name": "n", "head_sha": "s", "status": "completed"}`), "needs a conclusion"},
		"50 annotations":     {request(createRun, annotations(50)), ""},
		"51 annotations":     {request(createRun, annotations(51)), "maximum number of items is 50"},
		"a bad level":        {request(createRun, strings.Replace(annotations(1), "notice", "fatal", 1)), "annotation_level"},
		"a long label":       {request(createRun, `{"name": "n", "head_sha": "s", "actions": [{"label": "`+strings.Repeat("x", 21)+`", "description": "d", "identifier": "i"}]}`), "maximum string length is 20"},
		"a long summary":     {request(createRun, output(`"text": "`+strings.Repeat("x", 65536)+`"`)), "maximum string length is 65535"},
		"an unknown member":  {request(createRun, `{"name": "n", "head_sha": "s", "sumary": "x"}`), "/sumary is not described"},
		"a deep one":         {request(createRun, output(`"colour": "x"`)), "/output/colour is not described"},
		"no user agent":      {spoil(func(ex *ghsim.Exchange) { ex.UserAgent = "" }), "no User-Agent"},
		"another type":       {spoil(func(ex *ghsim.Exchange) { ex.Header = http.Header{"Content-Type": {"text/plain"}} }), "text/plain"},
		"a query parameter":  {spoil(func(ex *ghsim.Exchange) { ex.Path += "?colour=red" }), `"colour" is not described`},
		"nothing like it":    {spoil(func(ex *ghsim.Exchange) { ex.Route = "" }), "serves no such operation"},
		"not GitHub's":       {spoil(func(ex *ghsim.Exchange) { ex.Route = "GET /nothing" }), "GitHub describes no such operation"},
		"a fault":            {spoil(func(ex *ghsim.Exchange) { ex.Injected, ex.Body = true, nil }), ""},
		"a client gone away": {spoil(func(ex *ghsim.Exchange) { ex.Status, ex.Body = 0, nil }), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, contract.Request, c.want, func(k *contract.Checker) { k.Exchange(c.exchange) })
		})
	}
}

func spoil(change func(*ghsim.Exchange)) ghsim.Exchange {
	ex := request(createRun, `{"name": "n", "head_sha": "s"}`)
	change(&ex)
	return ex
}

func TestAnswersThatDiffer(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) ghsim.Exchange {
		ex := request("GET /repos/{owner}/{repo}/collaborators/{username}/permission", "")
		ex.Params["username"], ex.Status, ex.Answer = "ada", status, []byte(body)
		return ex
	}
	cases := map[string]struct {
		exchange ghsim.Exchange
		want     string
	}{
		"as described":      {answer(200, `{"permission": "read", "role_name": "read", "user": null}`), ""},
		"a member missing":  {answer(200, `{"role_name": "read", "user": null}`), `"permission" is missing`},
		"a wrong type":      {answer(200, `{"permission": 1, "role_name": "read", "user": null}`), "/permission"},
		"an unknown member": {answer(200, `{"permission": "read", "role_name": "read", "user": null, "more": 1}`), "/more is not described"},
		"a strange status":  {answer(299, `{}`), "status is not supported"},
		"a strange error":   {answer(500, `"oops"`), "must be an object"},
		"not JSON":          {answer(503, `<html>`), "is not JSON"},
		"an empty 304":      {answer(304, ``), ""},
		"a 304 with a body": {answer(304, `{}`), "304 with a body"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, contract.Answer, c.want, func(k *contract.Checker) { k.Exchange(c.exchange) })
		})
	}
}

func TestWebhooksThatDiffer(t *testing.T) {
	t.Parallel()
	good := recorded(t)
	change := func(edit func(payload map[string]any)) ghsim.Delivery {
		d := good
		var payload map[string]any
		if err := json.Unmarshal(good.Payload, &payload); err != nil {
			t.Fatal(err)
		}
		edit(payload)
		d.Payload, _ = json.Marshal(payload)
		return d
	}
	cases := map[string]struct {
		delivery ghsim.Delivery
		want     string
	}{
		"as described":        {good, ""},
		"a member missing":    {change(func(p map[string]any) { delete(p, "issue") }), `"issue" is missing`},
		"one always sent":     {change(func(p map[string]any) { delete(p, "sender") }), "sender"},
		"an unknown member":   {change(func(p map[string]any) { p["more"] = 1 }), "/more is not described"},
		"an unknown event":    {ghsim.Delivery{Event: "coffee", Payload: []byte("{}")}, "describes no such webhook"},
		"a wrong type of one": {change(func(p map[string]any) { p["comment"].(map[string]any)["id"] = "7" }), "/comment/id"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, contract.Webhook, c.want, func(k *contract.Checker) { k.Delivery(c.delivery) })
		})
	}
}

// recorded is a webhook as the stand-in sends it.
func recorded(t *testing.T) ghsim.Delivery {
	t.Helper()
	sent := make(chan ghsim.Delivery, 1)
	srv, err := ghsim.New(ghsim.Config{Dir: t.TempDir(), ObserveDelivery: func(d ghsim.Delivery) {
		if d.Event == "issue_comment" {
			sent <- d
		}
	}})
	must(t, err)
	t.Cleanup(func() { must(t, srv.Close()) })
	_, err = srv.CreateUser(ghsim.User{Login: "ada"})
	must(t, err)
	repo, err := srv.CreateRepo(ghsim.NewRepo{
		Owner: "acme", Name: "payments", Author: "ada", Roles: map[string]string{"ada": "write"}, Files: fstest.MapFS{"README.md": {Data: []byte("#")}},
	})
	must(t, err)
	app, err := srv.CreateApp(ghsim.NewApp{
		Slug: "app", Owner: "acme", WebhookURL: srv.URL(), Permissions: map[string]string{"issues": "read"}, Events: []string{"issue_comment"},
	})
	must(t, err)
	_, err = srv.Install(app.ID, "acme")
	must(t, err)
	_, err = repo.Push(ghsim.Push{Branch: "x", By: "ada", Files: map[string]string{"x": "x"}})
	must(t, err)
	pull, err := repo.OpenPull(ghsim.OpenPull{By: "ada", Head: "x"})
	must(t, err)
	_, err = pull.Comment("ada", "hello")
	must(t, err)
	return <-sent
}

// expect wants exactly the one difference that a text names, or none.
func expect(t *testing.T, side contract.Side, want string, look func(*contract.Checker)) {
	t.Helper()
	k, err := contract.New()
	must(t, err)
	look(k)
	found := k.Differences()
	if want == "" && len(found) > 0 {
		t.Fatalf("found %v", found)
	}
	for _, d := range found {
		if d.Side == side && strings.Contains(d.Text, want) {
			return
		}
	}
	if want != "" {
		t.Fatalf("found %v, want %q on the side of the %s", found, want, side)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
