package filter

import (
	"slices"
	"strings"

	"github.com/orgkit/orgkit/scim/schema"
)

// Match says whether a resource, or an element, matches. A test of an attribute with many values holds when it does for one
// of them; ne is not eq, so that it holds where there is no value.
func (f *Filter) Match(o schema.Object) bool { return f.root.match(o) }

func (n all) match(o schema.Object) bool {
	return !slices.ContainsFunc(n, func(t node) bool { return !t.match(o) })
}

func (n some) match(o schema.Object) bool {
	return slices.ContainsFunc(n, func(t node) bool { return t.match(o) })
}

func (n not) match(o schema.Object) bool { return !n.node.match(o) }

func (n *compare) match(o schema.Object) bool {
	t := n.test
	switch t.op {
	case "absent":
		t.op = Pr
		return !n.holds(o, t)
	case Ne:
		t.op = Eq
		return !n.holds(o, t)
	}
	return n.holds(o, t)
}

func (n *compare) holds(o schema.Object, t test) bool {
	v := o.Get(n.ref)
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	for _, one := range list {
		if n.ref.Sub != nil {
			part, _ := one.(schema.Object)
			one = part[n.ref.Sub.Name]
		}
		if t.holds(one) {
			return true
		}
	}
	return false
}

func (n *element) match(o schema.Object) bool {
	for _, one := range values(o, n.ref) {
		part, ok := one.(schema.Object)
		if ok && n.inner.match(part) && (n.then == nil || n.then.match(part)) {
			return true
		}
	}
	return false
}

// holds compares one value.
func (t *test) holds(v any) bool {
	if t.op == Pr {
		return schema.Present(v)
	}
	switch t.attr.Type {
	case schema.Boolean:
		flag, ok := v.(bool)
		return ok && flag == t.flag
	case schema.DateTime:
		s, _ := v.(string)
		at, ok := schema.Time(s)
		return ok && t.order(at.Compare(t.time))
	}
	s, ok := v.(string)
	if !ok {
		return false
	}
	s = t.attr.Key(s)
	switch t.op {
	case Co:
		return strings.Contains(s, t.text)
	case Sw:
		return strings.HasPrefix(s, t.text)
	case Ew:
		return strings.HasSuffix(s, t.text)
	}
	return t.order(strings.Compare(s, t.text))
}

// order says what the sign of a comparison means for the operator.
func (t *test) order(sign int) bool {
	switch t.op {
	case Eq:
		return sign == 0
	case Gt:
		return sign > 0
	case Ge:
		return sign >= 0
	case Lt:
		return sign < 0
	case Le:
		return sign <= 0
	}
	return false
}

// values are the elements of a list.
func values(o schema.Object, r schema.Ref) []any {
	list, _ := o.Get(r).([]any)
	return list
}
