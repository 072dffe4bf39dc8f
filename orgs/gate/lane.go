package gate

import (
	"context"
	"maps"
	"sync/atomic"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// way is the way of all calls to one model, by a name that clients have for it.
type way struct {
	model    *billing.Model
	place    int // of the model in the catalogue
	resource string
	asked    string // the resource as the client named it, where that is an alias
}

// waysOf are those of a catalogue, whose models never change, by their names.
func waysOf(c *billing.Catalogue) map[string]*way {
	all := map[string]*way{}
	models := c.Models()
	for i := range models {
		m := &models[i]
		w := way{model: m, place: c.Place(m.ID), resource: rbac.ModelPattern(m.ID)}
		all[m.ID] = &w
		for _, alias := range m.Aliases {
			w := w
			w.asked = rbac.ModelPattern(alias)
			all[alias] = &w
		}
	}
	return all
}

// lane is the way of the calls of one key to one model, with what they take before they are made.
type lane struct {
	*way
	open   atomic.Bool // its calls are permitted, as long as what is known of the key stands and they ask for nothing else
	opened atomic.Bool // of the first one of a key: it is one
	purse  billing.Pocket
	limits atomic.Pointer[billing.Limits] // looked up by the first call that is allowed
}

// lane finds the model.
func (n *known) lane(g *Gate, name string) (*lane, error) {
	if is, some := n.rules.aliases[name]; some { // of theirs, which says nothing to any rule
		name = is
	}
	w := g.ways[name]
	if w == nil {
		return nil, &Denied{Code: "unsupported_model", Message: "no such model is served here"}
	}
	if n.first.opened.Load() && n.first.way == w {
		return &n.first, nil
	}
	if more := n.more.Load(); more != nil && (*more)[w] != nil {
		return (*more)[w], nil
	}
	purse := g.m.Purse(n.path(w.model.ID))
	if n.opening.CompareAndSwap(false, true) {
		n.first.way = w
		n.first.purse.Open(purse)
		n.first.opened.Store(true)
		return &n.first, nil
	}
	ln := &lane{way: w}
	ln.purse.Open(purse)
	for { // as many as the catalogue has names
		all, next := n.more.Load(), map[*way]*lane{}
		if all != nil {
			if known := (*all)[w]; known != nil {
				return known, nil
			}
			next = maps.Clone(*all)
		}
		next[w] = ln
		if n.more.CompareAndSwap(all, &next) {
			return ln, nil
		}
	}
}

// refuses is why the project of the key, or the role of the person, lets no call of a model through, if there are such.
func (n *known) refuses(model string) error {
	if !n.rules.confined {
		return nil
	}
	if p := n.caller.Project; p != nil {
		if err := p.MayUse(model); err != nil {
			return err
		}
	}
	if n.caller.Role == nil {
		return nil
	}
	return n.caller.Role.MayUse(model)
}

// ready looks up the limits of calls.
func (ln *lane) ready(ctx context.Context, g *Gate, n *known) (*billing.Limits, error) {
	if l := ln.limits.Load(); l != nil {
		return l, nil
	}
	var l *billing.Limits
	err := g.m.Store().View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		l, err = g.m.Limits(ctx, tx, n.path(ln.model.ID), n.rules.pool != "", n.caller.RoleLimits(ln.model.ID)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	ln.limits.Store(l)
	return l, nil
}
