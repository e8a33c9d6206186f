// Package contract holds what passes through a stand-in for GitHub against GitHub's own OpenAPI
// description: what clients send, what the stand-in answers, and the webhooks that it delivers.
//
// The description is the published one, cut by cut.go to what the stand-in serves; nothing in it
// has been changed, and there is no list of exceptions. Members that the description does not know
// count as differences too, because a misspelled name is otherwise indistinguishable from an
// optional one that was left out.
package contract

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/tollgate/tollgate/internal/ghsim"
)

//go:embed description/github.json
var description []byte

//go:embed description/hooks.json
var examples []byte

// load reads the description once: it takes a tenth of a second, and nobody changes the result.
var load = sync.OnceValues(func() (*loaded, error) {
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		return nil, fmt.Errorf("load GitHub's description: %w", err)
	}
	l := &loaded{doc: doc}
	if err := json.Unmarshal(examples, &l.sent); err != nil {
		return nil, fmt.Errorf("load the shapes of webhooks: %w", err)
	}
	l.hooks, err = hookSchemas(doc)
	return l, err
})

// loaded is everything to compare with.
type loaded struct {
	doc   *openapi3.T
	hooks map[string]*openapi3.Schema // by GitHub's name of event and action
	sent  map[string]*shape           // by event: what all recorded webhooks have
}

// Side says whose difference it is.
type Side string

// The sides.
const (
	Request Side = "request" // what a client sent
	Answer  Side = "answer"  // what the stand-in answered
	Webhook Side = "webhook" // what the stand-in delivered
)

// Difference is one disagreement with the description.
type Difference struct {
	Side    Side
	Subject string // the operation or event
	Status  int    // of the answer
	Text    string
}

func (d Difference) String() string { return fmt.Sprintf("%s %s: %s", d.Side, d.Subject, d.Text) }

// Checker collects differences. It is safe for concurrent use.
type Checker struct {
	*loaded

	mu      sync.Mutex
	found   []Difference
	checked map[string]int // how often each operation and event was looked at
}

// New returns a Checker that has seen nothing.
func New() (*Checker, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	return &Checker{loaded: l, checked: map[string]int{}}, nil
}

// Differences returns what has been found so far.
func (c *Checker) Differences() []Difference {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.found)
}

// Checked says how often each operation and event has been looked at. A check that nothing
// reached has proven nothing.
func (c *Checker) Checked() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for k, v := range c.checked {
		counts[k] = v
	}
	return counts
}

func (c *Checker) count(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked[subject]++
}

func (c *Checker) add(side Side, subject string, status int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range sentences(err) {
		c.found = append(c.found, Difference{side, subject, status, text})
	}
}

// Exchange checks one request and its answer; it is made for ghsim.Config.Observe.
func (c *Checker) Exchange(ex ghsim.Exchange) {
	if ex.Injected || ex.Status == 0 {
		return // a fault is meant to differ, and a client that broke off has said nothing
	}
	if ex.Route == "" {
		c.add(Request, ex.Method+" "+ex.Path, ex.Status, errors.New("the stand-in serves no such operation"))
		return
	}
	c.count(ex.Route)
	input, err := c.input(ex)
	if err != nil {
		c.add(Request, ex.Route, ex.Status, err)
		return
	}
	c.add(Request, ex.Route, ex.Status, c.request(ex, input))
	c.add(Answer, ex.Route, ex.Status, c.answer(ex, input))
}

// input puts an exchange into the words of the validator.
func (c *Checker) input(ex ghsim.Exchange) (*openapi3filter.RequestValidationInput, error) {
	method, path, _ := strings.Cut(ex.Route, " ")
	item := c.doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		return nil, errors.New("GitHub describes no such operation")
	}
	req, err := http.NewRequest(ex.Method, "http://github.invalid"+ex.Path, bytes.NewReader(ex.Body))
	if err != nil {
		return nil, err
	}
	req.Header = ex.Header
	return &openapi3filter.RequestValidationInput{
		Request: req, PathParams: ex.Params,
		Route: &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		Options: &openapi3filter.Options{
			MultiError: true, IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}, nil
}

func (c *Checker) request(ex ghsim.Exchange, input *openapi3filter.RequestValidationInput) error {
	op := input.Route.Operation
	found := []error{
		openapi3filter.ValidateRequest(input.Request.Context(), input),
		undescribedQuery(op, input.Request.URL.Query()),
	}
	if op.RequestBody != nil && len(ex.Body) > 0 {
		found = append(found, unknownMembers(jsonSchema(op.RequestBody.Value.Content), ex.Body))
	}
	return errors.Join(append(found, unsaid(ex)...)...)
}

// unsaid are rules that GitHub enforces and its description leaves out.
func unsaid(ex ghsim.Exchange) []error {
	var found []error
	if strings.Contains(ex.Route, "/check-runs") && (ex.Method == http.MethodPost || ex.Method == http.MethodPatch) {
		var body struct{ Status, Conclusion *string }
		_ = json.Unmarshal(ex.Body, &body) // what is not JSON has been found already
		if body.Status != nil && *body.Status == "completed" && body.Conclusion == nil {
			found = append(found, errors.New("a completed check run needs a conclusion"))
		}
	}
	if len(ex.Body) > 0 && !strings.HasPrefix(ex.Header.Get("Content-Type"), "application/json") {
		found = append(found, fmt.Errorf("the body's type is %q", ex.Header.Get("Content-Type")))
	}
	if ex.UserAgent == "" {
		found = append(found, errors.New("no User-Agent"))
	}
	return found
}

func undescribedQuery(op *openapi3.Operation, query url.Values) error {
	var found []error
	for name := range query {
		if op.Parameters.GetByInAndName("query", name) == nil {
			found = append(found, fmt.Errorf("query parameter %q is not described", name))
		}
	}
	return errors.Join(found...)
}

func (c *Checker) answer(ex ghsim.Exchange, input *openapi3filter.RequestValidationInput) error {
	if ex.Status == http.StatusNotModified {
		if len(ex.Answer) > 0 {
			return errors.New("304 with a body")
		}
		return nil
	}
	described := input.Route.Operation.Responses.Status(ex.Status)
	if described == nil && ex.Status >= 400 {
		return c.plainError(ex)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: ex.Status, Header: ex.AnswerHeader, Options: input.Options,
	}
	out.SetBodyBytes(ex.Answer)
	err := openapi3filter.ValidateResponse(input.Request.Context(), out)
	if described != nil && len(ex.Answer) > 0 {
		err = errors.Join(err, unknownMembers(jsonSchema(described.Value.Content), ex.Answer))
	}
	return err
}

// plainError checks an error that the operation does not list: GitHub answers 401 or 403 anywhere,
// always in the same form.
func (c *Checker) plainError(ex ghsim.Exchange) error {
	form := c.doc.Components.Schemas["basic-error"]
	if form == nil {
		return errors.New("the description has no basic-error")
	}
	var body any
	if err := json.Unmarshal(ex.Answer, &body); err != nil {
		return fmt.Errorf("the answer %d is not JSON: %w", ex.Status, err)
	}
	return form.Value.VisitJSON(body, openapi3.MultiErrors())
}

// Delivery checks one webhook; it is made for ghsim.Config.ObserveDelivery.
func (c *Checker) Delivery(d ghsim.Delivery) {
	subject := strings.TrimSuffix(d.Event+"."+d.Action, ".")
	c.count(subject)
	schema := c.hooks[strings.NewReplacer(".", "-", "_", "-").Replace(subject)]
	if schema == nil {
		c.add(Webhook, subject, 0, errors.New("GitHub describes no such webhook"))
		return
	}
	var body any
	if err := json.Unmarshal(d.Payload, &body); err != nil {
		c.add(Webhook, subject, 0, err)
		return
	}
	err := schema.VisitJSON(body, openapi3.MultiErrors(), openapi3.VisitAsResponse(), openapi3.EnableFormatValidation())
	c.add(Webhook, subject, 0, errors.Join(err, unknownMembers(schema, d.Payload), c.sent[d.Event].differs("", body)))
}
