package ghsim_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

func TestWebhooksAreSigned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPull(t, "change")
	b.settle(t)
	e := b.hooks.last(t, "pull_request", "opened")
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(e.body)
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); e.header.Get("X-Hub-Signature-256") != want {
		t.Errorf("signature %s, want %s", e.header.Get("X-Hub-Signature-256"), want)
	}
	for _, name := range []string{
		"X-GitHub-Delivery", "X-GitHub-Hook-ID", "X-GitHub-Hook-Installation-Target-ID",
		"X-GitHub-Hook-Installation-Target-Type", "X-GitHub-Enterprise-Host", "User-Agent",
	} {
		if e.header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
}

func TestFailedDeliveryIsSentAgainOnRequestOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hooks.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	b.openPull(t, "change")
	b.settle(t)
	app := b.appClient(t)
	list, _, err := app.Apps.ListHookDeliveries(b.ctx, nil)
	ok(t, err)
	failed := list[0]
	if failed.GetEvent() != "pull_request" || failed.GetStatusCode() != 503 || failed.GetRedelivery() {
		t.Fatalf("newest delivery: %v", failed)
	}
	b.hooks.answer = nil
	b.hooks.forget()
	_, resp, err := app.Apps.RedeliverHookDelivery(b.ctx, failed.GetID())
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	b.settle(t)
	if diff := cmp.Diff([]string{"pull_request.opened"}, b.hooks.names()); diff != "" {
		t.Error(diff)
	}
	again, _, err := app.Apps.ListHookDeliveries(b.ctx, &github.ListCursorOptions{PerPage: 1})
	ok(t, err)
	if again[0].GetGUID() != failed.GetGUID() || !again[0].GetRedelivery() || again[0].GetStatusCode() != 200 {
		t.Errorf("second attempt: %v", again[0])
	}
}

func TestSlowReceiverTimesOut(t *testing.T) {
	t.Parallel()
	b := setupWith(t, ghsim.Config{DeliveryTimeout: 50 * time.Millisecond})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	b.hooks.answer = func(http.ResponseWriter, *http.Request) { <-release }
	_, err := b.repo.Push(ghsim.Push{Branch: "x", By: "ada", Files: map[string]string{"x": "x"}})
	ok(t, err)
	b.settle(t)
	list := b.srv.Deliveries(b.app.ID)
	if last := list[len(list)-1]; last.StatusCode != http.StatusGatewayTimeout || last.Status != "timed out" {
		t.Errorf("delivery: %d %s", last.StatusCode, last.Status)
	}
}

func TestUnreachableReceiver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ok(t, b.srv.SetWebhook(b.app.ID, "http://127.0.0.1:1/hook", secret))
	b.push(t, "x", "x", "x")
	b.settle(t)
	list := b.srv.Deliveries(b.app.ID)
	if last := list[len(list)-1]; last.StatusCode != http.StatusBadGateway {
		t.Errorf("delivery: %d %s", last.StatusCode, last.Status)
	}
}

func TestDeliveriesCanBeKeptBackAndLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.srv.PauseDeliveries(b.app.ID)
	b.push(t, "x", "x", "1")
	if n := b.srv.DiscardQueued(b.app.ID); n != 2 {
		t.Errorf("%d lost", n)
	}
	b.push(t, "x", "x", "2")
	if names := b.hooks.names(); len(names) != 0 {
		t.Errorf("arrived while paused: %v", names)
	}
	b.srv.ResumeDeliveries(b.app.ID)
	b.settle(t)
	if got := strings.Join(b.hooks.names(), " "); got != "push check_suite.requested" {
		t.Errorf("arrived: %s", got)
	}
}

func TestAnAppHearsOnlyWhatItMayRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ear := newReceiver(t)
	deaf, err := b.srv.CreateApp(ghsim.NewApp{
		Slug: "deaf", Owner: "acme", WebhookURL: ear.URL, Permissions: map[string]string{"contents": "read"},
		Events: []string{"push", "pull_request"}, Key: key(),
	})
	ok(t, err)
	_, err = b.srv.Install(deaf.ID, "acme")
	ok(t, err)
	b.openPull(t, "change")
	ok(t, b.srv.WaitDelivered(b.ctx, deaf.ID))
	if diff := cmp.Diff([]string{"installation.created", "push"}, ear.names()); diff != "" {
		t.Error(diff)
	}
}
