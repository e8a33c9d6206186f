package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/store"
)

// What a connection keeps of its statements is seen in nothing but the time.
func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tollgate.db")
	db, err := store.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	pool := db.Pool()
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := pool.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	const add, all = `insert into things (id, name) values (?, ?)`, `select * from things where id < ? order by id`
	do(`create table things (id integer primary key, name text not null)`)
	for i := range 3 {
		do(add, i, fmt.Sprint("thing ", i))
	}

	t.Run("a question within the same", func(t *testing.T) {
		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		got := ""
		for range 2 {
			outer, err := tx.QueryContext(t.Context(), all, 3)
			if err != nil {
				t.Fatal(err)
			}
			for outer.Next() {
				var id int
				var name string
				if err := outer.Scan(&id, &name); err != nil {
					t.Fatal(err)
				}
				n := 0
				inner, err := tx.QueryContext(t.Context(), all, id)
				if err != nil {
					t.Fatal(err)
				}
				for inner.Next() {
					n++
				}
				if err := errors.Join(inner.Err(), inner.Close()); err != nil {
					t.Fatal(err)
				}
				got += fmt.Sprintf("%s after %d; ", name, n)
			}
			if err := errors.Join(outer.Err(), outer.Close()); err != nil {
				t.Fatal(err)
			}
		}
		want := "thing 0 after 0; thing 1 after 1; thing 2 after 2; "
		if got != want+want {
			t.Errorf("got %q", got)
		}
	})
	t.Run("after an error", func(t *testing.T) {
		for range 2 {
			if _, err := pool.ExecContext(t.Context(), add, 0, "again"); err == nil {
				t.Fatal("a second row of the same key")
			}
		}
		do(add, 3, "thing 3")
	})
	t.Run("after being called off", func(t *testing.T) {
		endless := `with recursive n (i) as (select 1 union all select i + 1 from n) select i from n where i > ?`
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			rows, err := pool.QueryContext(ctx, endless, 5)
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			cancel()
			for rows.Next() {
			}
			_ = rows.Close()
		}
		do(add, 4, "thing 4")
	})
	t.Run("another schema", func(t *testing.T) {
		do(`alter table things add column colour text not null default 'grey'`)
		rows, err := pool.QueryContext(t.Context(), all, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil || len(columns) != 3 {
			t.Errorf("columns %q, %v", columns, err)
		}
	})
	t.Run("more than can be kept", func(t *testing.T) {
		for i := range 1000 {
			var got int
			if err := pool.QueryRowContext(t.Context(), fmt.Sprintf(`select count(*) + %d from things`, i)).Scan(&got); err != nil || got != i+5 {
				t.Fatalf("%d, %v", got, err)
			}
		}
	})
	t.Run("nothing holds the table", func(t *testing.T) { do(`drop table things`) })
}
