package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/store"
)

// anchored has a ledger of n rows in a data directory with an anchor.
func anchored(t *testing.T, n int) (db *store.DB, dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "tollgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := audit.Hold(t.Context(), db, dir); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := appendTo(t, db, entry(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	return db, dir
}

// hashed computes what the package's documentation says a row's hash is, without the package.
func hashed(fields ...any) string {
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// A tamperer works on the database with SQL, and knows how hashes are made.
type tamperer struct {
	ctx context.Context
	tx  *store.Tx
	rnd *rand.Rand
	n   int64
}

func (x tamperer) exec(query string, args ...any) {
	if _, err := x.tx.SQL.ExecContext(x.ctx, query, args...); err != nil {
		panic(fmt.Sprintf("%s: %v", query, err))
	}
}

func (x tamperer) text(query string, args ...any) (out string) {
	if err := x.tx.SQL.QueryRowContext(x.ctx, query, args...).Scan(&out); err != nil {
		panic(fmt.Sprintf("%s: %v", query, err))
	}
	return out
}

func (x tamperer) row() int64 { return 1 + x.rnd.Int64N(x.n) }

// favoured is a row, and often the first or the last.
func (x tamperer) favoured() int64 { return []int64{1, x.n, x.row(), x.row()}[x.rnd.IntN(4)] }

// rehash makes the hash of a row fit its content again.
func (x tamperer) rehash(seq int64) {
	var at, actor, action, outcome, origin, subject, prev string
	err := x.tx.SQL.QueryRowContext(x.ctx, `select at, actor, action, outcome, origin, subject, prev from audit where seq = ?`, seq).
		Scan(&at, &actor, &action, &outcome, &origin, &subject, &prev)
	if err != nil {
		panic(err)
	}
	x.exec(`update audit set hash = ? where seq = ?`, hashed(prev, hashed(seq, 2, at, actor, action, outcome, origin, subject)), seq)
}

// moveEnd makes the end fit the last row again.
func (x tamperer) moveEnd() {
	x.exec(`update audit_head set (seq, hash) = (select seq, hash from audit order by seq desc limit 1)`)
}

const everyColumn = `version, at, actor, action, outcome, origin, subject, prev, hash`

var texts = []string{"at", "actor", "action", "outcome", "origin", "subject", "prev", "hash"}

// ways are what a tamperer does, by name.
var ways = map[string]func(tamperer){
	"a character changed": func(x tamperer) {
		seq, column := x.favoured(), texts[x.rnd.IntN(len(texts))]
		at := 1 + x.rnd.IntN(max(1, len(x.text(`select `+column+` from audit where seq = ?`, seq))))
		x.exec(`update audit set `+column+` = substr(`+column+`, 1, ? - 1) || ? || substr(`+column+`, ? + 1) where seq = ?`, at, string(rune('!'+x.rnd.IntN(90))), at, seq)
	},
	"a column": func(x tamperer) {
		column := texts[x.rnd.IntN(len(texts))]
		to := []string{`C || char(0)`, `char(0) || C`, `C || ' '`, `''`, `upper(C) || 'x'`, `cast(C as blob)`, `substr(C, 2) || 'y'`, `C || char(8203)`, `C || char(10)`, `cast(x'ff' as text)`}[x.rnd.IntN(10)]
		x.exec(`update audit set `+column+` = `+strings.ReplaceAll(to, "C", column)+` where seq = ?`, x.favoured())
	},
	"a version": func(x tamperer) {
		x.exec(`update audit set version = ? where seq = ?`, []any{1, 0, 3, "two"}[x.rnd.IntN(4)], x.favoured())
	},
	"a row removed":         func(x tamperer) { x.exec(`delete from audit where seq = ?`, x.favoured()) },
	"the last rows removed": func(x tamperer) { x.exec(`delete from audit where seq > ?`, x.n-1-x.rnd.Int64N(5)) },
	"the last rows removed, and the end moved": func(x tamperer) {
		x.exec(`delete from audit where seq > ?`, x.n-1-x.rnd.Int64N(5))
		x.moveEnd()
	},
	"a row removed, and the others moved up": func(x tamperer) {
		seq := x.row()
		x.exec(`delete from audit where seq = ?`, seq)
		x.exec(`update audit set seq = -seq where seq > ?`, seq)
		x.exec(`update audit set seq = -seq - 1 where seq < 0`)
		if seq < x.n { // else it is the last that is gone
			x.moveEnd()
		}
	},
	"two rows swapped": func(x tamperer) {
		a, b := x.favoured(), x.row()
		x.exec(`drop table if exists temp.two`)
		x.exec(`create temp table two as select * from audit where seq in (?, ?)`, a, b)
		for _, p := range [][2]int64{{a, b}, {b, a}} {
			x.exec(`update audit set (`+everyColumn+`) = (select `+everyColumn+` from two where seq = ?) where seq = ?`, p[0], p[1])
		}
	},
	"a column of two rows swapped": func(x tamperer) {
		a, b, column := x.favoured(), x.row(), texts[x.rnd.IntN(len(texts))]
		va, vb := x.text(`select `+column+` from audit where seq = ?`, a), x.text(`select `+column+` from audit where seq = ?`, b)
		x.exec(`update audit set `+column+` = ? where seq = ?`, va, b)
		x.exec(`update audit set `+column+` = ? where seq = ?`, vb, a)
	},
	"a row doubled": func(x tamperer) {
		to := []int64{0, -1, x.n + 1, x.n + 2, 1 << 40}[x.rnd.IntN(5)]
		x.exec(`insert into audit (seq, `+everyColumn+`) select ?, `+everyColumn+` from audit where seq = ?`, to, x.favoured())
		if to > 0 && x.rnd.IntN(2) == 0 {
			x.moveEnd()
		}
	},
	"a row changed and hashed again": func(x tamperer) {
		seq := x.favoured()
		x.exec(`update audit set outcome = 'allowed by eve' where seq = ?`, seq)
		x.rehash(seq)
		if x.rnd.IntN(2) == 0 {
			x.moveEnd()
		}
	},
	"a row changed and all after it hashed again": func(x tamperer) {
		seq := x.favoured()
		x.exec(`update audit set actor = '{"id":9,"login":"eve"}' where seq = ?`, seq)
		x.rehash(seq)
		for n := seq + 1; n <= x.n; n++ {
			x.exec(`update audit set prev = (select hash from audit where seq = ? - 1) where seq = ?`, n, n)
			x.rehash(n)
		}
		x.moveEnd()
	},
	"a row added, with a hash that fits": func(x tamperer) {
		x.exec(`insert into audit (seq, `+everyColumn+`) select seq + 1, version, at, actor, action, 'allowed by eve', origin, subject, hash, '' from audit where seq = ?`, x.n)
		x.rehash(x.n + 1)
	},
	"the end": func(x tamperer) {
		x.exec([]string{`update audit_head set seq = seq - 1`, `update audit_head set seq = seq + 1`, `update audit_head set hash = 'x'`, `delete from audit_head`}[x.rnd.IntN(4)])
	},
}

// Every one of 1,000 seeded tamperings is found, by someone who dropped the triggers, knows how
// hashes are made, and writes the whole database but not the anchor. The ledger that nobody
// touched holds, before and after.
//
// Covers: T76
func TestVerifyFindsEveryTampering(t *testing.T) {
	t.Parallel()
	const rows, tamperings = 30, 1000
	db, dir := anchored(t, rows)
	if r := verifyWith(t, db, dir); r.Flaw != nil || r.Rows != rows || r.Anchored != rows || r.Since != 0 {
		t.Fatalf("untouched: %+v", r)
	}
	names := slices.Sorted(maps.Keys(ways))
	found := map[audit.Kind]int{}
	undo := errors.New("undo")
	for i := range tamperings {
		name := names[i%len(names)]
		x := tamperer{ctx: t.Context(), rnd: rand.New(rand.NewPCG(4, uint64(i))), n: rows}
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			x.tx = tx
			for _, trigger := range []string{"audit_no_update", "audit_no_delete", "audit_no_replace", "audit_head_no_delete"} {
				x.exec(`drop trigger ` + trigger)
			}
			before := x.dump()
			for ways[name](x); x.dump() == before; {
				ways[name](x)
			}
			r, err := audit.Verify(t.Context(), tx, dir)
			if err != nil {
				t.Errorf("tampering %d, %s: %v", i, name, err)
			} else if r.Flaw == nil {
				t.Errorf("tampering %d, %s: not found", i, name)
			} else {
				found[r.Flaw.Kind]++
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
	}
	t.Logf("found: %v", found)
	if r := verifyWith(t, db, dir); r.Flaw != nil || r.Rows != rows {
		t.Errorf("untouched, afterwards: %+v", r)
	}
}

// dump is everything that there is to tamper with.
func (x tamperer) dump() string {
	return x.text(`select group_concat(seq || ':' || typeof(version) || version || quote(at) || quote(actor) || quote(action) || quote(outcome) || quote(origin)
		|| quote(subject) || quote(prev) || quote(hash), ';') from (select * from audit order by seq)`) +
		x.text(`select coalesce(max(quote(seq) || quote(hash)), '') from audit_head`)
}
