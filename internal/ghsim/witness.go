package ghsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Exchange is one request of a client and its answer, as the stand-in saw them. The members that
// JSON leaves out are not in the log file: answers hold tokens.
type Exchange struct {
	Seq       int               `json:"seq"`
	Time      time.Time         `json:"time"` // of arrival, by the machine's clock
	Kind      string            `json:"kind"` // rest, git, or oauth for the exchange of a code
	Method    string            `json:"method"`
	Path      string            `json:"path"` // with the query; REST without the prefix /api/v3
	Route     string            `json:"route,omitempty"`
	Params    map[string]string `json:"-"` // the route's parameters
	Status    int               `json:"status"`
	Duration  time.Duration     `json:"duration_ns"` // from arrival to the end of the answer
	TokenKind string            `json:"token_kind"`  // anonymous, app, client, installation or user
	Actor     string            `json:"actor,omitempty"`
	UserAgent string            `json:"user_agent,omitempty"`
	RequestID string            `json:"request_id"`
	Injected  bool              `json:"injected,omitempty"` // the answer is a fault, not the stand-in's own

	Header       http.Header `json:"-"`
	Body         []byte      `json:"-"`
	Text         string      `json:"body,omitempty"` // Body as text; not for git
	AnswerHeader http.Header `json:"-"`
	Answer       []byte      `json:"-"` // not for git
}

// witness keeps what has been asked, in memory and as lines of JSON.
type witness struct {
	mu     sync.Mutex
	log    []*Exchange
	file   *os.File // nil without a log
	closed bool
}

func (w *witness) open(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create request log: %w", err)
	}
	w.file = f
	return nil
}

func (w *witness) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file, w.closed = nil, true
	return err
}

// add keeps a finished exchange and shows it to the observer, in the order of the log.
func (w *witness) add(ex *Exchange, observe func(Exchange)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ex.Seq, ex.Text = len(w.log)+1, string(ex.Body)
	w.log = append(w.log, ex)
	if observe != nil && ex.Kind == "rest" {
		observe(*ex)
	}
	if w.closed {
		return errors.New("the request log is closed")
	}
	if w.file == nil {
		return nil
	}
	line, err := json.Marshal(ex)
	if err != nil {
		return err
	}
	_, err = w.file.Write(append(line, '\n'))
	return err
}

// Requests returns every REST and git request that has been answered, in the order of the answers.
func (s *Server) Requests() []Exchange {
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	list := make([]Exchange, len(s.witness.log))
	for i, ex := range s.witness.log {
		list[i] = *ex
	}
	return list
}

// RequestsTo returns the requests that a Match picks.
func (s *Server) RequestsTo(m Match) []Exchange {
	return slices.DeleteFunc(s.Requests(), func(ex Exchange) bool { return !m.matches(ex.Method, ex.Path) })
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *Exchange { return r.Context().Value(exchangeKey{}).(*Exchange) }

func withExchange(r *http.Request, ex *Exchange) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), exchangeKey{}, ex))
}

// requestID has the form of GitHub's: groups of upper-case hexadecimal.
func requestID(now time.Time) string {
	guid := strings.ToUpper(strings.ReplaceAll(newGUID(), "-", ""))
	return fmt.Sprintf("%s:%s:%s:%s:%s", guid[:4], guid[4:10], guid[10:17], guid[17:24], strings.ToUpper(strconv.FormatInt(now.Unix(), 16)))
}
