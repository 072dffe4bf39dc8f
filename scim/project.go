package scim

import (
	"strings"

	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/schema"
)

// maxNames is the most names in attributes or excludedAttributes.
const maxNames = 100

// projection says what of resources is shown (RFC 7644 §3.9).
type projection struct {
	include, exclude []schema.Ref
	chosen           bool // attributes or excludedAttributes was given, be it with unknown names
	named            bool // attributes was
}

// project reads the names. Those of no attribute are names of nothing; a filter behind one does not matter.
func project(t *schema.ResourceType, include, exclude []string) (p projection, err error) {
	if len(include) > 0 && len(exclude) > 0 {
		return p, schema.Errorf(schema.InvalidSyntax, "attributes and excludedAttributes cannot both be given")
	}
	p.chosen, p.named = len(include)+len(exclude) > 0, len(include) > 0
	if len(include)+len(exclude) > maxNames {
		return p, schema.Errorf(schema.InvalidValue, "at most %d attributes can be named", maxNames)
	}
	p.include, p.exclude = refs(t, include), refs(t, exclude)
	return p, nil
}

func refs(t *schema.ResourceType, names []string) (all []schema.Ref) {
	for _, name := range names {
		if ext := t.Extension(name); ext != nil {
			all = append(all, schema.Ref{Extension: ext})
			continue
		}
		path, err := filter.ParsePath(name)
		if err != nil {
			continue
		}
		if r, ok := t.Find(path.Path.URN, path.Path.Attr, path.Path.Sub); ok {
			all = append(all, r)
		}
	}
	return all
}

// names splits lists of names, which may be repeated.
func names(values []string) (all []string) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				all = append(all, name)
			}
		}
	}
	return all
}

// wants says whether an attribute of the core schema is shown, or a part of it.
func (p projection) wants(name string) bool {
	for _, r := range p.exclude {
		if r.Extension == nil && r.Attribute.Name == name && r.Sub == nil {
			return false
		}
	}
	if !p.named {
		return true
	}
	for _, r := range p.include {
		if r.Extension == nil && r.Attribute.Name == name {
			return true
		}
	}
	return false
}

// show is what of a resource is shown: always its id and schemas.
func (p projection) show(o schema.Object) schema.Object {
	switch {
	case p.named:
		shown := schema.Object{"id": o["id"], "schemas": o["schemas"]}
		for _, r := range p.include {
			copyPart(shown, o, r)
		}
		return shown
	case len(p.exclude) == 0:
		return o
	}
	shown := o.Clone()
	for _, r := range p.exclude {
		if r.Extension == nil && (r.Attribute.Returned == schema.Always) {
			continue
		}
		without(shown, r)
	}
	return shown
}

func copyPart(to, from schema.Object, r schema.Ref) {
	whole := schema.Ref{Extension: r.Extension, Attribute: r.Attribute}
	v := from.Get(whole)
	if r.Sub == nil || v == nil {
		if v != nil {
			to.Set(whole, v)
		}
		return
	}
	switch v := v.(type) {
	case schema.Object:
		part, _ := to.Get(whole).(schema.Object)
		if part = part.Clone(); part == nil {
			part = schema.Object{}
		}
		if s, has := v[r.Sub.Name]; has {
			part[r.Sub.Name] = s
		}
		to.Set(whole, part)
	case []any:
		list, _ := to.Get(whole).([]any)
		if list == nil {
			list = make([]any, len(v))
			for i := range list {
				list[i] = schema.Object{}
			}
		}
		for i, one := range v {
			if e, ok := one.(schema.Object); ok {
				if s, has := e[r.Sub.Name]; has {
					list[i].(schema.Object)[r.Sub.Name] = s
				}
			}
		}
		to.Set(whole, list)
	}
}

func without(o schema.Object, r schema.Ref) {
	whole := schema.Ref{Extension: r.Extension, Attribute: r.Attribute}
	if r.Sub == nil {
		o.Set(whole, nil)
		return
	}
	switch v := o.Get(whole).(type) {
	case schema.Object:
		delete(v, r.Sub.Name)
		o.Set(whole, v)
	case []any:
		for _, one := range v {
			if e, ok := one.(schema.Object); ok {
				delete(e, r.Sub.Name)
			}
		}
	}
}
