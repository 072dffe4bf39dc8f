package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// MaxLimit is the most records that one page holds.
const MaxLimit = 1000

// Query says which records to list, in which order and from where on. There are no joins and no
// OR: what needs more filters in Go over a stream that is bounded by the organization.
type Query struct {
	Where []Cond
	Order []Order // records that agree in all of it follow in the order of their ids
	Limit int     // of a page; 0 is MaxLimit
	After string  // the Next of the page before, "" for the first
}

// Cond is a condition on one column; see [Eq], [In], [From] and [Below].
type Cond struct {
	Column string
	Op     Op
	Values []any
}

// Op is the test of a [Cond].
type Op int

// The tests that drivers know.
const (
	OpEq    Op = iota // equal; a nil value means null
	OpIn              // equal to one of the values; none matches nothing
	OpFrom            // at or above
	OpBelow           // strictly below
)

// Eq matches records whose column equals v; nil matches null.
func Eq(column string, v any) Cond { return Cond{column, OpEq, []any{Normalize(v)}} }

// In matches records whose column equals one of the values. An empty list matches nothing.
func In[V any](column string, values []V) Cond {
	vs := make([]any, len(values))
	for i, v := range values {
		vs[i] = Normalize(v)
	}
	return Cond{column, OpIn, vs}
}

// From matches records whose column is at or above v.
func From(column string, v any) Cond { return Cond{column, OpFrom, []any{Normalize(v)}} }

// Below matches records whose column is strictly below v.
func Below(column string, v any) Cond { return Cond{column, OpBelow, []any{Normalize(v)}} }

// Order is one column to sort by. Columns that may be null cannot be sorted by.
type Order struct {
	Column string
	Desc   bool
}

// Asc sorts upwards.
func Asc(column string) Order { return Order{Column: column} }

// Desc sorts downwards.
func Desc(column string) Order { return Order{Column: column, Desc: true} }

// Page is a part of a list. Next is the cursor of the page behind it, "" at the end.
type Page[T any] struct {
	Items []T
	Next  string
}

// Selection is a [Query] as a driver sees it: checked, with the id as the last order column and
// the cursor opened.
type Selection struct {
	Where []Cond
	Order []Order
	After []any // nil, or one value per order column: only records strictly behind them
	Limit int   // 0: no limit
	Lock  bool  // nobody else locks, updates or deletes them until this transaction ends
}

func (k *Kind) selection(q Query) (Selection, error) {
	s := Selection{Where: q.Where, Limit: q.Limit}
	if s.Limit <= 0 || s.Limit > MaxLimit {
		s.Limit = MaxLimit
	}
	for _, c := range q.Where {
		k.queryable(c.Column)
	}
	desc := false
	for _, o := range q.Order {
		if k.queryable(o.Column).Nullable {
			panic(fmt.Sprintf("store: %s.%s may be null and cannot be sorted by", k.Name, o.Column))
		}
		s.Order = append(s.Order, o)
		desc = o.Desc
	}
	s.Order = append(s.Order, Order{Column: "id", Desc: desc})
	if q.After != "" {
		after, err := k.openCursor(q.about(), columns(s.Order), q.After)
		if err != nil {
			return s, err
		}
		s.After = after
	}
	return s, nil
}

func (q Query) about() []any { return []any{q.Where, q.Order} }

func columns(order []Order) []string {
	names := make([]string, len(order))
	for i, o := range order {
		names[i] = o.Column
	}
	return names
}

// A cursor holds the order values of the last record of its page and a fingerprint of the query,
// so that it cannot be used with another filter, order or tenant (the tenant is a condition).
type cursor struct {
	Query  []byte `json:"q"`
	Values []any  `json:"v"`
}

func (k *Kind) fingerprint(about []any) []byte {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode([]any{k.Name, about}) // plain values into a hash
	return h.Sum(nil)[:8]
}

// closeCursor makes a cursor that goes on behind rec in the order of the columns. about is all that makes
// the list another one.
func (k *Kind) closeCursor(about []any, columns []string, rec any) string {
	c := cursor{Query: k.fingerprint(about)}
	for _, column := range columns {
		v := k.Value(rec, column)
		if t, ok := v.(time.Time); ok {
			v = t.UnixMicro()
		}
		c.Values = append(c.Values, v)
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings, integers and booleans only
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (k *Kind) openCursor(about []any, columns []string, text string) ([]any, error) {
	bad := Invalid("after", "cursor", "is not a cursor of this list")
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, bad
	}
	var c cursor
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if dec.Decode(&c) != nil || dec.InputOffset() != int64(len(b)) {
		return nil, bad
	}
	if !bytes.Equal(c.Query, k.fingerprint(about)) || len(c.Values) != len(columns) {
		return nil, bad
	}
	for i, column := range columns {
		v, ok := cursorValue(k.queryable(column).Class, c.Values[i])
		if !ok {
			return nil, bad
		}
		c.Values[i] = v
	}
	return c.Values, nil
}

func cursorValue(class Class, v any) (any, bool) {
	switch class {
	case Text:
		s, ok := v.(string)
		return s, ok
	case Bool:
		b, ok := v.(bool)
		return b, ok
	}
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	i, err := n.Int64()
	if err != nil {
		return nil, false
	}
	if class == Time {
		return time.UnixMicro(i).UTC(), true
	}
	return i, true
}
