package rbac

import (
	"context"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// Holders are those who may do something, by the ids of users and API keys, in no order.
type Holders struct {
	Always      []string // whatever the call is like
	Conditional []string // if conditions hold, or on what is their own
	Never       int      // how many others hold something in the organization
}

// AccessQuery asks who may do something, or what somebody may do.
type AccessQuery struct {
	OrgID    string
	TeamID   string // the context, a team or project; "" for the organization's
	Action   string // models.use, models:use, or a bare verb that joins the resource's type
	Resource string // "type:name", a model also by an alias
}

// question reads the question; the resource is that behind an alias.
func (g *Guard) question(action, resource string) (q question, err error) {
	if resource == "" {
		return q, store.Invalid("resource", "required", "is required")
	}
	if action == "" {
		return q, store.Invalid("action", "required", "is required")
	}
	name, err := JoinAction(action, resource)
	if err != nil {
		return q, store.Invalid("action", "pattern", "must be an action such as models.use, or a verb")
	}
	q = question{action: g.vocabulary.Action(name)}
	q.resource, q.asked = g.named(resource)
	return q, nil
}

// named returns the resource of a name, and the name where it is an alias.
func (g *Guard) named(name string) (resource, asked string) {
	if alias, ok := strings.CutPrefix(name, "model:"); ok && g.opt.Resolve != nil {
		if id, known := g.opt.Resolve(alias); known && id != alias {
			return ModelPattern(id), name
		}
	}
	return name, ""
}

// WhoCan answers who may do an action on a resource in a context, from memory and by the code that decides.
// It needs members.read there.
func (g *Guard) WhoCan(ctx context.Context, q AccessQuery) (h Holders, err error) {
	if err = g.mayAsk(ctx, q); err != nil {
		return h, err
	}
	ask, err := g.question(q.Action, q.Resource)
	if err != nil {
		return h, err
	}
	v, err := g.viewOf(ctx, q.OrgID, nil)
	if err != nil {
		return h, err
	}
	if len(v.states) == 1 {
		err = v.holders(ctx, q.TeamID, &ask, &h)
		return h, err
	}
	for _, subject := range v.subjects() {
		is, err := v.access(ctx, subject, q.TeamID, &ask)
		if err != nil {
			return Holders{}, err
		}
		switch is {
		case accessAlways:
			h.Always = append(h.Always, subject)
		case accessConditional:
			h.Conditional = append(h.Conditional, subject)
		default:
			h.Never++
		}
	}
	return h, nil
}

// holders answers for an organization with none above it, in which those who hold the same are answered alike.
func (v *view) holders(ctx context.Context, team string, q *question, h *Holders) (err error) {
	var answered [256]struct {
		stake *stake
		is    access
	}
	room := make([]string, v.members.subjects.size) // always from the front, conditional from the back
	always, conditional := 0, len(room)
	for i := range v.members.subjects.shards {
		slots := v.members.subjects.shards[i].slots
		for j := range slots {
			s := &slots[j]
			if s.hash == 0 {
				continue
			}
			known := &answered[s.value.number%uint32(len(answered))]
			if known.stake != s.value {
				if known.is, err = v.access(ctx, s.key, team, q); err != nil {
					return err
				}
				if known.stake = s.value; s.value.held[0].key != nil {
					known.stake = nil // what a key may do depends on others as well
				}
			}
			switch known.is {
			case accessAlways:
				room[always] = s.key
				always++
			case accessConditional:
				conditional--
				room[conditional] = s.key
			default:
				h.Never++
			}
		}
	}
	h.Always, h.Conditional = room[:always:always], room[conditional:]
	return nil
}

// access is an answer with the conditions left open.
type access int

const (
	accessNever access = iota
	accessConditional
	accessAlways
)

func (v *view) access(ctx context.Context, subject, team string, q *question) (access, error) {
	b, err := v.bound(ctx, subject, team)
	if err != nil {
		return accessNever, err
	}
	return b.access(v.guard, q), nil
}

func (b *bound) access(g *Guard, q *question) access {
	rs, alone := b.by(g, q.action)
	is := rs.find(q).access()
	if alone {
		return is
	}
	if b.key.orphan {
		return accessNever
	}
	for _, p := range b.key.persons {
		is = min(is, p.access(g, q))
	}
	return is
}

func (c *cell) access() access {
	switch {
	case !c.settled:
		return accessConditional
	case c.allows:
		return accessAlways
	}
	return accessNever
}

// Permitted is an action that somebody may do.
type Permitted struct {
	Action  string
	Verdict Verdict // allow or conditional
}

// WhatCan answers which actions a user or API key may do on a resource in a context, sorted, by the code that
// decides. AccessQuery.Action is not looked at. It needs members.read there, but for oneself.
func (g *Guard) WhatCan(ctx context.Context, subject string, q AccessQuery) (list []Permitted, err error) {
	if by := actor(ctx); by.ID != subject || by.Sovereign() {
		err = g.mayAsk(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	v, err := g.viewOf(ctx, q.OrgID, nil)
	if err != nil {
		return nil, err
	}
	b, err := v.bound(ctx, subject, q.TeamID)
	if err != nil {
		return nil, err
	}
	if q.Resource == "" {
		return nil, store.Invalid("resource", "required", "is required")
	}
	resource, asked := g.named(q.Resource)
	for i, name := range g.vocabulary.actions {
		switch b.access(g, &question{Action{uint32(i + 1)}, resource, asked}) {
		case accessAlways:
			list = append(list, Permitted{name, VerdictAllow})
		case accessConditional:
			list = append(list, Permitted{name, VerdictConditional})
		}
	}
	return list, nil
}

func (g *Guard) mayAsk(ctx context.Context, q AccessQuery) error {
	return g.Read(ctx, Op{Action: "members.read", OrgID: q.OrgID, TeamID: q.TeamID}, func(context.Context, *store.Tx) error { return nil })
}
