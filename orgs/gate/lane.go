package gate

import (
	"context"
	"maps"
	"sync/atomic"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// lane is the way of the calls of one key to one model, by the name that clients have for it.
type lane struct {
	model    billing.Model
	place    int // of the model in the catalogue
	resource string
	asked    string // the resource as the client named it, where that is an alias
	refused  error  // by the project, or the role of the person, whatever else is decided
	means    atomic.Pointer[means]
}

// means are what calls take before they are made: looked up by the first that is allowed.
type means struct {
	limits *billing.Limits
	purse  *billing.Purse
}

// lane finds the model.
func (n *known) lane(g *Gate, name string) (*lane, error) {
	if ln := (*n.lanes.Load())[name]; ln != nil {
		return ln, nil
	}
	asked := name
	if is, some := n.caller.Aliases[name]; some { // of theirs, which says nothing to any rule
		asked = is
	}
	model, ok := g.m.Catalogue().Resolve(asked)
	if !ok {
		return nil, &Denied{Code: "unsupported_model", Message: "no such model is served here"}
	}
	ln := &lane{refused: n.refuses(model.ID), model: model, place: g.m.Catalogue().Place(model.ID), resource: rbac.ModelPattern(model.ID)}
	if asked != model.ID {
		ln.asked = rbac.ModelPattern(asked)
	}
	for { // as many as the catalogue and the settings have names
		all := n.lanes.Load()
		if known := (*all)[name]; known != nil {
			return known, nil
		}
		more := maps.Clone(*all)
		more[name] = ln
		if n.lanes.CompareAndSwap(all, &more) {
			return ln, nil
		}
	}
}

// refuses is why the project of the key, or the role of the person, lets no call of a model through, if there are such.
func (n *known) refuses(model string) error {
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

// ready looks up what calls take.
func (ln *lane) ready(ctx context.Context, g *Gate, n *known) (*means, error) {
	if m := ln.means.Load(); m != nil {
		return m, nil
	}
	path := n.path(ln.model.ID)
	m := &means{purse: g.m.Purse(path)}
	err := g.m.Store().View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		m.limits, err = g.m.Limits(ctx, tx, path, n.pool != "", n.caller.RoleLimits(ln.model.ID)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	ln.means.Store(m)
	return m, nil
}
