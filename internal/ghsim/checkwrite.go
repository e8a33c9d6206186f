package ghsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// GitHub's limits on a check run. The texts are limited twice: in characters by the description
// of the API, and in bytes by its database.
const (
	maxOutput      = 65535
	maxAnnotations = 50
	maxActions     = 3
)

// runInput is the body of a request that creates or updates a check run. nil means not sent.
type runInput struct {
	Name        *string      `json:"name"`
	HeadSHA     *string      `json:"head_sha"`
	DetailsURL  *string      `json:"details_url"`
	ExternalID  *string      `json:"external_id"`
	Status      *string      `json:"status"`
	Conclusion  *string      `json:"conclusion"`
	StartedAt   *time.Time   `json:"started_at"`
	CompletedAt *time.Time   `json:"completed_at"`
	Output      *outputInput `json:"output"`
	Actions     *[]Action    `json:"actions"`
}

type outputInput struct {
	Title       *string           `json:"title"`
	Summary     *string           `json:"summary"`
	Text        *string           `json:"text"`
	Annotations []annotationInput `json:"annotations"`
	Images      []obj             `json:"images"`
}

type annotationInput struct {
	Path        *string `json:"path"`
	StartLine   *int    `json:"start_line"`
	EndLine     *int    `json:"end_line"`
	StartColumn *int    `json:"start_column"`
	EndColumn   *int    `json:"end_column"`
	Level       *string `json:"annotation_level"`
	Message     *string `json:"message"`
	Title       *string `json:"title"`
	RawDetails  *string `json:"raw_details"`
}

// badRequest is the answer of GitHub's schema check.
func badRequest(format string, args ...any) *reply {
	return fail(http.StatusUnprocessableEntity, "Invalid request.\n\n"+fmt.Sprintf(format, args...))
}

func missing(key string) *reply { return badRequest("%q wasn't supplied.", key) }

// firstFault returns the first that is not nil.
func firstFault(faults ...*reply) *reply {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// noNulls refuses a member that is null: it is not the same as one that is left out.
func noNulls(body []byte) *reply {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil // decode says what is wrong
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if string(members[name]) == "null" {
			return badRequest("For 'properties/%s', nil is not a string.", name)
		}
	}
	return nil
}

func oneOf(property string, value *string, allowed ...string) *reply {
	if value == nil || slices.Contains(allowed, *value) {
		return nil
	}
	return badRequest("For 'properties/%s', %q is not a member of %q.", property, *value, allowed)
}

func atMost(limit int, value *string) *reply {
	if value == nil {
		return nil
	}
	if n := utf8.RuneCountInString(*value); n > limit {
		return badRequest("Only %d characters are allowed; %d were supplied.", limit, n)
	}
	return nil
}

func bytesAtMost(limit int, resource, field string, value *string) *reply {
	if value == nil || len(*value) <= limit {
		return nil
	}
	return invalid(resource, field, "custom", fmt.Sprintf("%s exceeds a maximum bytesize of %d", field, limit))
}

var conclusions = []string{
	"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required",
}

// check applies the rules that creating and updating share.
func (in *runInput) check() *reply {
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil {
		return missing("conclusion")
	}
	if in.DetailsURL != nil && *in.DetailsURL != "" {
		u, err := url.Parse(*in.DetailsURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
			return invalid("CheckRun", "details_url", "custom", "details_url must use http or https scheme")
		}
	}
	return firstFault(
		oneOf("status", in.Status, "queued", "in_progress", "completed"),
		oneOf("conclusion", in.Conclusion, conclusions...),
		in.Output.check(),
		checkActions(in.Actions),
	)
}

func (o *outputInput) check() *reply {
	if o == nil {
		return nil
	}
	if o.Summary == nil {
		return missing("summary")
	}
	if n := len(o.Annotations); n > maxAnnotations {
		return badRequest("No more than %d items are allowed; %d were supplied.", maxAnnotations, n)
	}
	for _, a := range o.Annotations {
		if fault := a.check(); fault != nil {
			return fault
		}
	}
	return firstFault(
		atMost(maxOutput, o.Summary), atMost(maxOutput, o.Text),
		bytesAtMost(maxOutput, "CheckRun", "summary", o.Summary), bytesAtMost(maxOutput, "CheckRun", "text", o.Text),
	)
}

func (a annotationInput) check() *reply {
	for _, need := range []struct {
		key string
		ok  bool
	}{
		{"path", a.Path != nil}, {"start_line", a.StartLine != nil}, {"end_line", a.EndLine != nil},
		{"annotation_level", a.Level != nil}, {"message", a.Message != nil},
	} {
		if !need.ok {
			return missing(need.key)
		}
	}
	columns := a.StartColumn != nil || a.EndColumn != nil
	switch {
	case *a.Path == "", strings.HasPrefix(*a.Path, "/"), *a.Message == "",
		*a.StartLine < 1, *a.EndLine < *a.StartLine,
		columns && *a.StartLine != *a.EndLine, columns && (a.StartColumn == nil || a.EndColumn == nil):
		return invalid("CheckRun", "annotations", "invalid", "") // GitHub doesn't say which, or why
	}
	return firstFault(
		oneOf("annotation_level", a.Level, "notice", "warning", "failure"),
		atMost(255, a.Title),
		bytesAtMost(64<<10, "CheckAnnotation", "message", a.Message),
		bytesAtMost(64<<10, "CheckAnnotation", "raw_details", a.RawDetails),
	)
}

func checkActions(actions *[]Action) *reply {
	if actions == nil {
		return nil
	}
	if n := len(*actions); n > maxActions {
		return badRequest("No more than %d items are allowed; %d were supplied.", maxActions, n)
	}
	for _, a := range *actions {
		if a.Label == "" || a.Description == "" || a.Identifier == "" {
			return badRequest("An action needs a label, a description and an identifier.")
		}
		if fault := firstFault(atMost(20, &a.Label), atMost(40, &a.Description), atMost(20, &a.Identifier)); fault != nil {
			return fault
		}
	}
	return nil
}

func (s *Server) createRun(r *repo, a *app, in runInput) (*run, *reply) {
	switch {
	case in.Name == nil:
		return nil, missing("name")
	case in.HeadSHA == nil:
		return nil, missing("head_sha")
	case in.Output != nil && in.Output.Title == nil:
		return nil, missing("title")
	}
	if fault := in.check(); fault != nil {
		return nil, fault
	}
	sha := ""
	if isSHA(*in.HeadSHA) && len(*in.HeadSHA) == 40 {
		sha = r.git.ref(*in.HeadSHA)
	}
	if sha == "" {
		return nil, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+*in.HeadSHA)
	}
	x := &run{id: s.id(), repo: r, suite: s.suiteFor(r, a, sha, s.branchOf(r, sha)), name: *in.Name, headSHA: sha, status: "queued"}
	x.started = s.now()
	r.runs[x.id] = x
	s.apply(x, in)
	s.emitRun(x, "created")
	s.announce(x, "")
	return x, nil
}

func (s *Server) updateRun(x *run, in runInput) *reply {
	if fault := in.check(); fault != nil {
		return fault
	}
	before := x.status
	s.apply(x, in)
	s.announce(x, before)
	return nil
}

// announce sends what follows on a run that has just been completed.
func (s *Server) announce(x *run, before string) {
	s.touch()
	if x.status != "completed" || before == "completed" {
		return
	}
	s.emitRun(x, "completed")
	if status, _ := x.suite.state(); status == "completed" {
		s.emit(x.repo, x.suite.app.bot, "check_suite", "completed", obj{"check_suite": s.hookSuite(x.suite)})
	}
}

// apply writes a checked input into a run.
func (s *Server) apply(x *run, in runInput) {
	set(&x.name, in.Name)
	set(&x.details, in.DetailsURL)
	set(&x.externalID, in.ExternalID)
	set(&x.started, in.StartedAt)
	// What has been completed stays so, whatever the status says: GitHub takes the request and
	// ignores that part of it. Running again takes a new check run.
	if in.Status != nil && *in.Status != "completed" && x.status != "completed" {
		x.status = *in.Status
	}
	if in.Conclusion != nil {
		x.status, x.conclusion, x.completed = "completed", *in.Conclusion, s.now()
	}
	set(&x.completed, in.CompletedAt)
	if in.Actions != nil {
		x.actions = slices.Clone(*in.Actions)
	}
	if o := in.Output; o != nil {
		x.hasOutput = true
		set(&x.title, o.Title)
		set(&x.summary, o.Summary)
		set(&x.text, o.Text)
		for _, a := range o.Annotations {
			x.annotations = append(x.annotations, a.export())
		}
		if o.Images != nil {
			x.images = o.Images
		}
	}
	x.suite.reset, x.suite.updated = false, s.now()
}

func (a annotationInput) export() Annotation {
	return Annotation{
		Path: *a.Path, StartLine: *a.StartLine, EndLine: *a.EndLine, StartColumn: a.StartColumn, EndColumn: a.EndColumn,
		Level: *a.Level, Message: *a.Message, Title: deref(a.Title), RawDetails: deref(a.RawDetails),
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func deref(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
