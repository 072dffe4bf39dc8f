// Package filter reads SCIM filters and the paths of patches (RFC 7644 §3.4.2.2, §3.5.2) and says which resources match.
//
// [Parse] makes a tree of a filter, [Bind] looks its names up in a resource type, and [Filter.Match] then answers for one
// resource. [Filter.Probes] says which equalities a resource has to meet at least, so that an index can find the few that
// may match; whether one does is always Match's to say.
//
// # Limits
//
// Texts are at most [MaxText] long and make at most [MaxNodes] nodes, nested at most [MaxDepth] deep: no filter can take
// more than its length of time to read or more than a small stack.
package filter

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Limits of what is read.
const (
	MaxText  = 16 << 10 // bytes of a filter
	MaxPath  = 1 << 10  // bytes of a path
	MaxNodes = 256
	MaxDepth = 32 // of parentheses, not and brackets
)

// Error says what is wrong with a filter or path, and where: At is the offset in bytes.
type Error struct {
	At      int
	Message string
	// Sensitive says that the filter is about what is never shown, and refused for that whatever it says.
	Sensitive bool
}

func (e *Error) Error() string { return fmt.Sprintf("at offset %d: %s", e.At, e.Message) }

// Op is an operator of a comparison.
type Op string

// The operators.
const (
	Eq Op = "eq"
	Ne Op = "ne"
	Co Op = "co"
	Sw Op = "sw"
	Ew Op = "ew"
	Gt Op = "gt"
	Ge Op = "ge"
	Lt Op = "lt"
	Le Op = "le"
	Pr Op = "pr"
)

// Path names an attribute. With a URN before it, Sub may have a dot: see schema.ResourceType.Find.
type Path struct {
	URN  string
	Attr string
	Sub  string
}

// String is the path as it is written.
func (p Path) String() string {
	s := p.Attr
	if p.URN != "" {
		s = p.URN + ":" + s
	}
	if p.Sub != "" {
		s += "." + p.Sub
	}
	return s
}

// Value is what an attribute is compared with: a string, a bool, a [Number] or nil.
type Value any

// Number is a number as it was written.
type Number string

// Expr is a node of a filter: [And], [Or], [Not], [Compare] or [Element].
type Expr interface {
	String() string
	print(b *strings.Builder)
}

// And holds when all of its terms do. None of them is an And.
type And struct{ Terms []Expr }

// Or holds when one of its terms does. None of them is an Or.
type Or struct{ Terms []Expr }

// Not holds when its term does not.
type Not struct{ Term Expr }

// Compare compares an attribute with a value. Of the operator [Pr] the value is nil.
type Compare struct {
	Path  Path
	Op    Op
	Value Value

	at int
}

// Element holds when one element of a list matches Inner and, where there is a Then, its sub-attribute compares so as well.
type Element struct {
	Path  Path
	Inner Expr
	Then  *Compare // of a sub-attribute; nil for none

	at int
}

func (e *And) String() string     { return text(e) }
func (e *Or) String() string      { return text(e) }
func (e *Not) String() string     { return text(e) }
func (e *Compare) String() string { return text(e) }
func (e *Element) String() string { return text(e) }

func text(e Expr) string {
	var b strings.Builder
	e.print(&b)
	return b.String()
}

func (e *And) print(b *strings.Builder) { join(b, " and ", e.Terms) }
func (e *Or) print(b *strings.Builder)  { join(b, " or ", e.Terms) }

func join(b *strings.Builder, word string, terms []Expr) {
	for i, t := range terms {
		if i > 0 {
			b.WriteString(word)
		}
		switch t.(type) {
		case *And, *Or:
			b.WriteByte('(')
			t.print(b)
			b.WriteByte(')')
		default:
			t.print(b)
		}
	}
}

func (e *Not) print(b *strings.Builder) {
	b.WriteString("not (")
	e.Term.print(b)
	b.WriteByte(')')
}

func (e *Compare) print(b *strings.Builder) {
	b.WriteString(e.Path.String())
	e.printOp(b)
}

func (e *Compare) printOp(b *strings.Builder) {
	b.WriteByte(' ')
	b.WriteString(string(e.Op))
	if e.Op == Pr {
		return
	}
	b.WriteByte(' ')
	switch v := e.Value.(type) {
	case Number:
		b.WriteString(string(v))
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings, booleans and nil only
		}
		b.Write(raw)
	}
}

func (e *Element) print(b *strings.Builder) {
	b.WriteString(e.Path.String())
	b.WriteByte('[')
	e.Inner.print(b)
	b.WriteByte(']')
	if e.Then != nil {
		b.WriteByte('.')
		b.WriteString(e.Then.Path.Attr)
		e.Then.printOp(b)
	}
}
