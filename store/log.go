package store

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"
)

// Log is all rows of one stream: events, usage, roll-ups. Rows are plain structs without [Meta]; the
// fields are strings, integers, booleans, times and []byte. A row is found by its key, the columns by
// which the log is clustered, and never changes but by [Log.Add].
//
// A string field with the tag `store:"word"` is kept as a number out of a dictionary: for what comes
// back often, such as the type of an event or the id of an organization. Words are compared for
// equality only.
//
// An int64 field with the tag `store:"serial"` is the whole key: the database numbers the rows in the order in
// which they are appended, whatever the field says. A number is of no use when its row is gone: it may come
// again.
//
// A Log holds no data: the same Log serves every store, and its methods are safe for concurrent use
// (a [Tx] is not).
type Log[T any] struct{ kind *Kind }

// DefineLog declares a log: its table name, its clustering key, which is unique, and its indexes. It
// is called once per log, in a package variable. A declaration that cannot work panics.
func DefineLog[T any](name string, key []string, indexes ...Key) Log[T] {
	return Log[T]{newLogKind(reflect.TypeFor[T](), name, key, indexes)}
}

// Kind describes the rows to drivers and migrations.
func (l Log[T]) Kind() *Kind { return l.kind }

// MaxAppend is the most rows of one call of [Log.AppendMany] or [Log.Add].
const MaxAppend = 10_000

// Append keeps one new row. A row with the same key is a *[UniqueError].
func (l Log[T]) Append(ctx context.Context, tx *Tx, row T) error {
	fresh, err := l.AppendMany(ctx, tx, []T{row})
	if err == nil && !fresh[0] {
		return tx.doom(&UniqueError{Kind: l.kind.Name, Columns: l.kind.Key})
	}
	return err
}

// AppendMany keeps rows and says of each whether it was new: one whose key was there already, from an
// earlier row of the same call too, is skipped. More than [MaxAppend] rows panic.
func (l Log[T]) AppendMany(ctx context.Context, tx *Tx, rows []T) ([]bool, error) {
	if err := l.writable(tx, rows); err != nil || len(rows) == 0 {
		return nil, err
	}
	fresh, err := tx.driver.Append(ctx, l.kind, rows)
	return fresh, tx.doom(err)
}

// Queue keeps new rows with the commit of the unit: on a database server they cost no round trip of their own.
// Until then the unit itself does not see them, and the caller leaves the bytes in them as they are. One whose key is
// there already fails the unit. Rows of a serial log are numbered at the commit, so that of units that waited for each
// other's locks those of the later one have the higher numbers.
func (l Log[T]) Queue(ctx context.Context, tx *Tx, rows ...T) error {
	if err := l.writable(tx, rows); err != nil || len(rows) == 0 {
		return err
	}
	return tx.doom(tx.driver.Queue(ctx, l.kind, rows))
}

// Add adds the integer columns outside of the key to those of the row with the same key, or keeps the
// row when there is none; its other columns stay those of the first. Rows of equal keys in one call
// add up. More than [MaxAppend] rows panic.
func (l Log[T]) Add(ctx context.Context, tx *Tx, rows []T) error {
	if err := l.writable(tx, rows); err != nil || len(rows) == 0 {
		return err
	}
	return tx.doom(tx.driver.Add(ctx, l.kind, rows))
}

func (l Log[T]) writable(tx *Tx, rows []T) error {
	if len(rows) > MaxAppend {
		panic(fmt.Sprintf("store: %d rows for %s at once", len(rows), l.kind.Name))
	}
	return tx.write()
}

// Range is a run of rows: those that agree in the first columns of the key, or of an index, and lie
// between two values of the next one.
type Range struct {
	By    []string // the columns of a declared index; nil is the key
	Equal []any    // values of its first columns
	From  any      // of the column behind those: at or above; nil is open
	Below any      // strictly below; nil is open
	Desc  bool     // from the end
	After []any    // the [Log.Position] of the row before, nil for the first
	Limit int      // 0 is MaxLimit
	Bare  bool     // only the columns of By and of the key are read, which an index has; the others are zero
	// Sum is a column of the key behind the Equal ones: of the rows that are alike in it, within the range, one comes back with
	// what [Log.Add] would have added up, ordered by that column. Of its key it has that column and the Equal ones; all else is
	// zero. It goes with neither By nor Desc nor Bare.
	Sum string
}

// Span is a [Range] as a driver sees it: checked, values in the form of [Compare].
type Span struct {
	Order []string // the columns by which rows are ordered, all of them: their values are unique
	Equal []any    // of the first columns of Order
	From  any      // of the next column
	Below any
	Desc  bool
	After []any // nil, or the values of the columns of Order behind the Equal ones
	Limit int
	Bare  bool   // only the columns of Order are read
	Sum   string // the column of Order by which rows are added up, "" for each as it is; After is of it alone
}

// Read is spans of one log that are to be read, see [Tx.ReadAll]. They differ in their values only.
type Read struct {
	Kind  *Kind
	Spans []Span
	Into  func(i int) any // the slice of the rows of each, a *[]T
}

func (k *Kind) span(r Range) Span {
	order := k.Key
	if r.By != nil {
		if !slices.ContainsFunc(k.Indexes, func(ix []string) bool { return slices.Equal(ix, r.By) }) {
			panic(fmt.Sprintf("store: %s has no index %v", k.Name, r.By))
		}
		order = slices.Clone(r.By)
		for _, c := range k.Key {
			if !slices.Contains(order, c) {
				order = append(order, c)
			}
		}
	}
	if len(r.Equal) > len(order) || (r.From != nil || r.Below != nil) && len(r.Equal) == len(order) {
		panic(fmt.Sprintf("store: a range of %s has more values than columns", k.Name))
	}
	if r.Sum != "" && (r.By != nil || r.Desc || r.Bare || slices.Index(order, r.Sum) < len(r.Equal)) {
		panic(fmt.Sprintf("store: %s cannot be added up by %s like that", k.Name, r.Sum))
	}
	s := Span{Order: order, Desc: r.Desc, Limit: r.Limit, Bare: r.Bare, Sum: r.Sum, From: Normalize(r.From), Below: Normalize(r.Below), After: r.After}
	for _, v := range r.Equal {
		s.Equal = append(s.Equal, Normalize(v))
	}
	if s.Limit <= 0 || s.Limit > MaxAppend {
		s.Limit = MaxLimit
	}
	if s.After != nil && len(s.After) != len(s.Behind()) {
		panic(fmt.Sprintf("store: the position is of another range of %s", k.Name))
	}
	for i, name := range order[len(s.Equal):] {
		if c, _ := k.Column(name); c.Word && (i > 0 || s.Sum != "" || s.From != nil || s.Below != nil || s.After != nil) {
			panic(fmt.Sprintf("store: %s.%s is a word, which has no order", k.Name, name))
		}
	}
	return s.tight()
}

// Behind are the columns by which its rows are ordered behind the Equal ones, which a position has.
func (s Span) Behind() []string {
	if s.Sum != "" {
		return []string{s.Sum}
	}
	return s.Order[len(s.Equal):]
}

// tight is the span without the bound that its position is behind anyway. A database that is given both may walk from the
// bound each time, so that many pages take as long as their number squared.
func (s Span) tight() Span {
	switch {
	case s.After == nil || s.Sum != "":
	case !s.Desc && s.From != nil && Compare(s.After[0], inMicroseconds(s.From)) >= 0:
		s.From = nil
	case s.Desc && s.Below != nil && Compare(s.After[0], inMicroseconds(s.Below)) < 0:
		s.Below = nil
	}
	return s
}

// inMicroseconds is a value as logs keep it.
func inMicroseconds(v any) any {
	if at, is := v.(time.Time); is {
		return at.Truncate(time.Microsecond)
	}
	return v
}

// Scan returns the rows of a range, at most its Limit.
func (l Log[T]) Scan(ctx context.Context, tx *Tx, r Range) (rows []T, err error) {
	if err := tx.usable(false); err != nil {
		return nil, err
	}
	return rows, tx.note(tx.driver.Scan(ctx, l.kind, l.kind.span(r), &rows))
}

// ScanEach returns the rows of each of several ranges, in one round trip. They are of one shape: the same By,
// Desc, Limit, Bare and Sum, as many Equal values, From and Below each in all or in none, and no After.
func (l Log[T]) ScanEach(ctx context.Context, tx *Tx, ranges []Range) (each [][]T, err error) {
	return each, tx.ReadAll(ctx, l.Read(&each, ranges...))
}

// Read is the ScanEach that [Tx.ReadAll] does beside others: the rows of each range are in each then.
func (l Log[T]) Read(each *[][]T, ranges ...Range) Read {
	*each = make([][]T, len(ranges))
	return l.ReadInto(*each, ranges...)
}

// ReadInto is Read into what the caller has room in: the rows of each range are appended to what stands at its place.
func (l Log[T]) ReadInto(each [][]T, ranges ...Range) Read {
	spans := make([]Span, len(ranges))
	for i, r := range ranges {
		spans[i] = l.kind.span(r)
		if s, first := spans[i], spans[0]; s.After != nil || !slices.Equal(s.Order, first.Order) || s.Desc != first.Desc || s.Limit != first.Limit || s.Bare != first.Bare || s.Sum != first.Sum ||
			len(s.Equal) != len(first.Equal) || (s.From == nil) != (first.From == nil) || (s.Below == nil) != (first.Below == nil) {
			panic("store: ranges of several shapes of " + l.kind.Name)
		}
	}
	return Read{l.kind, spans, func(i int) any { return &each[i] }}
}

// ReadAll reads of several logs at once: on a database server in one round trip.
func (tx *Tx) ReadAll(ctx context.Context, reads ...Read) error {
	if err := tx.usable(false); err != nil {
		return err
	}
	reads = slices.DeleteFunc(reads, func(r Read) bool { return len(r.Spans) == 0 })
	if len(reads) == 0 {
		return nil
	}
	return tx.note(tx.driver.ReadAll(ctx, reads))
}

// Position returns the Range.After that goes on behind the row.
func (l Log[T]) Position(r Range, row *T) []any {
	r.After = nil
	s := l.kind.span(r)
	var at []any
	for _, c := range s.Behind() {
		at = append(at, l.kind.Value(row, c))
	}
	return at
}

// List returns a page of those rows of a range that keep says yes to, nil for all of them. after is the
// Next of the page before, "" for the first; a cursor of another range is a *[FieldError] on "after".
func (l Log[T]) List(ctx context.Context, tx *Tx, r Range, after string, keep func(*T) bool) (page Page[T], err error) {
	limit := r.Limit
	if limit <= 0 || limit > MaxLimit {
		limit = MaxLimit
	}
	about := []any{r.By, r.Equal, Normalize(r.From), Normalize(r.Below), r.Desc}
	if r.Sum != "" {
		about = append(about, r.Sum)
	}
	s := l.kind.span(r)
	if after != "" {
		if r.After, err = l.kind.openCursor(about, s.Behind(), after); err != nil {
			return page, err
		}
	}
	r.Limit = limit + 1 // one more shows whether there is a page behind this one
	for {
		rows, err := l.Scan(ctx, tx, r)
		if err != nil {
			return Page[T]{}, err
		}
		for i := range rows {
			if keep != nil && !keep(&rows[i]) {
				continue
			}
			if len(page.Items) == limit {
				page.Next = l.kind.closeCursor(about, s.Behind(), &page.Items[limit-1])
				return page, nil
			}
			page.Items = append(page.Items, rows[i])
		}
		if len(rows) < r.Limit {
			return page, nil
		}
		r.After, r.Limit = l.Position(r, &rows[len(rows)-1]), MaxLimit
	}
}

// All walks a range, page by page; Limit is ignored. The error, if any, comes last.
func (l Log[T]) All(ctx context.Context, tx *Tx, r Range) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		r.Limit = MaxLimit
		for {
			rows, err := l.Scan(ctx, tx, r)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if len(rows) < r.Limit {
				return
			}
			r.After = l.Position(r, &rows[len(rows)-1])
		}
	}
}

// Prune deletes the first rows of a range of the key, at most its Limit, and says how many. Whoever
// prunes much does it in several units, so that writers are not kept waiting.
func (l Log[T]) Prune(ctx context.Context, tx *Tx, r Range) (int, error) {
	if err := tx.write(); err != nil {
		return 0, err
	}
	n, err := tx.driver.Prune(ctx, l.kind, l.keySpan(r))
	return n, tx.doom(err)
}

// Claim takes the first rows of a range of the key out of the log, at most its Limit, and returns
// them in order: work to do. Rows that another unit has claimed and not yet decided on are skipped.
// When the unit fails, the rows are there again.
func (l Log[T]) Claim(ctx context.Context, tx *Tx, r Range) (rows []T, err error) {
	if err := tx.write(); err != nil {
		return nil, err
	}
	return rows, tx.doom(tx.driver.Claim(ctx, l.kind, l.keySpan(r), &rows))
}

func (l Log[T]) keySpan(r Range) Span {
	if r.By != nil {
		panic(fmt.Sprintf("store: rows of %s are taken by the key only", l.kind.Name))
	}
	return l.kind.span(r)
}
