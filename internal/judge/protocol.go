package judge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
)

// The conversation, which is between two copies of one program and has no other version:
//
//	to the process    preamble, request as JSON, then the plan as it is until the end of the input, or
//	                  the descriptions of code as a JSON array
//	from the process  messages as JSON, one per line: steps, then findings in parts, then one answer or
//	                  one failure, then end
//
// Without the end message an answer is cut off, however whole it looks.

// preamble comes first and has a fixed size, so that the limits hold before anything is parsed.
type preamble struct {
	Version uint32
	Memory  int64 // bytes
	CPU     int64 // seconds, of all cores together
	Request int64 // bytes of the request that follows
}

const version = 2

// What a process can be asked for.
const (
	opCheck  = "check"
	opSource = "source"
	opPlan   = "plan"
	opApply  = "apply"
	opTest   = "test"
)

type request struct {
	Op    string          `json:"op"`
	Sets  []*gate.Source  `json:"sets"`
	Input json.RawMessage `json:"input,omitempty"` // of the apply gate
}

// message is one line from the process; exactly one field is set.
type message struct {
	Step     *step            `json:"step,omitempty"`
	Findings []change.Finding `json:"findings,omitempty"` // some of the result's
	Answer   *answer          `json:"answer,omitempty"`
	Failure  *failure         `json:"failure,omitempty"`
	End      bool             `json:"end,omitempty"`
}

// step says what the process is about to do, so that its sudden end can be explained.
type step struct {
	Doing string `json:"doing"`
	Set   string `json:"set,omitempty"`
}

// What a process does.
const (
	doingStart   = "start"
	doingCompile = "compile"
	doingRead    = "read" // the plan or the code, when it comes
	doingJudge   = "judge"
	doingTest    = "test"
)

type answer struct {
	Sets      []setAnswer      `json:"sets"`
	PlanBytes int64            `json:"plan_bytes,omitempty"` // how long the plan was that was judged
	Result    *gate.Result     `json:"result,omitempty"`     // on its way without the findings
	Findings  int              `json:"findings,omitempty"`   // how many there are
	Sources   []gate.Result    `json:"sources,omitempty"`    // of each description of code
	Decision  *gate.Decision   `json:"decision,omitempty"`
	Test      *gate.TestResult `json:"test,omitempty"`
}

// setAnswer accounts for one set of the request.
type setAnswer struct {
	Digest    string `json:"digest"`
	Sources   bool   `json:"sources"`
	Plans     bool   `json:"plans"`
	Applies   bool   `json:"applies"`
	Judged    bool   `json:"judged"`
	Resources int    `json:"resources"`
}

// failure is a fault.Error on its way.
type failure struct {
	What  string `json:"what"`
	Why   string `json:"why"`
	Fix   string `json:"fix"`
	Cause string `json:"cause,omitempty"`
}

// newFailure keeps what may be shown apart from the cause, which is for the server's log.
func newFailure(err error) *failure {
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.Wrap(err, "The policies could not be evaluated.", whyNoVerdict, fixTryAgain)
	}
	out := &failure{What: f.What, Why: f.Why, Fix: f.Fix}
	if f.Err != nil {
		out.Cause = f.Err.Error()
	}
	return out
}

func (f *failure) fault() error {
	if f.Cause == "" {
		return fault.New(f.What, f.Why, f.Fix)
	}
	return fault.Wrap(errors.New(f.Cause), f.What, f.Why, f.Fix)
}

// encode returns preamble and request.
func encode(p preamble, req request) ([]byte, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	p.Version, p.Request = version, int64(len(body))
	head, err := binary.Append(nil, binary.BigEndian, p)
	if err != nil {
		return nil, fmt.Errorf("encode limits: %w", err)
	}
	return append(head, body...), nil
}

func readPreamble(r io.Reader) (preamble, error) {
	var p preamble
	if err := binary.Read(r, binary.BigEndian, &p); err != nil {
		return p, fmt.Errorf("read limits: %w", err)
	}
	if p.Version != version {
		return p, fmt.Errorf("asked in version %d of the protocol, speaks %d", p.Version, version)
	}
	return p, nil
}

func readRequest(r io.Reader, size int64) (request, error) {
	var req request
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return req, fmt.Errorf("read request: %w", err)
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return req, fmt.Errorf("decode request: %w", err)
	}
	return req, nil
}
