// Package webhook takes in what GitHub tells: it verifies, decodes, has it committed, and only
// then answers. What it lets through is genuine and counts once; whether it is still true is for
// those who act upon it to find out.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

const (
	minSecret = 32 // bytes
	// githubsLimit is the largest body that GitHub sends.
	githubsLimit = 25 << 20
	// handledAtOnce bounds what is decoded and committed side by side.
	handledAtOnce = 32
	// patience is how long a body may take to arrive, and how long a delivery then waits for its
	// turn. GitHub waits ten seconds for the answer.
	patience = 4 * time.Second
)

// Keys of the log lines.
const (
	KeyDelivery   = "delivery"
	KeyEvent      = "event"
	KeyAction     = "action"
	KeyRepository = "repository_id"
	KeyPull       = "pull"
	KeyResult     = "result"
	KeyReason     = "reason"
	KeyError      = "error"
	KeyDuration   = "duration"
)

// Config is what the handler needs.
type Config struct {
	Secret redact.Secret // the webhook secret of the App, at least 32 bytes

	// Accept commits the delivery and the work that follows from it in one transaction. It reports
	// false if a delivery of that id or that meaning was committed before. Required.
	Accept func(ctx context.Context, deliveryID, meaning string, event github.Event) (fresh bool, err error)

	// Noticed is told of deliveries that were refused, or that came again: at once of the first, and
	// of all further ones of ten minutes together, so that a flood does not fill what it writes to. Or nil.
	Noticed func(ctx context.Context, n Notice) error

	Logger  *slog.Logger // required
	MaxBody int64        // bytes; 0: GitHub's own limit, 25 MB
}

// Handler answers GitHub's webhooks, at the path that the App's settings name.
type Handler struct {
	cfg    Config
	turns  chan struct{}
	budget *budget
	tallies
}

// New returns a handler, or a *fault.Error for a secret that could be guessed: nothing works
// without signatures.
func New(cfg Config) (*Handler, error) {
	if cfg.Accept == nil || cfg.Logger == nil {
		return nil, errors.New("webhook: Accept and Logger are required")
	}
	if len(strings.TrimSpace(string(cfg.Secret.Reveal()))) < minSecret {
		return nil, fault.New("The webhook secret is missing or shorter than 32 bytes.",
			"Whoever guesses it can give Tollgate orders.",
			"Generate one, such as with `openssl rand -hex 32`, and enter the same one in the App's settings.")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = githubsLimit
	}
	return &Handler{cfg: cfg, turns: make(chan struct{}, handledAtOnce), budget: newBudget()}, nil
}

// Answer is what GitHub keeps of a delivery, for whoever looks at it there.
type Answer struct {
	Delivery string `json:"delivery,omitempty"`
	Event    string `json:"event,omitempty"`
	Action   string `json:"action,omitempty"`
	Result   string `json:"result"` // queued, duplicate, ignored, pong, refused or unavailable
}

// refusal is why a delivery did not get through. The reason is for the log and never quotes the
// request; whoever is refused learns the status only.
type refusal struct {
	status int
	reason string
	cause  error
}

// ServeHTTP answers with 2xx only what is committed, or needs nothing to be done.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	attrs := []slog.Attr{}
	body, release, refused := h.receive(w, r)
	defer release()
	answer, status := Answer{Result: "refused"}, http.StatusAccepted
	if refused == nil {
		answer, attrs, refused = h.process(r, body)
	}
	level := slog.LevelInfo
	switch {
	case refused != nil && refused.status == http.StatusUnauthorized:
		h.notice(r, false, refused.reason, "")
	case answer.Result == "duplicate":
		h.notice(r, true, "came again", answer.Delivery)
	}
	if refused != nil {
		status, level = refused.status, slog.LevelWarn
		attrs = append(attrs, slog.String(KeyReason, refused.reason))
		if refused.cause != nil {
			attrs = append(attrs, slog.String(KeyError, clip(refused.cause.Error(), 300)))
		}
	}
	attrs = append(attrs, slog.String(KeyResult, answer.Result), slog.Duration(KeyDuration, time.Since(begin)))
	h.cfg.Logger.LogAttrs(r.Context(), level, "webhook", attrs...)
	reply(w, status, answer)
}

func reply(w http.ResponseWriter, status int, answer Answer) {
	w.Header().Set("Content-Type", "application/json")
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // whoever hung up finds the delivery committed on the next try
}

var (
	deliveryPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	eventPattern    = regexp.MustCompile(`^[a-z_]{1,64}$`)
)

// process takes a body that GitHub has signed. The headers are not signed.
func (h *Handler) process(r *http.Request, body []byte) (Answer, []slog.Attr, *refusal) {
	id, name := only(r.Header, "X-GitHub-Delivery"), only(r.Header, "X-GitHub-Event")
	answer := Answer{Result: "refused"}
	if !deliveryPattern.MatchString(id) || !eventPattern.MatchString(name) {
		return answer, nil, &refusal{http.StatusBadRequest, "delivery id or event name malformed", nil}
	}
	answer.Delivery, answer.Event = id, name
	attrs := []slog.Attr{slog.String(KeyDelivery, id), slog.String(KeyEvent, name)}
	if !h.takeTurn(r.Context()) {
		answer.Result = "unavailable"
		return answer, attrs, &refusal{http.StatusServiceUnavailable, "too many deliveries at once", nil}
	}
	defer func() { <-h.turns }()

	if tooDeep(body) {
		return answer, attrs, &refusal{http.StatusBadRequest, "body nested too deeply", nil}
	}
	event, err := github.Decode(name, body)
	if err != nil {
		return answer, attrs, &refusal{http.StatusBadRequest, "body does not fit the event", err}
	}
	answer.Action = clip(event.Action, 64)
	attrs = append(attrs, slog.String(KeyAction, answer.Action), slog.Int64(KeyRepository, event.Repo.ID), slog.Int(KeyPull, event.Pull))
	if answer.Result, err = h.accept(r.Context(), id, event); err != nil {
		return answer, attrs, &refusal{http.StatusServiceUnavailable, "delivery could not be committed", err}
	}
	return answer, attrs, nil
}

func (h *Handler) accept(ctx context.Context, id string, event github.Event) (result string, err error) {
	meaning := event.Meaning()
	switch {
	case event.Kind == github.KindPing:
		return "pong", nil
	case meaning == "":
		return "ignored", nil
	}
	fresh, err := h.cfg.Accept(ctx, id, meaning, event)
	switch {
	case err != nil:
		return "unavailable", err
	case !fresh:
		return "duplicate", nil
	}
	return "queued", nil
}

// takeTurn waits a little, because GitHub does not send again what it was refused.
func (h *Handler) takeTurn(ctx context.Context) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case h.turns <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// only is the value of a header that occurs once, or empty.
func only(header http.Header, name string) string {
	values := header.Values(name)
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

func clip(s string, n int) string { return s[:min(len(s), n)] }
