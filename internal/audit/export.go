package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// An export is a file of JSON lines that proves itself: a header, the rows, and a last line with
// their number and the hash of the last. Where a filter leaves a row out, its place is kept by the
// hash of its content, so that the chain still runs through: what is shown stands in this ledger,
// at this place, unchanged, and nothing is missing between. What is hidden is not shown to be of
// no interest; for that, compare with a whole export of the same last hash.
const exportFormat = "tollgate-ledger/2"

// line is any line of an export.
type line struct {
	Kind string `json:"kind"` // header, row, hidden or end

	Format     string  `json:"format,omitempty"` // of a header
	ExportedAt string  `json:"exported_at,omitempty"`
	Filter     *Filter `json:"filter,omitempty"`

	Row *Row `json:"row,omitempty"`

	Seq  int64  `json:"seq,omitempty"` // of a hidden row
	Body string `json:"body,omitempty"`

	Rows  *int64 `json:"rows,omitempty"` // of the end
	Shown int64  `json:"shown,omitempty"`
	Head  string `json:"head,omitempty"`
}

// Filter chooses rows. Its zero value chooses all.
type Filter struct {
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	Repo    string    `json:"repository,omitempty"` // its id, or owner/name
	Pull    int       `json:"pull,omitempty"`
	Project string    `json:"project,omitempty"`
}

// wants reports whether the filter chooses a row.
func (f Filter) wants(r Row) bool {
	if f == (Filter{}) {
		return true
	}
	if !f.covers(r.At) {
		return false
	}
	var s subject
	if json.Unmarshal([]byte(r.Subject), &s) != nil {
		return true
	}
	return (f.Repo == "" || f.Repo == s.Repository.String() || strings.EqualFold(f.Repo, s.Name)) &&
		(f.Pull == 0 || f.Pull == s.Pull) && (f.Project == "" || s.of(f.Project))
}

// covers reports whether a row of that time is chosen. One of no time was not written by us, and is
// of interest.
func (f Filter) covers(at string) bool {
	t, err := time.Parse(time.RFC3339Nano, at)
	return err != nil || !t.Before(f.Since) && (f.Until.IsZero() || t.Before(f.Until))
}

// Export writes the rows that the filter chooses, and the places of the others.
func Export(ctx context.Context, tx *store.Tx, w io.Writer, f Filter) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	header := line{Kind: "header", Format: exportFormat, ExportedAt: tx.Now.Format(time.RFC3339)}
	if f != (Filter{}) {
		header.Filter = &f
	}
	if err := enc.Encode(header); err != nil {
		return err
	}
	end, rows := line{Kind: "end"}, int64(0)
	err := Each(ctx, tx, func(r Row) error {
		rows, end.Head = rows+1, r.Hash
		if r.Version == version && r.sum() == r.Hash && !f.wants(r) {
			return enc.Encode(line{Kind: "hidden", Seq: r.Seq, Body: r.body()})
		}
		end.Shown++
		return enc.Encode(line{Kind: "row", Row: &r})
	})
	if err != nil {
		return err
	}
	end.Rows = &rows
	if err := enc.Encode(end); err != nil {
		return err
	}
	return out.Flush()
}

// VerifyExport checks a file that Export wrote, and calls f, which may be nil, for every row that it shows.
func VerifyExport(r io.Reader, f func(Row) error) (Report, Filter, error) {
	dec := json.NewDecoder(r)
	var header line
	if err := dec.Decode(&header); err != nil || header.Kind != "header" || header.Format != exportFormat {
		return Report{}, Filter{}, fault.Wrap(err, "This is not an export of the ledger.", "Its first line would say so.", "Make one with `bot audit export > FILE`.")
	}
	var filter Filter
	if header.Filter != nil {
		filter = *header.Filter
	}
	c, ended := chain{}, false
	for !ended {
		var x line
		err := dec.Decode(&x)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			c.flaw(c.report.Head.Seq+1, TailCut, "the file ends after row %d without its last line: its end was cut off", c.report.Head.Seq)
			return c.report, filter, nil
		case err != nil:
			c.flaw(c.report.Head.Seq+1, Changed, "what follows row %d is no line of an export: %v", c.report.Head.Seq, err)
			return c.report, filter, nil
		}
		switch {
		case x.Kind == "row" && x.Row != nil:
			if c.limit = x.Row.Seq + 1000; !c.take(*x.Row) {
				return c.report, filter, nil
			}
			if f != nil {
				if err := f(*x.Row); err != nil {
					return c.report, filter, err
				}
			}
		case x.Kind == "hidden" && x.Seq == c.report.Head.Seq+1:
			c.advance(x.Seq, link(c.report.Head.Hash, x.Body), "")
			c.report.Hidden++
		case x.Kind == "hidden":
			c.flaw(c.report.Head.Seq+1, Missing, "row %d is missing: row %d is followed by row %d", c.report.Head.Seq+1, c.report.Head.Seq, x.Seq)
			return c.report, filter, nil
		case x.Kind == "end" && x.Rows != nil:
			c.ends(store.Head{Seq: *x.Rows, Hash: x.Head})
			ended = true
		default:
			c.flaw(c.report.Head.Seq+1, Changed, "what follows row %d is no line of an export", c.report.Head.Seq)
			return c.report, filter, nil
		}
	}
	rest, err := io.ReadAll(io.MultiReader(dec.Buffered(), r))
	if err != nil {
		return c.report, filter, fmt.Errorf("read the export: %w", err)
	}
	if c.report.Flaw == nil && len(bytes.TrimSpace(rest)) > 0 {
		c.flaw(c.report.Head.Seq+1, Added, "something follows the last line of the export")
	}
	return c.report, filter, nil
}
