package redact

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Known is a set of secrets that must not be seen in what leaves. It is the last layer and not the wall: what
// it finds should not have been there, and what is encrypted or packed it does not find. A nil *Known knows nothing.
// It is safe for concurrent use.
type Known struct {
	mu      sync.Mutex
	secrets []string // the oldest first
	find    atomic.Pointer[finder]
}

// maxKnown bounds the secrets that come and go, such as tokens: they are long dead when they are forgotten.
const maxKnown = 2000

// Knowing returns the set of these secrets.
func Knowing(secrets ...Secret) *Known {
	k := &Known{}
	k.Add(secrets...)
	return k
}

// Add adds secrets. One of several lines is also known by each of them that is long enough to be one. What is
// shorter than eight bytes is left alone: it would be found everywhere.
func (k *Known) Add(secrets ...Secret) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	before := len(k.secrets)
	for _, s := range secrets {
		for _, v := range append(strings.Split(string(s.value), "\n"), string(s.value)) {
			// A line such as -----BEGIN is no secret.
			if v = strings.TrimSpace(v); len(v) >= anchor && !strings.HasPrefix(v, "-----") && !slices.Contains(k.secrets, v) {
				k.secrets = append(k.secrets, v)
			}
		}
	}
	if len(k.secrets) == before {
		return
	}
	k.secrets = k.secrets[max(0, len(k.secrets)-maxKnown):]
	k.find.Store(newFinder(k.secrets))
}

// With returns a set of these secrets and those that k knows now.
func (k *Known) With(secrets ...Secret) *Known {
	out := &Known{}
	if k != nil {
		k.mu.Lock()
		out.secrets = slices.Clone(k.secrets)
		out.find.Store(k.find.Load())
		k.mu.Unlock()
	}
	out.Add(secrets...)
	return out
}

func (k *Known) finder() *finder {
	if k == nil {
		return nil
	}
	return k.find.Load()
}

// Text returns s with Mask in the place of every secret in it.
func (k *Known) Text(s string) string {
	f := k.finder()
	if f == nil || len(s) < anchor {
		return s
	}
	spans := f.spans([]byte(s))
	if len(spans) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, sp := range spans {
		b.WriteString(s[at:sp.from])
		b.WriteString(Mask)
		at = sp.to
	}
	b.WriteString(s[at:])
	return b.String()
}

// Fill overwrites every secret in b with stars, so that all places stay what they were.
func (k *Known) Fill(b []byte) {
	if f := k.finder(); f != nil {
		for _, sp := range f.spans(b) {
			sp.fill(b)
		}
	}
}

// Reach is how many bytes before a place have to be known to see the secrets that end behind it.
func (k *Known) Reach() int {
	if f := k.finder(); f != nil {
		return f.reach()
	}
	return 0
}

// Stream passes a text on in parts, with stars in the place of secrets, also of those that come in several
// parts. It keeps back only what may be the beginning of one.
type Stream struct {
	known *Known
	emit  func([]byte) error
	seen  []byte // the end of what was passed on, as it came
	kept  []byte
}

// Stream returns a stream that passes on to emit, which must not keep the slice.
func (k *Known) Stream(emit func([]byte) error) *Stream { return &Stream{known: k, emit: emit} }

// Write takes the next part.
func (s *Stream) Write(b []byte) error {
	f := s.known.finder()
	if f == nil && len(s.kept) == 0 {
		return s.emit(b)
	}
	s.kept = append(s.kept, b...)
	return s.pass(f, false)
}

// Flush passes on what was kept back.
func (s *Stream) Flush() error { return s.pass(s.known.finder(), true) }

func (s *Stream) pass(f *finder, all bool) error {
	if len(s.kept) == 0 {
		return nil
	}
	text := append(slices.Clip(s.seen), s.kept...)
	n := len(text)
	if f != nil {
		view := look(text)
		if !all {
			n = f.begun(view)
			end := settled(text)
			if begun := f.begun(view.before(end)); begun < end {
				n = min(n, begun)
			}
			n = max(n, len(s.seen))
		}
		out := slices.Clone(text)
		for _, sp := range f.found(view) {
			sp.fill(out)
			if sp.from < n && sp.to > n { // the rest of it was not looked at as a beginning
				n = min(sp.to, len(text))
			}
		}
		if err := s.emit(out[len(s.seen):n]); err != nil {
			return err
		}
		s.kept = append(s.kept[:0], text[n:]...)
		s.seen = append([]byte(nil), text[max(0, n-f.reach()):n]...)
		return nil
	}
	s.seen, s.kept = nil, nil
	return s.emit(text[len(text)-n:])
}

// Writer returns a writer that masks each text that is written to it as a whole, such as the lines of a log.
func (k *Known) Writer(w io.Writer) io.Writer { return writer{k, w} }

type writer struct {
	known *Known
	to    io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.to, w.known.Text(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

var secretName = regexp.MustCompile(`(?i)secret|token|passw|credential|private|api_?key`)

// Environment returns the values of those variables whose names say that they are secret.
func Environment(environ []string) (out []Secret) {
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); secretName.MatchString(name) && !strings.HasSuffix(name, "_FILE") {
			out = append(out, New(value))
		}
	}
	return out
}
