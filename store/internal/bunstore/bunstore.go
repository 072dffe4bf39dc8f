// Package bunstore is the SQL driver that packages sqlite and postgres share.
//
// bun maps records to columns without tags, by the rule that store.Kind follows too, and writes the
// SQL of each dialect. What differs between the databases beyond that is in a [Dialect].
package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/uptrace/bun"

	"github.com/orgkit/orgkit/store"
)

// Dialect is what a database does in its own way.
type Dialect struct {
	// Writer and Reader are pools; they may be the same.
	Writer, Reader *bun.DB
	// WriteOptions and ReadOptions begin transactions.
	WriteOptions, ReadOptions *sql.TxOptions
	// Lock, when it is set, lets one writer in at a time.
	Lock *store.WriterLock
	// Direct says that connections run what is a [Direct] and take [Cells], and write values as SQLite does.
	Direct bool
	// RowLocks says that SELECT ... FOR UPDATE exists.
	RowLocks bool
	// Logs is how the database keeps logs.
	Logs Logs
	// Feed carries words between processes.
	Feed interface {
		store.Feed
		Close()
	}
	// Error brings an error of the database into the form of package store.
	Error func(err error) error
}

// New returns a driver over the dialect's pools, which it closes.
func New(d Dialect) store.Driver { return &driver{Dialect: d} }

type driver struct {
	Dialect
	words   words
	gets    gets
	writes  writes
	heads   heads
	layouts layouts
}

func (d *driver) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	db, o := d.Reader, d.ReadOptions
	if writable {
		db, o = d.Writer, d.WriteOptions
		if d.Lock != nil {
			if err := d.Lock.Lock(ctx); err != nil {
				return nil, err
			}
		}
	}
	t := &tx{driver: d, locked: writable && d.Lock != nil, reader: !writable}
	if writable && d.Logs.Queues {
		t.queue = new(Queue)
		ctx = context.WithValue(ctx, queueKey{}, t.queue)
	}
	var err error
	if t.sql, err = db.BeginTx(ctx, o); err != nil {
		t.unlock()
		return nil, d.Error(err)
	}
	return t, nil
}

// Sequential says that one unit writes at a time, in all processes.
func (d *driver) Sequential() bool { return d.Lock != nil }

func (d *driver) Publish(words []string)               { d.Feed.Publish(words) }
func (d *driver) Subscribe(deliver func(store.Notice)) { d.Feed.Subscribe(deliver) }

func (d *driver) Close() error {
	d.Feed.Close()
	err := d.Writer.Close()
	if d.Reader != d.Writer {
		err = errors.Join(err, d.Reader.Close())
	}
	return err
}

type tx struct {
	*driver
	sql    bun.Tx
	locked bool
	reader bool
	fresh  map[string]int64 // words that this transaction has read or added
	queue  *Queue
}

func (t *tx) unlock() {
	if t.locked {
		t.locked = false
		t.Lock.Unlock()
	}
}

func (t *tx) Insert(ctx context.Context, k *store.Kind, rec any, skip bool) (bool, error) {
	how := insert
	if skip {
		how = insertNew
	}
	res, kept, err := t.write(ctx, k, how, one(rec))
	if !kept {
		q := t.sql.NewInsert().Model(rec).ModelTableExpr("?", bun.Ident(k.Name))
		if skip {
			q = q.On("CONFLICT DO NOTHING")
		}
		res, err = q.Exec(ctx)
	}
	if err != nil {
		return false, t.unique(k, err)
	}
	n, err := res.RowsAffected()
	return n == 1, t.Error(err)
}

func (t *tx) Update(ctx context.Context, k *store.Kind, rec any) error {
	m := k.Meta(rec)
	res, kept, err := t.write(ctx, k, update, one(rec), m.ID, m.Version-1)
	if !kept {
		res, err = t.sql.NewUpdate().Model(rec).ModelTableExpr("? AS ?TableAlias", bun.Ident(k.Name)).
			Where("?TableAlias.id = ?", m.ID).Where("?TableAlias.version = ?", m.Version-1).Exec(ctx)
	}
	if err != nil {
		return t.unique(k, err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 1 {
		return t.Error(err)
	}
	known, err := t.Count(ctx, k, []store.Cond{store.Eq("id", m.ID)})
	if err != nil {
		return err
	}
	if known == 0 {
		return store.ErrNotFound
	}
	return store.ErrConflict
}

func (t *tx) Put(ctx context.Context, k *store.Kind, recs any) error {
	list := reflect.ValueOf(recs)
	res, kept, err := t.write(ctx, k, put, list)
	if !kept {
		res, err = t.putMany(ctx, k, list)
	}
	if err != nil {
		return t.unique(k, err)
	}
	n, err := res.RowsAffected()
	if err == nil && n != int64(list.Len()) {
		return store.ErrConflict
	}
	return t.Error(err)
}

func (t *tx) putMany(ctx context.Context, k *store.Kind, recs reflect.Value) (sql.Result, error) {
	list := reflect.New(recs.Type())
	list.Elem().Set(recs)
	q := t.sql.NewInsert().Model(list.Interface()).ModelTableExpr("? AS ?TableAlias", bun.Ident(k.Name)).On("CONFLICT (id) DO UPDATE")
	for _, c := range k.Columns {
		if c.Name != "id" {
			q = q.Set("? = EXCLUDED.?", bun.Ident(c.Name), bun.Ident(c.Name))
		}
	}
	return q.Where("?TableAlias.version = EXCLUDED.version - 1").Returning("NULL").Exec(ctx)
}

// one is a list of one record.
func one(rec any) reflect.Value { return reflect.ValueOf([]any{rec}) }

func (t *tx) Delete(ctx context.Context, k *store.Kind, ids []string) error {
	res, err := t.sql.NewDelete().TableExpr("?", bun.Ident(k.Name)).Where("id IN (?)", bun.List(ids)).Exec(ctx)
	if err != nil {
		return t.Error(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == int64(len(ids)) {
		return t.Error(err)
	}
	return store.ErrNotFound
}

func (t *tx) Commit(context.Context) error {
	defer t.unlock()
	if err := t.sql.Commit(); err != nil {
		return t.queueError(err)
	}
	t.words.learn(t.fresh)
	return nil
}

func (t *tx) Rollback() error {
	defer t.unlock()
	if t.reader {
		t.words.learn(t.fresh) // it saw only what is committed
		t.fresh = nil
	}
	if err := t.sql.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return t.Error(err)
	}
	return nil
}

// unique completes a UniqueError by the kind's own name and sets.
func (t *tx) unique(k *store.Kind, err error) error {
	err = t.Error(err)
	var u *store.UniqueError
	if !errors.As(err, &u) {
		return err
	}
	if len(u.Columns) == 1 { // the name of an index, or a column
		for _, set := range append(k.Unique, []string{"id"}) {
			if name := u.Columns[0]; name == IndexName(k.Name, set) || name == k.Name+"_pkey" && set[0] == "id" {
				return &store.UniqueError{Kind: k.Name, Columns: set}
			}
		}
	}
	return &store.UniqueError{Kind: k.Name, Columns: u.Columns}
}

// IndexName is the name of the index of a unique set.
func IndexName(table string, columns []string) string {
	return fmt.Sprintf("%s_%s_key", table, strings.Join(columns, "_"))
}
