package livelog_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/internal/livelog"
)

func path(t *testing.T) string { return filepath.Join(t.TempDir(), "log") }

func write(t *testing.T, f *os.File, s string) {
	t.Helper()
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := livelog.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func never() bool  { return false }
func always() bool { return true }

// follower collects what it is passed and reports every arrival on got.
type follower struct {
	got  chan string
	ends chan error
}

func follow(ctx context.Context, path string, offset int64, done func() bool) follower {
	f := follower{make(chan string), make(chan error, 1)}
	go func() {
		_, err := livelog.Follow(ctx, path, offset, done, func(b []byte) error {
			f.got <- string(b)
			return nil
		})
		f.ends <- err
	}()
	return f
}

func (f follower) want(t *testing.T, want string) {
	t.Helper()
	got := ""
	for len(got) < len(want) {
		got += <-f.got
	}
	if got != want {
		t.Fatalf("followed %q, want %q", got, want)
	}
}

func TestFollowersSeeWhatIsWritten(t *testing.T) {
	t.Parallel()
	p := path(t)
	var done atomic.Bool
	early := follow(t.Context(), p, 0, done.Load) // before there is a file
	log := create(t, p)
	write(t, log, "one\n")
	early.want(t, "one\n")
	late := follow(t.Context(), p, 4, done.Load)
	write(t, log, "two\n")
	early.want(t, "two\n")
	late.want(t, "two\n")
	done.Store(true)
	for _, f := range []follower{early, late} {
		if err := <-f.ends; err != nil {
			t.Error(err)
		}
	}
}

func TestFollowMissesNothingWrittenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	p := path(t)
	log := create(t, p)
	want := strings.Repeat("0123456789abcdef\n", 10_000) // several chunks
	var got strings.Builder
	done := func() bool { // the last bytes arrive while the end is asked for
		write(t, log, want)
		return true
	}
	end, err := livelog.Follow(t.Context(), p, 0, done, func(b []byte) error {
		got.Write(b)
		return nil
	})
	if err != nil || got.String() != want || end != int64(len(want)) {
		t.Errorf("%d of %d bytes, offset %d, %v", got.Len(), len(want), end, err)
	}
}

func TestFollowResumesWhereItEnded(t *testing.T) {
	t.Parallel()
	p := path(t)
	write(t, create(t, p), "one two")
	stop := errors.New("the reader went away")
	end, err := livelog.Follow(t.Context(), p, 4, never, func(b []byte) error { return stop })
	if !errors.Is(err, stop) || end != 4 {
		t.Errorf("offset %d, %v: what was refused counts as not read", end, err)
	}
	f := follow(t.Context(), p, end, always)
	f.want(t, "two")
	if err := <-f.ends; err != nil {
		t.Error(err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := path(t)
	write(t, create(t, p), "x")
	f := follow(ctx, p, 0, never)
	f.want(t, "x")
	cancel()
	if err := <-f.ends; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFollowOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	if _, err := livelog.Follow(t.Context(), t.TempDir(), 0, always, nil); err == nil {
		t.Error("a directory was followed")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	p := path(t)
	write(t, create(t, p), "first\nsecond\nthird\n")
	for _, tc := range []struct {
		limit  int64
		want   string
		offset int64
	}{
		{1000, "first\nsecond\nthird\n", 0},
		{19, "first\nsecond\nthird\n", 0},
		{18, "second\nthird\n", 6},
		{7, "third\n", 13},
		{6, "third\n", 13},
		{5, "", 19},
		{0, "", 19},
	} {
		got, offset, err := livelog.Tail(p, tc.limit)
		if err != nil || string(got) != tc.want || offset != tc.offset {
			t.Errorf("Tail of %d bytes: %q at %d, %v; want %q at %d", tc.limit, got, offset, err, tc.want, tc.offset)
		}
	}
	long := path(t)
	write(t, create(t, long), "one line without an end")
	if got, offset, err := livelog.Tail(long, 3); err != nil || string(got) != "end" || offset != 20 {
		t.Errorf("of a single line: %q at %d, %v", got, offset, err)
	}
	if got, _, err := livelog.Tail(path(t), 10); err != nil || len(got) != 0 {
		t.Errorf("of a missing log: %q, %v", got, err)
	}
}

func TestCreateAppendsAndKeepsOthersOut(t *testing.T) {
	t.Parallel()
	p := path(t)
	write(t, create(t, p), "a")
	write(t, create(t, p), "b")
	b, err := os.ReadFile(p)
	if err != nil || string(b) != "ab" {
		t.Errorf("%q, %v", b, err)
	}
	info, err := os.Stat(p)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := livelog.Create(filepath.Join(p, "below a file")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %v", err)
	}
}
