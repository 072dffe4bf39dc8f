package store

import (
	"errors"
	"fmt"
	"strings"
)

// The record errors. Every driver answers with exactly these, so that no caller ever looks at
// the error of a database.
var (
	// ErrNotFound: no record has that id (or that unique set of values).
	ErrNotFound = errors.New("not found")
	// ErrExists: a record with the same id or the same unique set is there already.
	// The detail is a *[UniqueError].
	ErrExists = errors.New("already exists")
	// ErrConflict: the record was changed by somebody else since it was read.
	ErrConflict = errors.New("changed since it was read")
	// ErrInvalid: the input itself is wrong. The detail is a *[FieldError].
	ErrInvalid = errors.New("invalid")

	// ErrTransient marks a failure of the database that may pass when the whole unit is run
	// again: a deadlock, a serialization failure, a busy file. Drivers wrap it; [Store.Update]
	// and [Store.View] retry on it and on nothing else.
	ErrTransient = errors.New("transient database failure")
	// ErrUnreachable: the database does not answer, has gone while it was asked, or has no room: on its
	// disk, in its memory, for one more connection. Of a unit that was being committed it is not known
	// whether it is stored.
	ErrUnreachable = errors.New("the database cannot be reached")
	// ErrReadOnly: a write, or an Update, inside a View.
	ErrReadOnly = errors.New("read-only transaction")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrTxDone: a Tx was used after its unit had ended.
	ErrTxDone = errors.New("transaction has ended")
	// ErrSchema: the database was written by a newer version of this library, or its schema is
	// not the one that this version needs.
	ErrSchema = errors.New("database schema does not fit")
)

// FieldError says which field of an input is wrong and why. Message never repeats the value:
// it may be a secret.
type FieldError struct {
	Field   string // path of the field as its caller wrote it, such as "settings.budget.monthly_limit"
	Code    string // stable word for programs: required, pattern, enum, range, unknown, type, ...
	Message string // for a person
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Unwrap makes every FieldError an [ErrInvalid].
func (e *FieldError) Unwrap() error { return ErrInvalid }

// Warning is something about an input that was accepted and may surprise.
type Warning struct {
	Code    string `json:"code"` // stable word for programs
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Invalid returns a *[FieldError].
func Invalid(field, code, format string, args ...any) error {
	return &FieldError{Field: field, Code: code, Message: fmt.Sprintf(format, args...)}
}

// ConflictError says in a stable word what in the present state stands against a change, such as
// slug_taken or last_owner. It is an [ErrConflict] that no retry mends.
type ConflictError struct {
	Code    string
	Message string
	ID      string // the record in the way, where the caller may know it
}

func (e *ConflictError) Error() string { return e.Message }

// Unwrap makes every ConflictError an [ErrConflict].
func (e *ConflictError) Unwrap() error { return ErrConflict }

// UniqueError names the unique set that an insert or update ran into.
type UniqueError struct {
	Kind    string   // name of the kind (table)
	Columns []string // the unique set; ["id"] for the id itself; nil when the driver cannot tell
}

func (e *UniqueError) Error() string {
	return fmt.Sprintf("%s (%s) %v", e.Kind, strings.Join(e.Columns, ", "), ErrExists)
}

// Unwrap makes every UniqueError an [ErrExists].
func (e *UniqueError) Unwrap() error { return ErrExists }

// On says whether the unique set that was hit has this column.
func (e *UniqueError) On(column string) bool {
	for _, c := range e.Columns {
		if c == column {
			return true
		}
	}
	return false
}
