package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/store"
)

// Kind is what is wrong with a ledger.
type Kind string

// What can be wrong with a ledger.
const (
	Changed      Kind = "changed"
	Missing      Kind = "missing"
	Swapped      Kind = "swapped"
	Added        Kind = "added"
	TailCut      Kind = "tail cut off"
	Older        Kind = "older than its anchor"
	AnchorGone   Kind = "anchor gone"
	AnchorForged Kind = "anchor forged"
)

// Flaw is the first thing that is wrong with a ledger.
type Flaw struct {
	Seq  int64 // the row, or 0 if it is none
	Kind Kind
	Text string // for people, without a full stop
}

func (f *Flaw) Error() string { return f.Text }

// Report is what became of a verification.
type Report struct {
	Rows     int64 // that hold, from the first on
	From, To string
	Head     store.Head // the last of them
	Flaw     *Flaw      // nil if the ledger holds
	Anchored int        // rows that the anchor confirms
	Since    int64      // rows that the anchor does not know yet
	Hidden   int        // rows whose content an extract leaves out
	Back     []Row      // rows in which a person accepted a database that was restored
}

// chain checks rows one after the other, wherever they come from.
type chain struct {
	report Report
	hashes map[int64]string // that the anchor knows
	limit  int64            // numbers above it were never given
}

// take checks one row. It reports false once the chain is broken.
func (c *chain) take(r Row) bool {
	last, want := c.report.Head, c.report.Head.Seq+1
	known, marked := c.hashes[r.Seq]
	switch {
	case r.Seq < want:
		return c.flaw(r.Seq, Added, "row %d was added: no row had this number", r.Seq)
	case r.Seq > want && r.sum() == r.Hash && c.limit > 0 && r.Seq > c.limit:
		return c.flaw(r.Seq, Added, "row %d was added: the ledger never had so many", r.Seq)
	case r.Seq > want:
		return c.flaw(want, Missing, "row %d is missing: row %d is followed by row %d", want, last.Seq, r.Seq)
	case r.sum() != r.Hash:
		if n := c.writtenAs(r); n > 0 {
			return c.flaw(r.Seq, Swapped, "row %d holds what was written as row %d: rows were swapped, copied, or moved up to hide one that is missing", r.Seq, n)
		}
		return c.flaw(r.Seq, Changed, "row %d was changed: its hash does not fit its content", r.Seq)
	case r.Prev != last.Hash && last.Seq > 0 && c.hashes[last.Seq] == "":
		return c.flaw(last.Seq, Changed, "row %d was changed and hashed again: row %d continues another", last.Seq, r.Seq)
	case r.Prev != last.Hash:
		return c.flaw(r.Seq, Changed, "row %d was changed and hashed again: it does not continue row %d", r.Seq, last.Seq)
	case marked && known != r.Hash:
		return c.flaw(r.Seq, Changed, "row %d was changed, and all after it hashed again: the anchor knows another", r.Seq)
	}
	if marked {
		c.report.Anchored++
	}
	c.advance(r.Seq, r.Hash, r.At)
	if r.Action == ActionAcknowledge {
		c.report.Back = append(c.report.Back, r)
	}
	return true
}

func (c *chain) advance(seq int64, hash, at string) {
	c.report.Rows, c.report.Head = seq, store.Head{Seq: seq, Hash: hash}
	if at != "" {
		c.report.To = at
		if c.report.From == "" {
			c.report.From = at
		}
	}
}

func (c *chain) flaw(seq int64, k Kind, format string, args ...any) bool {
	c.report.Flaw = &Flaw{seq, k, fmt.Sprintf(format, args...)}
	return false
}

// writtenAs is the number that fits the content of a row, or 0.
func (c *chain) writtenAs(r Row) int64 {
	has := r.Hash
	for n := int64(1); n <= c.limit; n++ {
		if r.Seq = n; r.sum() == has {
			return n
		}
	}
	return 0
}

var errBroken = errors.New("the ledger does not hold")

// Verify reads a whole ledger and compares it with the end that was written down beside it and with
// the anchor in the data directory. The database alone is compared if dir is empty.
func Verify(ctx context.Context, tx *store.Tx, dir string) (Report, error) {
	m := marks{}
	if dir != "" {
		var err error
		if m, err = readMarks(dir); err != nil {
			return Report{}, err
		}
	}
	head, err := tx.LedgerHead(ctx)
	lost := errors.Is(err, store.ErrNotFound)
	if err != nil && !lost {
		return Report{}, err
	}
	c := chain{hashes: m.hashes, limit: max(head.Seq, m.last.Seq)}
	err = Each(ctx, tx, func(r Row) error {
		if c.take(r) {
			return nil
		}
		return errBroken
	})
	if err != nil && !errors.Is(err, errBroken) {
		return Report{}, err
	}
	if c.report.Flaw != nil {
		return c.report, nil
	}
	if lost {
		c.flaw(0, TailCut, "what was written last is not known any more: the table audit_head is empty")
		return c.report, nil
	}
	if c.ends(head); c.report.Flaw != nil || dir == "" {
		return c.report, nil
	}
	anchored, err := tx.Anchored(ctx)
	if err != nil {
		return Report{}, err
	}
	switch {
	case m.flaw != nil:
		c.report.Flaw = m.flaw
	case !m.exists && anchored:
		c.flaw(0, AnchorGone, "the anchor is gone: %s in the data directory", anchorFile)
	case m.last.Seq > c.report.Head.Seq:
		c.report.Flaw = m.older(true)
	}
	c.report.Since = c.report.Head.Seq - m.last.Seq
	return c.report, nil
}

// ends compares the last row with the end that was written down.
func (c *chain) ends(head store.Head) {
	last := c.report.Head
	switch {
	case last.Seq < head.Seq:
		c.flaw(last.Seq+1, TailCut, "the end was cut off: row %d was written last, and the ledger ends with row %d", head.Seq, last.Seq)
	case last.Seq > head.Seq:
		c.flaw(head.Seq+1, Added, "row %d was added: row %d was written last", head.Seq+1, head.Seq)
	case last.Hash != head.Hash:
		c.flaw(last.Seq, Changed, "row %d, the last, was changed and hashed again", last.Seq)
	}
}
