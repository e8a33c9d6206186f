package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/tollgate/tollgate/internal/fault"
)

// migrate brings the schema up to date. Each step is a transaction of its own together with its
// version, so a process that dies leaves whole steps, and the next one goes on after them.
func migrate(ctx context.Context, pool *sql.DB) error {
	p, err := provider(pool)
	if err != nil {
		return err
	}
	have, err := known(ctx, p)
	for err == nil {
		if _, err = p.Up(ctx); err == nil {
			return nil
		}
		// Another program may have taken the same step at the same time. Then it is further now.
		before, failed := have, err
		if have, err = known(ctx, p); err == nil && have == before {
			return failed
		}
	}
	return err
}

func provider(pool *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, pool, dir)
}

// known is the version that the database has, unless it is newer than this program.
func known(ctx context.Context, p *goose.Provider) (int64, error) {
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return 0, err
	}
	if newest := newest(p); have > newest {
		return 0, fault.Wrap(fmt.Errorf("schema version %d is newer than %d, the newest that this program knows", have, newest),
			"A newer version of Tollgate has used this database.", "This one would not understand what it finds, and could apply something twice.",
			"Run the newer version, or restore the database from before the upgrade.")
	}
	return have, nil
}

// current refuses a database of any other version: who only reads cannot bring it up to date.
func current(ctx context.Context, p *goose.Provider) error {
	have, err := known(ctx, p)
	if err == nil && have < newest(p) {
		err = fault.Wrap(fmt.Errorf("schema version %d, expected %d", have, newest(p)), "The database is of an older version of Tollgate.", "",
			"Start the server once, which brings it up to date, or use the program that it was made by.")
	}
	return err
}

func newest(p *goose.Provider) int64 {
	out := int64(0)
	for _, s := range p.ListSources() { // by name, not by number
		out = max(out, s.Version)
	}
	return out
}
