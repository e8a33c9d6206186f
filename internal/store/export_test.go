package store

import (
	"context"
	"database/sql"
)

// Migrate is what Open does with a pool, for tests that look over its shoulder.
func Migrate(ctx context.Context, pool *sql.DB) error { return migrate(ctx, pool) }

// MigrateTo leaves a database as an older version of the program did.
func MigrateTo(ctx context.Context, pool *sql.DB, version int64) error {
	p, err := provider(pool)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// Versions are those of the schema, ascending.
func Versions(pool *sql.DB) (out []int64, err error) {
	p, err := provider(pool)
	if err != nil {
		return nil, err
	}
	for v := int64(1); v <= newest(p); v++ {
		for _, s := range p.ListSources() {
			if s.Version == v {
				out = append(out, v)
			}
		}
	}
	return out, nil
}
