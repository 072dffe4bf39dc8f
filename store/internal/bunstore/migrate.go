package bunstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/orgkit/orgkit/store"
)

var fileForm = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

type migration struct {
	version int
	name    string
	text    string
}

// file identifies the migration by its name and text: a database that was made by an unreleased state of
// it is told apart from one that only looks the same.
func (m migration) file() string {
	return fmt.Sprintf("%s sha256:%x", m.name, sha256.Sum256([]byte(m.text)))
}

// Own is the set name of this library's migrations; hosts' sets have other names.
const Own = "orgkit"

// Migrate brings the schema of each set up to its files, all in one transaction: after a failure, or
// the end of the process in the middle, nothing has changed. lock is a statement that keeps others
// from doing the same meanwhile, "" where a transaction does. With checkOnly nothing is applied and
// what is missing is store.ErrSchema.
func Migrate(ctx context.Context, db *bun.DB, lock string, checkOnly bool, sets map[string]fs.FS) error {
	return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if lock != "" {
			if _, err := tx.ExecContext(ctx, lock); err != nil {
				return err
			}
		}
		if !checkOnly {
			if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS orgkit_migrations (
				name TEXT NOT NULL, version INTEGER NOT NULL, file TEXT NOT NULL, PRIMARY KEY (name, version))`); err != nil {
				return err
			}
		}
		names := make([]string, 0, len(sets))
		for name := range sets {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if err := migrateSet(ctx, tx, name, sets[name], checkOnly); err != nil {
				return err
			}
		}
		return nil
	})
}

func migrateSet(ctx context.Context, tx bun.Tx, name string, files fs.FS, checkOnly bool) error {
	migrations, err := read(files)
	if err != nil {
		return err
	}
	var applied []string
	err = tx.NewSelect().TableExpr("orgkit_migrations").Column("file").Where("name = ?", name).Order("version").Scan(ctx, &applied)
	if err != nil {
		return err
	}
	if len(applied) > len(migrations) {
		return fmt.Errorf("%w: %s schema %d, this program knows %d", store.ErrSchema, name, len(applied), len(migrations))
	}
	for i, m := range migrations {
		if i < len(applied) {
			if applied[i] != m.file() {
				return fmt.Errorf("%w: %s schema %d was made by another text of %s", store.ErrSchema, name, m.version, m.name)
			}
			continue
		}
		if checkOnly {
			return fmt.Errorf("%w: %s schema %d is missing", store.ErrSchema, name, m.version)
		}
		if _, err := tx.ExecContext(ctx, m.text); err != nil {
			return fmt.Errorf("migration %s %s: %w", name, m.name, err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO orgkit_migrations (name, version, file) VALUES (?, ?, ?)", name, m.version, m.file()); err != nil {
			return err
		}
	}
	return nil
}

func read(files fs.FS) ([]migration, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	var out []migration
	for _, e := range entries {
		m := fileForm.FindStringSubmatch(e.Name())
		if m == nil {
			return nil, fmt.Errorf("migration %q is not named NNNN_name.sql", e.Name())
		}
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, err
		}
		version, _ := strconv.Atoi(m[1]) // four digits
		if version != len(out)+1 {
			return nil, fmt.Errorf("migration %q is out of order", e.Name())
		}
		out = append(out, migration{version, e.Name(), string(text)})
	}
	return out, nil
}

// Drift compares the schema of the database with what the kinds need and says each difference.
// columns returns, for a table, its columns as "name class null|not null"; indexes the names of its
// indexes.
func Drift(kinds []*store.Kind, columns func(table string) (map[string]string, error), indexes func(table string) ([]string, error), typeOf func(*store.Kind, store.Column) string) ([]string, error) {
	var found []string
	var errs []error
	for _, k := range kinds {
		have, err := columns(k.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(have) == 0 {
			found = append(found, "table "+k.Name+" is missing")
			continue
		}
		for _, c := range k.Columns {
			want := typeOf(k, c) + " not null"
			if c.Nullable {
				want = typeOf(k, c)
			}
			switch is, ok := have[c.Name]; {
			case !ok:
				found = append(found, fmt.Sprintf("column %s.%s is missing", k.Name, c.Name))
			case is != want:
				found = append(found, fmt.Sprintf("column %s.%s is %q, not %q", k.Name, c.Name, is, want))
			}
			delete(have, c.Name)
		}
		for name := range have {
			found = append(found, fmt.Sprintf("column %s.%s belongs to no field", k.Name, name))
		}
		names, err := indexes(k.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, want := range wantedIndexes(k) {
			if !slices.Contains(names, want) {
				found = append(found, "index "+want+" is missing")
			}
		}
	}
	slices.Sort(found)
	return found, errors.Join(errs...)
}

func wantedIndexes(k *store.Kind) []string {
	var names []string
	for _, u := range k.Unique {
		names = append(names, IndexName(k.Name, u))
	}
	for _, i := range k.Indexes {
		names = append(names, fmt.Sprintf("%s_%s_idx", k.Name, strings.Join(i, "_")))
	}
	return names
}
