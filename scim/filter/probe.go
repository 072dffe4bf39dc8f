package filter

import (
	"slices"

	"github.com/orgkit/orgkit/scim/schema"
)

// Probe is an equality that an index can look up: the value as it is compared, see schema.Attribute.Key.
type Probe struct {
	Name string // of the attribute, such as userName or emails.value
	Key  string
}

// Probes returns equalities of which every resource that matches meets one. Of the attributes that have an index the first
// ones are preferred. ok is false where nothing can be said: then any resource may match. That a resource meets one does not
// make it match.
func (f *Filter) Probes(indexed ...string) (probes []Probe, ok bool) {
	p := prober{indexed: indexed}
	probes, _, ok = p.of(f.root)
	return probes, ok
}

type prober struct {
	indexed []string
	under   *schema.Ref // of what is inside of brackets
}

// of returns the probes of a node, with the rank of the worst of them.
func (p prober) of(n node) (probes []Probe, rank int, ok bool) {
	switch n := n.(type) {
	case all:
		for _, term := range n {
			one, r, is := p.of(term)
			if is && (!ok || len(one) < len(probes) || len(one) == len(probes) && r < rank) {
				probes, rank, ok = one, r, true
			}
		}
		return probes, rank, ok
	case some:
		for _, term := range n {
			one, r, is := p.of(term)
			if !is {
				return nil, 0, false
			}
			probes, rank = append(slices.Clip(probes), one...), max(rank, r)
		}
		return probes, rank, true
	case *element:
		in := prober{p.indexed, &n.ref}
		terms := all{n.inner}
		if n.then != nil {
			terms = append(terms, n.then)
		}
		return in.of(terms)
	case *compare:
		return p.compare(n)
	}
	return nil, 0, false
}

func (p prober) compare(n *compare) ([]Probe, int, bool) {
	r := n.ref
	if p.under != nil {
		r = schema.Ref{Extension: p.under.Extension, Attribute: p.under.Attribute, Sub: n.ref.Attribute}
	}
	rank := slices.Index(p.indexed, r.Name())
	if rank < 0 || n.test.op != Eq || r.Last().Type != schema.String {
		return nil, 0, false
	}
	return []Probe{{r.Name(), n.test.text}}, rank, true
}

// Picks returns the values of which an element of a list has to have one for the filter to see a difference, by the
// sub-attribute value: a resource with only those elements matches exactly when the whole one does. ok is false where the
// filter asks for more.
func (f *Filter) Picks(name string) (values []string, ok bool) {
	p := picker{name: name, ok: true}
	p.look(f.root)
	return p.values, p.ok
}

type picker struct {
	name   string
	values []string
	ok     bool
}

func (p *picker) look(n node) {
	switch n := n.(type) {
	case all:
		for _, term := range n {
			p.look(term)
		}
	case some:
		for _, term := range n {
			p.look(term)
		}
	case not:
		p.look(n.node)
	case *compare:
		if n.ref.Extension != nil || n.ref.Attribute.Name != p.name {
			return
		}
		if n.ref.Sub == nil || n.ref.Sub.Name != "value" || n.test.op != Eq && n.test.op != Ne {
			p.ok = false
			return
		}
		p.values = append(p.values, n.test.text)
	case *element:
		if n.ref.Extension != nil || n.ref.Attribute.Name != p.name {
			return
		}
		probes, _, ok := prober{indexed: []string{p.name + ".value"}}.of(n)
		if p.ok = p.ok && ok; ok {
			for _, probe := range probes {
				p.values = append(p.values, probe.Key)
			}
		}
	}
}
