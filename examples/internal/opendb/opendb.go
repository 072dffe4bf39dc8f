// Package opendb opens the store that an example was asked to use.
package opendb

import (
	"context"
	"errors"
	"strings"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

// Open opens memory:, sqlite:PATH or postgres://…
func Open(ctx context.Context, db string) (*store.Store, error) {
	path, isFile := strings.CutPrefix(db, "sqlite:")
	switch {
	case db == "memory:":
		return memory.New(nil), nil
	case isFile && path != "":
		return sqlite.Open(ctx, path, nil)
	case strings.HasPrefix(db, "postgres://"), strings.HasPrefix(db, "postgresql://"):
		return postgres.Open(ctx, db, nil)
	}
	return nil, errors.New("-db must be memory:, sqlite:PATH or postgres://…")
}
