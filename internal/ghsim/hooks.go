package ghsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Delivery is one attempt to deliver one webhook.
type Delivery struct {
	ID             int64
	GUID           string // the same for all attempts
	Event, Action  string
	AppID          int64
	InstallationID int64
	RepositoryID   int64
	Redelivery     bool
	Created        time.Time     // when the thing happened
	DeliveredAt    time.Time     // when the attempt began; zero while it waits
	Duration       time.Duration // until the answer
	// StatusCode is the answer's, 0 while it waits, 502 if the connection failed, 504 on time-out.
	StatusCode int
	Status     string // OK, or what went wrong
	Header     http.Header
	Payload    []byte
	Answer     []byte
	done       bool
}

// Done reports whether the attempt is over, however it ended.
func (d Delivery) Done() bool { return d.done }

// Deliveries lists all attempts to deliver webhooks of an App, oldest first.
func (s *Server) Deliveries(appID int64) []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return nil
	}
	list := make([]Delivery, len(a.deliveries))
	for i, d := range a.deliveries {
		list[i] = *d
	}
	return list
}

// WaitDelivered returns when no webhook of the App waits or is under way.
func (s *Server) WaitDelivered(ctx context.Context, appID int64) error {
	return s.Wait(ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		a := s.apps[appID]
		return a == nil || len(a.queue) == 0 && !a.sending
	})
}

// PauseDeliveries keeps webhooks of an App back until ResumeDeliveries. One that is under way
// is not stopped.
func (s *Server) PauseDeliveries(appID int64) { s.setPaused(appID, true) }

// ResumeDeliveries sends, in order, what was kept back.
func (s *Server) ResumeDeliveries(appID int64) { s.setPaused(appID, false) }

func (s *Server) setPaused(appID int64, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.apps[appID]; a != nil {
		a.hooksPaused = paused
		s.pump(a)
	}
}

// DiscardQueued drops the webhooks of an App that have not been sent yet, as if GitHub had lost
// them, and returns how many they were.
func (s *Server) DiscardQueued(appID int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return 0
	}
	n := len(a.queue)
	for _, d := range a.queue {
		d.done, d.Status = true, "discarded"
	}
	a.queue = nil
	s.touch()
	return n
}

// Redeliver queues another attempt of a delivery, with the same GUID and payload.
func (s *Server) Redeliver(appID, deliveryID int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return fmt.Errorf("no App %d", appID)
	}
	i := slices.IndexFunc(a.deliveries, func(d *Delivery) bool { return d.ID == deliveryID })
	if i < 0 {
		return fmt.Errorf("no delivery %d", deliveryID)
	}
	s.redeliver(a, a.deliveries[i])
	return nil
}

func (s *Server) redeliver(a *app, d *Delivery) {
	again := *d
	again.ID, again.Redelivery, again.done = s.id(), true, false
	again.StatusCode, again.Status, again.Answer, again.DeliveredAt = 0, "", nil, time.Time{}
	s.enqueue(a, &again)
}

// queueHook renders a payload now, because it must show the world as it is at this moment.
func (s *Server) queueHook(a *app, inst *installation, r *repo, event string, payload obj) {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("render %s webhook: %v", event, err)) // a programming error: obj holds plain values only
	}
	d := &Delivery{ID: s.id(), GUID: newGUID(), Event: event, AppID: a.id, Created: s.now(), Payload: data}
	d.Action, _ = payload["action"].(string)
	if inst != nil {
		d.InstallationID = inst.id
	}
	if r != nil {
		d.RepositoryID = r.id
	}
	s.enqueue(a, d)
}

func (s *Server) enqueue(a *app, d *Delivery) {
	if a.hookURL == "" {
		return
	}
	a.deliveries = append(a.deliveries, d)
	a.queue = append(a.queue, d)
	s.pump(a)
	s.touch()
}

// pump starts the App's sender if there is something to send. One sender an App keeps the order.
func (s *Server) pump(a *app) {
	if a.sending || a.hooksPaused || len(a.queue) == 0 || s.ctx.Err() != nil {
		return
	}
	a.sending = true
	s.tasks.Go(func() { s.send(a) })
}

func (s *Server) send(a *app) {
	client := &http.Client{
		Transport:     s.cfg.Hooks,
		Timeout:       s.cfg.DeliveryTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	for {
		s.mu.Lock()
		if len(a.queue) == 0 || a.hooksPaused || s.ctx.Err() != nil {
			a.sending = false
			s.touch()
			s.mu.Unlock()
			return
		}
		d := a.queue[0]
		a.queue = a.queue[1:]
		d.DeliveredAt, d.Header = s.cfg.Clock().UTC(), s.hookHeader(a, d)
		url, attempt := a.hookURL, *d
		s.mu.Unlock()

		s.post(client, url, &attempt)
		if s.cfg.ObserveDelivery != nil {
			s.cfg.ObserveDelivery(attempt)
		}

		s.mu.Lock()
		*d = attempt
		s.touch()
		s.mu.Unlock()
	}
}

// post makes the attempt and writes down how it ended.
func (s *Server) post(client *http.Client, url string, d *Delivery) {
	start := time.Now()
	defer func() { d.Duration, d.done = time.Since(start), true }()
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, url, bytes.NewReader(d.Payload))
	if err != nil {
		d.StatusCode, d.Status = http.StatusBadGateway, err.Error()
		return
	}
	req.Header = d.Header
	resp, err := client.Do(req)
	if err != nil {
		var timeout interface{ Timeout() bool }
		d.StatusCode, d.Status = http.StatusBadGateway, "failed to connect to host"
		if errors.As(err, &timeout) && timeout.Timeout() {
			d.StatusCode, d.Status = http.StatusGatewayTimeout, "timed out"
		}
		return
	}
	defer resp.Body.Close()
	d.Answer, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	d.StatusCode, d.Status = resp.StatusCode, "OK"
	if resp.StatusCode >= 400 {
		d.Status = "Invalid HTTP Response: " + strconv.Itoa(resp.StatusCode)
	}
}

func (s *Server) hookHeader(a *app, d *Delivery) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{
		"Accept":                                 "*/*",
		"Content-Type":                           "application/json",
		"User-Agent":                             "GitHub-Hookshot/0000000",
		"X-GitHub-Delivery":                      d.GUID,
		"X-GitHub-Event":                         d.Event,
		"X-GitHub-Enterprise-Host":               s.host,
		"X-GitHub-Enterprise-Version":            enterpriseVersion,
		"X-GitHub-Hook-ID":                       strconv.FormatInt(a.hookID, 10),
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(a.id, 10),
		"X-GitHub-Hook-Installation-Target-Type": "integration",
	} {
		h.Set(name, value)
	}
	if a.secret != "" {
		h.Set("X-Hub-Signature", "sha1="+sign(sha1.New, a.secret, d.Payload))
		h.Set("X-Hub-Signature-256", "sha256="+sign(sha256.New, a.secret, d.Payload))
	}
	return h
}

func sign(algorithm func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func newGUID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// emit sends an event about a repository to every App that is installed there, subscribes to it
// and may read what it is about.
func (s *Server) emit(r *repo, sender *account, event, action string, about obj) {
	for _, inst := range byID(s.installations) {
		if inst.covers(r) && slices.Contains(inst.app.events, event) && allows(inst.app.permissions, eventPermission(event)) {
			s.emitTo(inst, r, sender, event, action, about)
		}
	}
	s.touch()
}

// emitTo sends an event to one installation, whatever it subscribes to; a suspended one hears
// nothing.
func (s *Server) emitTo(inst *installation, r *repo, sender *account, event, action string, about obj) {
	if !inst.suspended.IsZero() {
		return
	}
	payload := obj{
		"repository":   s.repository(r),
		"sender":       s.user(sender),
		"installation": obj{"id": inst.id, "node_id": nodeID("Installation", inst.id)},
	}
	if action != "" {
		payload["action"] = action
	}
	if r.owner.kind == "Organization" {
		payload["organization"] = s.organization(r.owner)
	}
	maps.Copy(payload, about)
	s.queueHook(inst.app, inst, r, event, payload)
}

// Events lists the webhooks that the stand-in can send, as event or event.action, sorted.
func Events() []string {
	return []string{
		"check_run.completed", "check_run.created", "check_run.requested_action", "check_run.rerequested",
		"check_suite.completed", "check_suite.requested", "check_suite.rerequested",
		"deployment.created", "deployment_status.created",
		"installation.created", "installation.deleted", "installation.suspend", "installation.unsuspend",
		"installation_repositories.added", "installation_repositories.removed",
		"issue_comment.created", "issue_comment.deleted", "issue_comment.edited",
		"issues.closed", "issues.opened", "issues.reopened",
		"merge_group.checks_requested", "merge_group.destroyed",
		"pull_request.closed", "pull_request.converted_to_draft", "pull_request.edited", "pull_request.opened",
		"pull_request.ready_for_review", "pull_request.reopened", "pull_request.synchronize",
		"pull_request_review.dismissed", "pull_request_review.submitted",
		"push", "repository.renamed", "status",
	}
}

// eventPermission is what an App needs in order to hear of an event.
func eventPermission(event string) string {
	return map[string]string{
		"push": "contents:read", "pull_request": "pull_requests:read", "pull_request_review": "pull_requests:read",
		"issue_comment": "issues:read|pull_requests:read", "issues": "issues:read", "check_run": "checks:read",
		"check_suite": "checks:read", "status": "statuses:read", "deployment": "deployments:read",
		"deployment_status": "deployments:read", "repository": "metadata:read",
		// GitHub asks for the first, which its own description of an App in other events does not know.
		"merge_group": "merge_queues:read|contents:read",
	}[event]
}

func (s *Server) emitInstallation(inst *installation, action string) {
	s.queueHook(inst.app, inst, nil, "installation", obj{
		"action": action, "installation": s.installation(inst), "repositories": shortRepos(s.covered(inst)),
		"requester": nil, "sender": s.user(inst.account),
	})
}

func (s *Server) emitSelection(inst *installation, action string, added, removed []*repo) {
	shown := s.installation(inst)
	s.queueHook(inst.app, inst, nil, "installation_repositories", obj{
		"action": action, "installation": shown, "repository_selection": shown["repository_selection"],
		"repositories_added": shortRepos(added), "repositories_removed": shortRepos(removed),
		"requester": nil, "sender": s.user(inst.account),
	})
}

func shortRepos(repos []*repo) []obj {
	items := []obj{}
	for _, r := range repos {
		items = append(items, obj{
			"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name,
			"full_name": r.fullName(), "private": r.private,
		})
	}
	return items
}
