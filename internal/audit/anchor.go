package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// The files of the anchor, in the data directory.
const (
	anchorFile = "ledger.anchor"
	anchorKey  = "ledger.anchor-key"
)

// mark is a line of the anchor: where the ledger ended at a time.
type mark struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
	At   string `json:"at"`
	// Back is set where a person accepted a database that was older than the anchor: what was
	// marked after row *Back is void.
	Back *int64 `json:"back,omitempty"`
	MAC  string `json:"mac,omitempty"`
}

// mac keeps out those who can write the database and the anchor but not read the key beside it.
// Whoever owns the whole directory can forge marks; the hashes on GitHub are for that case.
func (m mark) mac(key []byte) string {
	m.MAC = ""
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(b) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

// marks are what an anchor says.
type marks struct {
	exists bool
	last   mark
	hashes map[int64]string // of the rows whose end was marked
	flaw   *Flaw            // in the anchor itself
	whole  int64            // bytes up to the end of the last whole line
}

// readMarks reads an anchor, or finds that there is none.
func readMarks(dir string) (marks, error) {
	m := marks{hashes: map[int64]string{}}
	b, err := os.ReadFile(filepath.Join(dir, anchorFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("read the anchor: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, anchorKey))
	if err != nil {
		return m, fault.Wrap(err, "The key of the ledger's anchor cannot be read.", "Without it nobody can tell whether the anchor was forged.", "Restore "+anchorKey+" from a backup.")
	}
	m.exists = true
	lines := bufio.NewReader(bytes.NewReader(b))
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return m, nil // what is left was not written to its end: a crash, or a full disk
		}
		var x mark
		if json.Unmarshal(line, &x) != nil || !hmac.Equal([]byte(x.MAC), []byte(x.mac(key))) {
			m.flaw = &Flaw{Kind: AnchorForged, Text: fmt.Sprintf("line %d of the anchor was not written by this server", n)}
			return m, nil
		}
		m.add(x)
		m.whole += int64(len(line))
	}
}

func (m *marks) add(x mark) {
	if x.Back != nil {
		for seq := range m.hashes {
			if seq > *x.Back {
				delete(m.hashes, seq)
			}
		}
	} else if x.Seq <= m.last.Seq { // two programs may write in another order than they committed
		m.hashes[x.Seq] = x.Hash
		return
	}
	m.hashes[x.Seq], m.last = x.Hash, x
}

// Anchor writes down where the ledger ends, outside the database. It is the store's witness.
type Anchor struct {
	dir string
	key []byte
	db  *store.DB

	mu   sync.Mutex
	held *Flaw      // why nothing is marked at present
	owed store.Head // could not be marked yet
}

// Hold attaches the anchor in a directory to a database, and compares the two. From then on every
// row is marked, unless Held says why not.
func Hold(ctx context.Context, db *store.DB, dir string) (*Anchor, error) {
	key, err := keyIn(dir)
	if err != nil {
		return nil, err
	}
	a := &Anchor{dir: dir, key: key, db: db}
	if err := a.compare(ctx); err != nil {
		return nil, err
	}
	db.Attend(a)
	return a, nil
}

// compare finds out whether the database goes on from the anchor, and marks its end if it does.
func (a *Anchor) compare(ctx context.Context) error {
	m, err := readMarks(a.dir)
	if err != nil {
		return err
	}
	var now store.Head
	flaw, err := store.Read(ctx, a.db, func(tx *store.Tx) (*Flaw, error) {
		if now, err = tx.LedgerHead(ctx); err != nil {
			return nil, err
		}
		return behind(ctx, tx, m)
	})
	if err != nil {
		return fmt.Errorf("compare the ledger with its anchor: %w", err)
	}
	if flaw == nil {
		// Outside the lock, for whoever writes to the database waits for it.
		if err := a.db.Write(ctx, func(tx *store.Tx) error { return tx.SetAnchored(ctx) }); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held = flaw; flaw != nil || m.exists && m.last.Seq >= now.Seq {
		return nil
	}
	return a.write(mark{Seq: now.Seq, Hash: now.Hash})
}

// behind says how a database falls short of its anchor and of what it knows itself, or nil.
func behind(ctx context.Context, tx *store.Tx, m marks) (*Flaw, error) {
	if m.flaw != nil {
		return m.flaw, nil
	}
	anchored, err := tx.Anchored(ctx)
	if err != nil {
		return nil, err
	}
	if !m.exists && anchored {
		return &Flaw{Kind: AnchorGone, Text: "the anchor is gone: " + anchorFile + " in the data directory"}, nil
	}
	var flt *fault.Error
	if _, _, err := end(ctx, tx); errors.As(err, &flt) {
		h, err := tx.LedgerHead(ctx)
		return &Flaw{Seq: h.Seq, Kind: TailCut, Text: flt.What}, err
	} else if err != nil {
		return nil, err
	}
	if m.last.Seq == 0 {
		return nil, nil
	}
	var hash string
	err = tx.SQL.QueryRowContext(ctx, `select coalesce((select hash from audit where seq = ?), '')`, m.last.Seq).Scan(&hash)
	if err != nil || hash == m.last.Hash {
		return nil, err
	}
	return m.older(hash == ""), nil
}

// older is the flaw of a database that does not have the row that was marked last.
func (m marks) older(missing bool) *Flaw {
	text := fmt.Sprintf("the database is older than its anchor: row %d was written at %s and is missing; the database was restored from a backup, or its end was cut off", m.last.Seq, m.last.At)
	if !missing {
		text = fmt.Sprintf("the database is not the one of its anchor: row %d of %s was another; the database was restored from a backup, or rewritten", m.last.Seq, m.last.At)
	}
	return &Flaw{Seq: m.last.Seq, Kind: Older, Text: text}
}

// Held says why the ledger is not what the anchor knows, or nil. It looks again, since a person may
// have acknowledged it meanwhile.
func (a *Anchor) Held(ctx context.Context) (*Flaw, error) {
	a.mu.Lock()
	held := a.held
	a.mu.Unlock()
	if held == nil {
		return nil, nil
	}
	if err := a.compare(ctx); err != nil {
		return held, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held, nil
}

// Ready tries again to mark what could not be marked. A row that is not marked may be the last.
func (a *Anchor) Ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.owed.Seq == 0 {
		return nil
	}
	if err := a.write(mark{Seq: a.owed.Seq, Hash: a.owed.Hash}); err != nil {
		return fault.Wrap(err, "The ledger's anchor cannot be written.", "Nothing is decided without it.", "Make room on the disk, and check that "+filepath.Join(a.dir, anchorFile)+" is writable.")
	}
	a.owed = store.Head{}
	return nil
}

// Saw marks the end of the ledger.
func (a *Anchor) Saw(h store.Head) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil {
		return
	}
	if a.owed.Seq > h.Seq {
		h = a.owed
	}
	if a.owed = h; a.write(mark{Seq: h.Seq, Hash: h.Hash}) == nil {
		a.owed = store.Head{}
	}
}

// write appends one line and waits until it is on the disk. What a crash left of a line is overwritten.
func (a *Anchor) write(x mark) (err error) {
	x.At = time.Now().UTC().Format(time.RFC3339)
	x.MAC = x.mac(a.key)
	line, err := json.Marshal(x)
	if err != nil {
		return err
	}
	file := filepath.Join(a.dir, anchorFile)
	_, statErr := os.Stat(file)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // ends the lock, too
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	at, err := wholeLines(f)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(append(line, '\n'), at); err != nil {
		return errors.Join(err, f.Truncate(at))
	}
	if err := f.Sync(); err != nil || statErr == nil {
		return err
	}
	return syncDir(a.dir)
}

// wholeLines is where the last whole line ends.
func wholeLines(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	tail := make([]byte, min(size, 4096)) // a line is shorter
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, err
	}
	return size - int64(len(tail)-(bytes.LastIndexByte(tail, '\n')+1)), nil
}

// keyIn returns the anchor's key, and makes one where there is neither key nor anchor.
func keyIn(dir string) ([]byte, error) {
	file := filepath.Join(dir, anchorKey)
	key, err := os.ReadFile(file)
	if err == nil && len(key) == sha256.Size {
		return key, nil
	}
	_, missing := os.Stat(filepath.Join(dir, anchorFile))
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(missing, fs.ErrNotExist) {
		return nil, fault.Wrap(err, "The key of the ledger's anchor is missing or damaged.", "Without it nobody can tell whether the anchor was forged.", "Restore "+file+" from a backup.")
	}
	key = make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the anchor's key: %w", err)
	}
	_, err = f.Write(key)
	if err := errors.Join(err, f.Sync(), f.Close(), syncDir(dir)); err != nil {
		return nil, fmt.Errorf("make the anchor's key: %w", err)
	}
	return key, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Acknowledge accepts a database that falls short of its anchor as the ledger from now on: the row
// e says who did and why. It returns what was accepted, or nil if there was nothing to accept.
func Acknowledge(ctx context.Context, db *store.DB, dir string, e Entry) (*Flaw, error) {
	a, err := Hold(ctx, db, dir)
	if err != nil || a.held == nil {
		return nil, err
	}
	m, err := readMarks(dir)
	if err != nil {
		return nil, err
	}
	var now store.Head
	var back int64
	err = db.Write(ctx, func(tx *store.Tx) error {
		var last store.Head
		err := Each(ctx, tx, func(r Row) error {
			if m.hashes[r.Seq] == r.Hash {
				back = r.Seq
			}
			last = store.Head{Seq: r.Seq, Hash: r.Hash}
			return nil
		})
		if err != nil {
			return err
		}
		if err := tx.SetLedgerHead(ctx, last); err != nil {
			return err
		}
		e.Subject["found"], e.Subject["goes_on_from"], e.Subject["anchor_row"], e.Subject["anchor_hash"] = a.held.Text, last.Seq, m.last.Seq, m.last.Hash
		if err := Append(ctx, tx, e); err != nil {
			return err
		}
		now, err = tx.LedgerHead(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	found := a.held
	if found.Kind == AnchorForged {
		// What it says is worth nothing; it stays beside as evidence.
		if err := os.Rename(filepath.Join(dir, anchorFile), filepath.Join(dir, anchorFile+"."+time.Now().UTC().Format("20060102T150405.000000000"))); err != nil {
			return nil, err
		}
	}
	if err := a.write(mark{Seq: now.Seq, Hash: now.Hash, Back: &back}); err != nil {
		return nil, fmt.Errorf("write the anchor: %w", err)
	}
	return found, nil
}
