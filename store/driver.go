package store

import "context"

// Driver is what a database has to be able to do for a [Store]. It is small so that a host can
// bring its own; package storetest holds it to the contract, sentence by sentence. A driver knows
// nothing of organizations.
//
// Begin opens a transaction. A writable one is READ COMMITTED or stronger, and what it reads with
// lock is not changed by others until it ends; another one is a snapshot: it sees one state of
// all records, not older than its beginning and fixed by its first read at the latest, whatever is
// committed meanwhile. Begin and every method answer with the errors of
// this package, and mark with [ErrTransient] what may pass on a second run of the whole unit.
type Driver interface {
	Begin(ctx context.Context, writable bool) (DriverTx, error)
	Close() error
}

// DriverTx is one transaction. It is used by one goroutine at a time. Records come and go as
// pointers to the struct of their kind; a driver keeps no reference to what it was given and
// hands out nothing that it keeps.
type DriverTx interface {
	// Get reads the record with that id into dst, or answers ErrNotFound. With lock nobody else
	// locks, updates or deletes it until this transaction ends.
	Get(ctx context.Context, k *Kind, id string, lock bool, dst any) error

	// Select appends the records of the selection, in its order, to the slice that dst (a *[]T)
	// points to.
	Select(ctx context.Context, k *Kind, s Selection, dst any) error

	// Count counts the records that meet all conditions.
	Count(ctx context.Context, k *Kind, where []Cond) (int, error)

	// Insert keeps a new record. Where a record with the same id or unique set is there, it
	// answers a *UniqueError, or, with skip, false and no error.
	Insert(ctx context.Context, k *Kind, rec any, skip bool) (bool, error)

	// Update replaces the record with the id and version-1 of rec by rec. ErrNotFound when no
	// record has the id, ErrConflict when its version is another one.
	Update(ctx context.Context, k *Kind, rec any) error

	// Put keeps records, a slice of pointers to the struct of the kind: those of version 1 are new, the others
	// are there, and locked by this transaction. ErrConflict when one has another version than the one before,
	// or is there though it should be new.
	Put(ctx context.Context, k *Kind, recs any) error

	// Delete removes the records with those ids, which differ, or answers ErrNotFound when one is not there.
	Delete(ctx context.Context, k *Kind, ids []string) error

	// Append keeps new rows of a log, a slice of its struct, and answers of each whether it was new:
	// one whose key is there already, also from an earlier row of the slice, is skipped. The database numbers
	// the rows of a serial log, all of which are new.
	Append(ctx context.Context, k *Kind, rows any) ([]bool, error)

	// Queue keeps new rows of a log at the latest when the transaction is committed. A key that is there is a
	// *UniqueError, at the latest of Commit.
	Queue(ctx context.Context, k *Kind, rows any) error

	// Add adds the k.Sums() of rows to those of the rows with the same keys, or keeps the rows where
	// there are none.
	Add(ctx context.Context, k *Kind, rows any) error

	// Scan appends the rows of the span, in its order, to the slice that dst (a *[]T) points to.
	Scan(ctx context.Context, k *Kind, s Span, dst any) error

	// ReadAll is Scan of all spans of several reads.
	ReadAll(ctx context.Context, reads []Read) error

	// Prune deletes the first rows of a span of the key, at most its limit, and says how many.
	Prune(ctx context.Context, k *Kind, s Span) (int, error)

	// Claim is Scan and Prune of the same rows; those that another transaction has claimed and not
	// yet decided on are skipped without waiting, where several can write at all.
	Claim(ctx context.Context, k *Kind, s Span, dst any) error

	// Commit makes all writes visible at once and, where the database has a disk, durable. After
	// an error nothing may be assumed but that either all or none of the writes are there.
	Commit(ctx context.Context) error

	// Rollback ends the transaction without its writes. After Commit it does nothing.
	Rollback() error
}
