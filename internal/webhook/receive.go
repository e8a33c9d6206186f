package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"sync"
	"time"
)

const (
	// maxDepth is how deep objects and arrays may be nested; GitHub's are about ten deep.
	maxDepth = 64
	// allBodies bounds what the bodies that are being read or handled occupy together. A slow
	// sender occupies only what it has sent, so slow ones cannot keep others out.
	allBodies   = 256 << 20
	firstBuffer = 16 << 10
)

var signaturePattern = regexp.MustCompile(`^sha256=[0-9a-f]{64}$`)

// receive reads a body and proves that it is GitHub's. All that is not gets the same answer, so
// that nobody learns what was wrong with it. The caller calls release when done with the body.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (body []byte, release func(), refused *refusal) {
	release = func() {}
	if r.Method != http.MethodPost {
		return nil, release, &refusal{http.StatusMethodNotAllowed, "method is not POST", nil}
	}
	signature := only(r.Header, "X-Hub-Signature-256")
	if !signaturePattern.MatchString(signature) {
		return nil, release, unverified("signature missing, repeated or malformed")
	}
	if media, _, err := mime.ParseMediaType(only(r.Header, "Content-Type")); err != nil || media != "application/json" {
		return nil, release, unverified("content type is not application/json")
	}
	if r.ContentLength > h.cfg.MaxBody {
		return nil, release, &refusal{http.StatusRequestEntityTooLarge, "body too large", nil}
	}
	body, release, refused = h.read(w, r)
	if refused != nil {
		return nil, release, refused
	}
	mac := hmac.New(sha256.New, h.cfg.Secret.Reveal())
	_, _ = mac.Write(body) // never fails
	sent, err := hex.DecodeString(signature[len("sha256="):])
	if err != nil || !hmac.Equal(sent, mac.Sum(nil)) {
		return nil, release, unverified("signature does not fit the body")
	}
	return body, release, nil
}

func unverified(reason string) *refusal { return &refusal{http.StatusUnauthorized, reason, nil} }

// read takes the body into memory as it arrives, within the budget that all bodies share.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), refused *refusal) {
	conn := http.NewResponseController(w)
	// A writer without a connection, as in tests, has no deadlines.
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()

	var buf []byte
	release = func() { h.budget.give(cap(buf)) }
	for {
		if len(buf) == cap(buf) {
			size := max(firstBuffer, 2*cap(buf))
			if !h.budget.take(size - cap(buf)) {
				return nil, release, &refusal{http.StatusServiceUnavailable, "too many bodies in memory", nil}
			}
			buf = append(make([]byte, 0, size), buf...)
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > h.cfg.MaxBody:
			return nil, release, &refusal{http.StatusRequestEntityTooLarge, "body too large", nil}
		case errors.Is(err, io.EOF):
			return buf, release, nil
		case err != nil:
			return nil, release, &refusal{http.StatusBadRequest, "body did not arrive whole and in time", err}
		}
	}
}

// budget is memory that many share.
type budget struct {
	mu   sync.Mutex
	left int
}

func newBudget() *budget { return &budget{left: allBodies} }

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}

// tooDeep counts brackets outside strings, which needs no stack however deep they are. Whether
// the body is JSON at all is for the decoder to say.
func tooDeep(body []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
