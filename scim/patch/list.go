package patch

import (
	"slices"

	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/schema"
)

// list changes a whole list: add appends what is not there yet, replace puts another in its place. Remove with a value takes
// only the elements with such values, and with an empty list none.
func (p *patcher) list(r schema.Ref, to target) error {
	old, _ := p.object.Get(r).([]any)
	if to.verb == Remove {
		return p.removeFrom(r, old, to.value)
	}
	read, err := r.Attribute.ReadValue(to.value, r.Name())
	if err != nil {
		return err
	}
	fresh, _ := read.([]any)
	if to.verb == Replace {
		p.store(r, fresh, nil)
		return nil
	}
	next := slices.Clone(old)
	var added []int
	for _, v := range fresh {
		if !slices.ContainsFunc(old, func(o any) bool { return schema.Same(o, v) }) {
			added = append(added, len(next))
			next = append(next, v)
		}
	}
	p.store(r, next, added)
	return nil
}

func (p *patcher) removeFrom(r schema.Ref, old []any, value any) error {
	if value == nil {
		p.object.Set(r, nil)
		return nil
	}
	if list, ok := value.([]any); ok && len(list) == 0 {
		return nil
	}
	read, err := r.Attribute.ReadValue(value, r.Name())
	if err != nil {
		return err
	}
	gone, _ := read.([]any)
	p.store(r, slices.DeleteFunc(slices.Clone(old), func(o any) bool {
		return slices.ContainsFunc(gone, func(g any) bool { return stands(o, g) })
	}), nil)
	return nil
}

// stands says whether an element is meant by a value that has perhaps fewer parts: those that it has are the same.
func stands(element, value any) bool {
	e, ok := element.(schema.Object)
	v, is := value.(schema.Object)
	if !ok || !is {
		return schema.Same(element, value)
	}
	for name, part := range v {
		if !schema.Same(e[name], part) {
			return false
		}
	}
	return true
}

// each changes a sub-attribute of all elements; of none it makes one.
func (p *patcher) each(r schema.Ref, sub *schema.Attribute, to target) error {
	old, _ := p.object.Get(r).([]any)
	if len(old) == 0 && to.verb != Remove {
		old = []any{schema.Object{}}
	}
	all := make([]int, len(old))
	for i := range old {
		all[i] = i
	}
	return p.change(r, old, all, sub, to)
}

// change changes a sub-attribute of some elements.
func (p *patcher) change(r schema.Ref, old []any, places []int, sub *schema.Attribute, to target) error {
	next := slices.Clone(old)
	for _, i := range places {
		element, _ := next[i].(schema.Object)
		element = element.Clone()
		if err := put(&element, sub, to, r.Name()+"."+sub.Name); err != nil {
			return err
		}
		next[i] = element
	}
	p.store(r, next, places)
	return nil
}

// elements changes the elements that a filter finds, or a sub-attribute of them. Where it finds none, remove does nothing,
// and the others make the element that it would have found, by its equalities.
func (p *patcher) elements(verb Verb, op Operation, r schema.Ref, path filter.Target) error {
	if r.Sub != nil || !r.Attribute.Multi || r.Attribute.Type != schema.Complex {
		return schema.Errorf(schema.InvalidPath, "path: %s has no elements", r.Name())
	}
	if skip, err := p.writable(r, Replace); skip || err != nil {
		return err
	}
	f, err := filter.BindElement(path.Inner, r.Attribute)
	if err != nil {
		return schema.Errorf(schema.InvalidPath, "path: %v", err)
	}
	var sub *schema.Attribute
	if path.Sub != "" {
		if sub = r.Attribute.Find(path.Sub); sub == nil || sub.Mutability == schema.ReadOnly {
			return schema.Errorf(schema.InvalidPath, "path: %s has no such part that can be written", r.Name())
		}
	} else if p.how.Strict {
		return schema.Errorf(schema.InvalidPath, "path: must name a part of the elements")
	}
	old, _ := p.object.Get(r).([]any)
	var found []int
	for i, v := range old {
		if e, ok := v.(schema.Object); ok && f.Match(e) {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		if verb == Remove {
			return nil
		}
		made, ok := equalities(path.Inner, r.Attribute)
		if !ok || p.how.Strict {
			return schema.Errorf(schema.NoTarget, "path: no element of %s matches", r.Name())
		}
		found, old = []int{len(old)}, append(slices.Clone(old), made)
	}
	to := target{verb: verb, value: op.Value}
	if sub != nil {
		return p.change(r, old, found, sub, to)
	}
	return p.replaceElements(r, old, found, to, path.Inner)
}

// replaceElements changes whole elements: add merges, replace leaves of the old ones what the filter found them by.
func (p *patcher) replaceElements(r schema.Ref, old []any, found []int, to target, inner filter.Expr) error {
	if to.verb == Remove {
		next := []any{}
		for i, v := range old {
			if !slices.Contains(found, i) {
				next = append(next, v)
			}
		}
		p.store(r, next, nil)
		return nil
	}
	if list, ok := to.value.([]any); ok && len(list) == 1 {
		to.value = list[0]
	}
	read, err := r.Attribute.One(to.value, r.Name())
	if err != nil {
		return err
	}
	value, _ := read.(schema.Object)
	next := slices.Clone(old)
	for _, i := range found {
		kept, _ := next[i].(schema.Object)
		if to.verb == Replace {
			kept, _ = equalities(inner, r.Attribute)
		}
		merged := kept.Clone()
		if merged == nil {
			merged = schema.Object{}
		}
		for name, v := range value {
			merged[name] = v
		}
		next[i] = merged
	}
	p.store(r, next, found)
	return nil
}

// equalities is the element that a filter of equalities joined by and describes; ok is false for any other filter.
func equalities(e filter.Expr, a *schema.Attribute) (o schema.Object, ok bool) {
	switch e := e.(type) {
	case *filter.And:
		o = schema.Object{}
		for _, term := range e.Terms {
			part, ok := equalities(term, a)
			if !ok {
				return nil, false
			}
			for name, v := range part {
				o[name] = v
			}
		}
		return o, true
	case *filter.Compare:
		sub := a.Find(e.Path.Attr)
		if e.Op != filter.Eq || sub == nil {
			return nil, false
		}
		v, err := sub.ReadValue(e.Value, sub.Name)
		if err != nil || v == nil {
			return nil, false
		}
		return schema.Object{sub.Name: v}, true
	}
	return nil, false
}

// store puts a list in its place, without elements that are empty or there twice. Where one of those that were just written
// is the primary one, it is the only one.
func (p *patcher) store(r schema.Ref, list []any, written []int) {
	if primary := schema.Primaries(list); slices.ContainsFunc(primary, func(i int) bool { return slices.Contains(written, i) }) {
		for _, i := range primary {
			if slices.Contains(written, i) {
				continue
			}
			other := list[i].(schema.Object).Clone()
			delete(other, "primary")
			list[i] = other
		}
	}
	var kept []any
	for _, v := range list {
		if o, ok := v.(schema.Object); ok && len(o) == 0 {
			continue
		}
		if !slices.ContainsFunc(kept, func(k any) bool { return schema.Same(k, v) }) {
			kept = append(kept, v)
		}
	}
	p.object.Set(r, kept)
}
