package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/livelog"
	"github.com/tollgate/tollgate/internal/report"
)

var errBusy = errors.New("too many streams")

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

func (s *server) runLog(w http.ResponseWriter, r *http.Request) error {
	log, err := s.source(r).RunLog(r.Context(), r.PathValue("id"), r.PathValue("project"))
	return s.raw(w, r, log, err)
}

func (s *server) executionLog(w http.ResponseWriter, r *http.Request) error {
	log, err := s.source(r).ExecutionLog(r.Context(), r.PathValue("id"))
	return s.raw(w, r, log, err)
}

func (s *server) runStream(w http.ResponseWriter, r *http.Request) error {
	log, err := s.source(r).RunLog(r.Context(), r.PathValue("id"), r.PathValue("project"))
	return s.stream(w, r, log, err)
}

func (s *server) executionStream(w http.ResponseWriter, r *http.Request) error {
	log, err := s.source(r).ExecutionLog(r.Context(), r.PathValue("id"))
	return s.stream(w, r, log, err)
}

// raw serves what the log holds now as plain text.
func (s *server) raw(w http.ResponseWriter, r *http.Request, log Log, err error) error {
	if err != nil {
		return fmt.Errorf("find log: %w", err)
	}
	asText(w)
	whole := func() bool { return true }
	lines := lineBuffer{emit: func(text string, _ int64) error {
		_, err := w.Write([]byte(text))
		return err
	}}
	return s.broken(r, follow(r.Context(), log, 0, whole, &lines))
}

// stream serves the log as server-sent events from an offset on. The id of an event is the offset
// after it, so that a browser that connects again misses nothing.
func (s *server) stream(w http.ResponseWriter, r *http.Request, log Log, err error) error {
	if err != nil {
		return fmt.Errorf("find log: %w", err)
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return errBusy
	}
	from := offset(r)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that collects would delay every line
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // a stream outlives the server's limit; not every writer has one
	if _, err := fmt.Fprint(w, "retry: 2000\n\n"); err != nil {
		return s.broken(r, err)
	}
	_ = out.Flush()
	still := s.still(r, log.Repo)
	lines := lineBuffer{start: from, emit: func(text string, end int64) error {
		if err := still(); err != nil {
			return err
		}
		if _, err := w.Write(event(text, end)); err != nil {
			return err
		}
		return out.Flush()
	}}
	if err := follow(r.Context(), log, from, log.Done, &lines); err != nil {
		return s.broken(r, err)
	}
	_, err = fmt.Fprint(w, "event: end\ndata:\n\n")
	return s.broken(r, err)
}

// broken logs an error after which nothing can be answered any more, unless the reader just left.
func (s *server) broken(r *http.Request, err error) error {
	if err != nil && r.Context().Err() == nil && !errors.Is(err, context.Canceled) {
		s.Log.WarnContext(r.Context(), "log not served to its end", "path", r.URL.Path, "error", err)
	}
	return nil
}

// follow passes on the log from an offset to its end, without its secrets. It looks back from there: whoever chooses
// the offset must not see the second half of one.
func follow(ctx context.Context, log Log, from int64, done func() bool, lines *lineBuffer) error {
	begin := max(0, from-int64(log.Mask.Reach()))
	skip := from - begin
	masked := log.Mask.Stream(func(b []byte) error {
		n := min(skip, int64(len(b)))
		skip -= n
		return lines.add(b[n:])
	})
	end, err := livelog.Follow(ctx, log.Path, begin, done, masked.Write)
	if err != nil {
		return err
	}
	// It may have been encrypted before all of it was read here.
	text, err := log.sealed()
	if err != nil {
		return err
	}
	if end < int64(len(text)) {
		if err := masked.Write(text[end:]); err != nil {
			return err
		}
	}
	if err := masked.Flush(); err != nil {
		return err
	}
	return lines.flush()
}

func offset(r *http.Request) int64 {
	for _, v := range []string{r.Header.Get("Last-Event-ID"), r.URL.Query().Get("from")} {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return 0
}

// event is one server-sent event; each of its lines has to be marked.
func event(text string, end int64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\n", end)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString("data: " + line + "\n")
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// maxPartial bounds a line that is kept until its end is written.
const maxPartial = 64 << 10

// lineBuffer passes on whole lines, cleaned, so that no escape sequence and no rune is seen in two
// halves.
type lineBuffer struct {
	start int64 // offset in the log of the first byte in kept
	kept  []byte
	emit  func(text string, end int64) error // end is the offset after text
}

func (l *lineBuffer) add(b []byte) error {
	l.kept = append(l.kept, b...)
	cut := bytes.LastIndexByte(l.kept, '\n') + 1
	if cut == 0 && len(l.kept) > maxPartial {
		cut = len(l.kept)
	}
	return l.pass(cut)
}

func (l *lineBuffer) flush() error { return l.pass(len(l.kept)) }

func (l *lineBuffer) pass(n int) error {
	if n == 0 {
		return nil
	}
	text := report.Clean(string(l.kept[:n]))
	l.start += int64(n)
	l.kept = append(l.kept[:0], l.kept[n:]...)
	return l.emit(text, l.start)
}
