// Package livelog is a log with one writer and many readers: a plain file that a process of its own
// can write and that outlives the server.
//
// Readers poll. A file is read again within [Interval] of a write, which no reader notices, and
// polling has no limit on watches and works wherever the file lies.
package livelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Interval is how often a follower looks for new bytes.
const Interval = 100 * time.Millisecond

const chunk = 32 << 10 // bytes that a follower reads at once

// Create opens the log at path for appending, readable by its owner only. The caller closes it.
func Create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	return f, nil
}

// Follow passes the bytes of the log at path from offset on to emit, as they are written, and
// returns the offset after the last one. It waits for a file that does not exist yet. It ends when
// done reports true and everything written before that has been passed on, when ctx ends, with its
// error, or when emit returns an error, with that. emit must not keep the slice.
func Follow(ctx context.Context, path string, offset int64, done func() bool, emit func([]byte) error) (int64, error) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		last := done() // asked before reading: what was written until now is read below
		var err error
		if offset, err = copyFrom(ctx, path, offset, emit); err != nil || last {
			return offset, err
		}
		select {
		case <-ctx.Done():
			return offset, ctx.Err()
		case <-tick.C:
		}
	}
}

// copyFrom emits what the file holds from offset on. A missing file holds nothing.
func copyFrom(ctx context.Context, path string, offset int64, emit func([]byte) error) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return offset, nil
	}
	if err != nil {
		return offset, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	buf := make([]byte, chunk)
	for ctx.Err() == nil {
		n, err := f.ReadAt(buf, offset)
		if n > 0 {
			if err := emit(buf[:n]); err != nil {
				return offset, err
			}
			offset += int64(n)
		}
		if err == io.EOF {
			return offset, nil
		}
		if err != nil {
			return offset, fmt.Errorf("read log: %w", err)
		}
	}
	return offset, ctx.Err()
}

// Tail returns the last bytes of the log at path, at most limit, and the offset in the file where
// they start. If that is not the start of the file, they begin after a line end where there is one.
// A missing log is empty.
func Tail(path string, limit int64) (tail []byte, offset int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("size of log: %w", err)
	}
	before := info.Size() - limit - 1 // one byte more, to see whether a line ends just before
	tail, err = io.ReadAll(io.NewSectionReader(f, max(0, before), info.Size()-max(0, before)))
	if err != nil {
		return nil, 0, fmt.Errorf("read log: %w", err)
	}
	if before < 0 {
		return tail, 0, nil
	}
	cut := max(bytes.IndexByte(tail, '\n'), 0) + 1
	return tail[cut:], before + int64(cut), nil
}
