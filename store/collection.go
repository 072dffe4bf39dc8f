package store

import (
	"context"
	"iter"
	"reflect"
	"time"
)

// Meta is embedded first in every record. Its fields are written by the store alone.
type Meta struct {
	ID        string    `json:"id"`
	Version   int64     `json:"version"` // 1 after the insert, one more with each update
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func (m *Meta) meta() *Meta { return m }

// RecordVersion is the version of the record, for those who see no more of it than that it has one.
func (m Meta) RecordVersion() int64 { return m.Version }

// Record is met by a pointer to any struct that embeds [Meta].
type Record[T any] interface {
	*T
	meta() *Meta
}

// Collection is all records of one kind. It holds no data: the same Collection serves every
// store, and all its methods are safe for concurrent use (a [Tx] is not).
type Collection[T any, P Record[T]] struct{ kind *Kind }

// Define declares a kind of record: its table name, its id prefix and its keys. It is called once
// per kind, in a package variable. A declaration that cannot work panics.
func Define[T any, P Record[T]](name, prefix string, keys ...Key) Collection[T, P] {
	return Collection[T, P]{newKind(reflect.TypeFor[T](), name, prefix, keys)}
}

// Kind describes the records to drivers and migrations.
func (c Collection[T, P]) Kind() *Kind { return c.kind }

// Get returns the record with that id, or ErrNotFound.
func (c Collection[T, P]) Get(ctx context.Context, tx *Tx, id string) (T, error) {
	return c.get(ctx, tx, id, false)
}

// Lock is Get, and keeps others from locking, updating or deleting the record until the unit
// ends. It needs an Update.
func (c Collection[T, P]) Lock(ctx context.Context, tx *Tx, id string) (T, error) {
	return c.get(ctx, tx, id, true)
}

// LockMany is Lock of several records, in the order of their ids, so that units which lock some of the same
// never wait for each other in a ring. Ids that nobody has are left out, and so is what comes twice.
func (c Collection[T, P]) LockMany(ctx context.Context, tx *Tx, ids []string) (recs []T, err error) {
	if err := tx.usable(true); err != nil || len(ids) == 0 {
		return nil, err
	}
	s := Selection{Where: []Cond{In("id", ids)}, Order: []Order{{Column: "id"}}, Lock: true}
	return recs, tx.note(tx.driver.Select(ctx, c.kind, s, &recs))
}

func (c Collection[T, P]) get(ctx context.Context, tx *Tx, id string, lock bool) (rec T, err error) {
	if err := tx.usable(lock); err != nil {
		return rec, err
	}
	if id == "" {
		return rec, ErrNotFound
	}
	return rec, tx.note(tx.driver.Get(ctx, c.kind, id, lock, P(&rec)))
}

// Find returns the one record that meets the conditions of a unique set, or ErrNotFound.
func (c Collection[T, P]) Find(ctx context.Context, tx *Tx, where ...Cond) (rec T, err error) {
	page, err := c.List(ctx, tx, Query{Where: where, Limit: 1})
	if err != nil {
		return rec, err
	}
	if len(page.Items) == 0 {
		return rec, ErrNotFound
	}
	return page.Items[0], nil
}

// List returns a page of the records that the query names. A cursor that was not made by the same
// query is a *[FieldError] on "after".
func (c Collection[T, P]) List(ctx context.Context, tx *Tx, q Query) (page Page[T], err error) {
	if err := tx.usable(false); err != nil {
		return page, err
	}
	sel, err := c.kind.selection(q)
	if err != nil {
		return page, err
	}
	limit := sel.Limit
	sel.Limit++ // one more shows whether there is a page behind this one
	if err := tx.note(tx.driver.Select(ctx, c.kind, sel, &page.Items)); err != nil {
		return Page[T]{}, err
	}
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		page.Next = c.kind.closeCursor(q.about(), columns(sel.Order), P(&page.Items[limit-1]))
	}
	return page, nil
}

// Filter is List of those records that keep says yes to, for conditions that a Query cannot say. It reads
// as far as it takes to fill a page, so the query itself has to bound what that can be.
func (c Collection[T, P]) Filter(ctx context.Context, tx *Tx, q Query, keep func(P) bool) (page Page[T], err error) {
	limit := q.Limit
	if limit <= 0 || limit > MaxLimit {
		limit = MaxLimit
	}
	q.Limit = limit + 1 // where all pass, the next one says at once that there is another page
	for {
		rows, err := c.List(ctx, tx, q)
		if err != nil {
			return Page[T]{}, err
		}
		for i := range rows.Items {
			if !keep(&rows.Items[i]) {
				continue
			}
			if len(page.Items) == limit {
				page.Next = c.Cursor(q, &page.Items[limit-1])
				return page, nil
			}
			page.Items = append(page.Items, rows.Items[i])
		}
		if rows.Next == "" {
			return page, nil
		}
		q.After, q.Limit = rows.Next, MaxLimit // what passes is rare: read on in large steps
	}
}

// Cursor returns the Query.After that continues the query behind rec, for callers that stop in the
// middle of a page.
func (c Collection[T, P]) Cursor(q Query, rec P) string {
	sel, err := c.kind.selection(Query{Where: q.Where, Order: q.Order})
	if err != nil {
		panic(err) // without a cursor of its own a query is right or panics already
	}
	return c.kind.closeCursor(q.about(), columns(sel.Order), rec)
}

// All walks every record that the query names, page by page; Limit and After are ignored. The
// error, if any, comes last.
func (c Collection[T, P]) All(ctx context.Context, tx *Tx, q Query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q.Limit, q.After = MaxLimit, ""
		for {
			page, err := c.List(ctx, tx, q)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, rec := range page.Items {
				if !yield(rec, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.After = page.Next
		}
	}
}

// Count counts the records that meet all conditions.
func (c Collection[T, P]) Count(ctx context.Context, tx *Tx, where ...Cond) (int, error) {
	if err := tx.usable(false); err != nil {
		return 0, err
	}
	for _, w := range where {
		c.kind.queryable(w.Column)
	}
	n, err := tx.driver.Count(ctx, c.kind, where)
	return n, tx.note(err)
}

// Insert keeps a new record. It gives it an id unless it has one, version 1 and the time of the
// transaction. A record in the way is a *[UniqueError].
func (c Collection[T, P]) Insert(ctx context.Context, tx *Tx, rec P) error {
	_, err := c.insert(ctx, tx, rec, false)
	return err
}

// InsertNew is Insert, but where a record with the same id or unique set is there already it
// keeps nothing, answers false, and the unit goes on.
func (c Collection[T, P]) InsertNew(ctx context.Context, tx *Tx, rec P) (bool, error) {
	return c.insert(ctx, tx, rec, true)
}

// InsertMany inserts records as InsertNew does and says of each whether it was new.
func (c Collection[T, P]) InsertMany(ctx context.Context, tx *Tx, recs []P) ([]bool, error) {
	fresh := make([]bool, len(recs))
	for i, rec := range recs {
		var err error
		if fresh[i], err = c.insert(ctx, tx, rec, true); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

func (c Collection[T, P]) insert(ctx context.Context, tx *Tx, rec P, skip bool) (bool, error) {
	if err := tx.write(); err != nil {
		return false, err
	}
	m := rec.meta()
	if m.ID == "" {
		m.ID = tx.NewID(c.kind.Prefix)
	}
	m.Version, m.CreatedAt, m.UpdatedAt = 1, tx.Now(), tx.Now()
	fresh, err := tx.driver.Insert(ctx, c.kind, rec, skip)
	if fresh {
		tx.trace(c.kind, rec)
	}
	return fresh, tx.doom(err)
}

// Update replaces the record of the same id. It is a compare-and-swap: ErrConflict when the
// record was changed since rec was read. On success rec carries its new version and time.
func (c Collection[T, P]) Update(ctx context.Context, tx *Tx, rec P) error {
	if err := tx.write(); err != nil {
		return err
	}
	m := rec.meta()
	before := *m
	m.Version++
	m.UpdatedAt = tx.Now()
	if err := tx.driver.Update(ctx, c.kind, rec); err != nil {
		*m = before
		return tx.doom(err)
	}
	tx.trace(c.kind, rec)
	return nil
}

// Put keeps several records in one statement: those that the unit has locked replace what is there, those of
// version 0, whose ids the caller gives, are new. ErrConflict when somebody else has changed or made one meanwhile.
// On success they carry their new versions and times.
func (c Collection[T, P]) Put(ctx context.Context, tx *Tx, recs []P) error {
	if err := tx.write(); err != nil || len(recs) == 0 {
		return err
	}
	before := make([]Meta, len(recs))
	for i, rec := range recs {
		m := rec.meta()
		before[i] = *m
		if m.Version++; m.Version == 1 {
			m.CreatedAt = tx.Now()
		}
		m.UpdatedAt = tx.Now()
	}
	if err := tx.driver.Put(ctx, c.kind, recs); err != nil {
		for i, rec := range recs {
			*rec.meta() = before[i]
		}
		return tx.doom(err)
	}
	for _, rec := range recs {
		tx.trace(c.kind, rec)
	}
	return nil
}

// Delete removes the record with that id, or answers ErrNotFound.
func (c Collection[T, P]) Delete(ctx context.Context, tx *Tx, id string) error {
	return c.DeleteMany(ctx, tx, []string{id})
}

// DeleteMany removes several records, whose ids differ, in one statement. ErrNotFound when one is not there.
func (c Collection[T, P]) DeleteMany(ctx context.Context, tx *Tx, ids []string) error {
	if err := tx.write(); err != nil || len(ids) == 0 {
		return err
	}
	recs := make([]T, len(ids))
	for i, id := range ids {
		P(&recs[i]).meta().ID = id
		if c.kind.traced != "" && c.kind.traced != "id" {
			if err := tx.driver.Get(ctx, c.kind, id, true, P(&recs[i])); err != nil {
				return tx.doom(err)
			}
		}
	}
	if err := tx.driver.Delete(ctx, c.kind, ids); err != nil {
		return tx.doom(err)
	}
	for i := range recs {
		tx.trace(c.kind, P(&recs[i]))
	}
	return nil
}
