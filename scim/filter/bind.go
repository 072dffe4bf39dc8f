package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/scim/schema"
)

// Filter is a filter whose names are those of a resource type. It never changes and is safe for concurrent use.
type Filter struct {
	text string
	root node
}

// String is the filter as it is written.
func (f *Filter) String() string { return f.text }

// Bind looks the names of a filter up. A name that the type does not have, and a comparison that its attribute cannot be in,
// is an *[Error]; so is what asks about an attribute that is never returned, which is Sensitive.
func Bind(e Expr, t *schema.ResourceType) (*Filter, error) {
	b := &binder{typ: t}
	root := b.bind(e)
	if b.err != nil {
		return nil, b.err
	}
	return &Filter{e.String(), root}, nil
}

// BindElement is Bind for what stands in the brackets behind an attribute with many values: it matches such values.
func BindElement(e Expr, a *schema.Attribute) (*Filter, error) {
	b := &binder{of: a}
	root := b.bind(e)
	if b.err != nil {
		return nil, b.err
	}
	return &Filter{e.String(), root}, nil
}

type binder struct {
	typ *schema.ResourceType
	of  *schema.Attribute // inside of brackets: whose sub-attributes are named
	err *Error
}

func (b *binder) fail(at int, format string, args ...any) {
	if b.err == nil {
		b.err = &Error{At: at, Message: fmt.Sprintf(format, args...)}
	}
}

// node is a part of a bound filter.
type node interface {
	match(o schema.Object) bool
}

type (
	all  []node
	some []node
	not  struct{ node }

	// compare tests the values of an attribute. Inside of brackets the object is an element and ref its sub-attribute.
	compare struct {
		ref  schema.Ref
		test test
	}
	// element tests the elements of a list.
	element struct {
		ref   schema.Ref
		inner node
		then  *compare
	}
)

func (b *binder) bind(e Expr) node {
	switch e := e.(type) {
	case *And:
		return all(b.each(e.Terms))
	case *Or:
		return some(b.each(e.Terms))
	case *Not:
		return not{b.bind(e.Term)}
	case *Compare:
		return b.compare(e)
	case *Element:
		return b.element(e)
	}
	panic("filter: a tree that Parse did not make")
}

func (b *binder) each(terms []Expr) []node {
	nodes := make([]node, len(terms))
	for i, t := range terms {
		nodes[i] = b.bind(t)
	}
	return nodes
}

// find resolves a path.
func (b *binder) find(p Path, at int) (r schema.Ref, ok bool) {
	if b.of == nil {
		r, ok = b.typ.Find(p.URN, p.Attr, p.Sub)
		ok = ok && r.Attribute != nil
	} else if p.URN == "" && p.Sub == "" {
		r.Attribute = b.of.Find(p.Attr)
		ok = r.Attribute != nil
	}
	switch {
	case !ok:
		b.fail(at, "there is no attribute %s", p)
	case r.Attribute.Returned == schema.Never:
		ok = false
		b.fail(at, "%s cannot be asked about", r.Attribute.Name)
		b.err.Sensitive = true
	}
	return r, ok
}

func (b *binder) compare(e *Compare) node {
	r, ok := b.find(e.Path, e.at)
	if !ok {
		return nil
	}
	return b.compareRef(r, e)
}

func (b *binder) compareRef(r schema.Ref, e *Compare) *compare {
	exists := e.Op == Pr || e.Value == nil
	if r.Last().Type == schema.Complex && !exists {
		if r.Sub = r.Attribute.Value(); r.Sub == nil {
			b.fail(e.at, "%s has parts: name one of them", e.Path)
			return nil
		}
	}
	return &compare{r, b.test(r.Last(), e)}
}

func (b *binder) element(e *Element) node {
	r, ok := b.find(e.Path, e.at)
	if !ok {
		return nil
	}
	if r.Sub != nil || !r.Attribute.Multi || r.Attribute.Type != schema.Complex {
		b.fail(e.at, "%s has no elements", e.Path)
		return nil
	}
	in := &binder{of: r.Attribute}
	n := &element{ref: r, inner: in.bind(e.Inner)}
	if e.Then != nil && in.err == nil {
		if sub, ok := in.find(e.Then.Path, e.Then.at); ok {
			n.then = in.compareRef(sub, e.Then)
		}
	}
	if in.err != nil && b.err == nil {
		b.err = in.err
	}
	return n
}

// test is a comparison with a value that is no list and not complex.
type test struct {
	op   Op
	attr *schema.Attribute
	text string // of strings, as they are compared
	flag bool
	time time.Time
}

// test checks that the attribute can be compared so.
func (b *binder) test(a *schema.Attribute, e *Compare) test {
	t := test{op: e.Op, attr: a}
	if e.Op == Pr {
		return t
	}
	if e.Value == nil {
		switch e.Op {
		case Eq:
			t.op = "absent"
		case Ne:
			t.op = Pr
		default:
			b.fail(e.at, "null can only be compared by eq and ne")
		}
		return t
	}
	s, isText := e.Value.(string)
	ordered := e.Op != Eq && e.Op != Ne
	switch a.Type {
	case schema.Boolean:
		flag, isFlag := e.Value.(bool)
		if isText { // as some clients write it
			flag, isFlag = strings.EqualFold(s, "true"), strings.EqualFold(s, "true") || strings.EqualFold(s, "false")
		}
		if !isFlag || ordered {
			b.fail(e.at, "%s is true or false, and compared by eq and ne", a.Name)
		}
		t.flag = flag
	case schema.DateTime:
		at, isTime := schema.Time(s)
		if !isText || !isTime || e.Op == Co || e.Op == Sw || e.Op == Ew {
			b.fail(e.at, "%s is compared with a time such as \"2024-03-05T12:00:00Z\", by eq, ne, gt, ge, lt or le", a.Name)
		}
		t.time = at
	default:
		if !isText {
			b.fail(e.at, "%s is compared with a string", a.Name)
		}
		t.text = a.Key(s)
	}
	return t
}

// Uses says whether the filter asks about an attribute of the core schema.
func (f *Filter) Uses(name string) bool { return uses(f.root, name) }

func uses(n node, name string) bool {
	switch n := n.(type) {
	case all:
		return slices.ContainsFunc(n, func(t node) bool { return uses(t, name) })
	case some:
		return slices.ContainsFunc(n, func(t node) bool { return uses(t, name) })
	case not:
		return uses(n.node, name)
	case *compare:
		return n.ref.Extension == nil && n.ref.Attribute.Name == name
	case *element:
		return n.ref.Extension == nil && n.ref.Attribute.Name == name
	}
	return false
}
