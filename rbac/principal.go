package rbac

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Answer is whether a call is allowed, and how long that answer holds.
type Answer struct {
	Allowed bool
	until   int64
}

// Until is the first moment at which the answer to the very same call may be another although no rule was
// changed; zero is never.
func (a Answer) Until() time.Time { return moment(a.until) }

// Allows answers a question from memory, without an allocation. A subject that holds nothing in the
// organization is store.ErrNotFound, as is an organization or team that is not there; so is every other
// error a refusal.
//
// In this process the answer rests on every change that has returned. Changes by other processes on the same
// database count as soon as they are told of, or found by comparing: see [MemoryOptions]. Call.Least demands
// more.
//
// The first question about an organization reads all that it consists of; the first of a kind asks Casbin.
func (g *Guard) Allows(ctx context.Context, subject string, r *Request) (Answer, error) {
	v, err := g.viewOf(ctx, r.OrgID, r.Least)
	if err != nil {
		return Answer{}, err
	}
	b, err := v.bound(ctx, subject, r.TeamID)
	if err != nil {
		return Answer{}, err
	}
	return v.answer(ctx, b, g.vocabulary.Action(r.Action), r.TeamID, subject, b.person(subject, r.Person), &r.Call)
}

// Decide is [Guard.Allows] with the reasons. Each answer has an id of its own.
func (g *Guard) Decide(ctx context.Context, subject string, r *Request) (Decision, error) {
	v, err := g.viewOf(ctx, r.OrgID, r.Least)
	if err != nil {
		return Decision{}, err
	}
	b, err := v.bound(ctx, subject, r.TeamID)
	if err != nil {
		return Decision{}, err
	}
	return v.explain(ctx, b, subject, r)
}

// answer asks a bound, without reasons.
func (v *view) answer(ctx context.Context, b *bound, a Action, teamID, subject, person string, c *Call) (Answer, error) {
	q := question{a, c.Resource, c.Asked}
	rs, alone := b.by(v.guard, a)
	found := rs.find(&q)
	// Most questions do not depend on the call at all.
	switch {
	case found.verdict == VerdictDeny:
		return Answer{false, never}, nil
	case found.verdict == VerdictAllow && alone:
		return Answer{true, never}, nil
	}
	return v.judge(ctx, b, found, alone, &q, teamID, subject, person, c)
}

// judge tests what depends on the call. It is a function of its own so that those questions that do not need
// not pay for its stack.
func (v *view) judge(ctx context.Context, b *bound, found *cell, alone bool, q *question, teamID, subject, person string, c *Call) (Answer, error) {
	asks := asker{ctx: ctx, guard: v.guard, world: v, bound: b, orgID: v.snap.orgID(), teamID: teamID, action: q.action,
		resource: c.Resource, owner: c.Owner, subject: subject, person: person}
	e := evaluation{now: c.At, ip: c.IP, mfaAt: c.MFAAt, cost: c.Cost, until: never, asker: &asks}
	allowed := found.holds(&e) && (alone || b.others(q, &e))
	return Answer{allowed && asks.failed == nil, e.until}, asks.failed
}

func (v *view) explain(ctx context.Context, b *bound, subject string, r *Request) (Decision, error) {
	chain := make([]Scope, len(v.states))
	for i, s := range v.states {
		chain[i] = s.scope
	}
	return v.guard.explain(ctx, v, b, subject, r, chain)
}

// Principal is a subject in one context, resolved once for many questions, such as when a credential was
// authenticated. It sees every change that [Guard.Allows] sees. It is safe for concurrent use.
type Principal struct {
	guard                  *Guard
	orgID, teamID, subject string

	node   atomic.Pointer[node]
	serial atomic.Uint64 // of the view that bound was resolved in; read before it and written after it
	bound  atomic.Pointer[bound]
	mu     sync.Mutex // of writers
}

// Principal resolves a subject in a context of an organization: a team or project, "" for that of the
// organization. Who holds nothing there is store.ErrNotFound.
func (g *Guard) Principal(ctx context.Context, orgID, teamID, subject string) (*Principal, error) {
	p := &Principal{guard: g, orgID: orgID, teamID: teamID, subject: subject}
	_, _, err := p.resolve(ctx, nil)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Action looks up an action by any spelling of its name, for [Principal.Allows]. The zero Action, which
// nobody may do, is that of a name that is not registered.
func (g *Guard) Action(name string) Action {
	canonical, err := ParseAction(name)
	if err != nil {
		return Action{}
	}
	return g.vocabulary.Action(canonical)
}

// Allows is [Guard.Allows] for the principal.
func (p *Principal) Allows(ctx context.Context, a Action, c *Call) (Answer, error) {
	if c.Least == nil && p.guard.live.trusted.Load() {
		// A bound that is read after its serial is of that view or of a later one.
		if v := p.node.Load().view.Load(); v != nil && v.serial == p.serial.Load() {
			b := p.bound.Load()
			return v.answer(ctx, b, a, p.teamID, p.subject, b.person(p.subject, ""), c)
		}
	}
	v, b, err := p.resolve(ctx, c.Least)
	if err != nil {
		return Answer{}, err
	}
	return v.answer(ctx, b, a, p.teamID, p.subject, b.person(p.subject, ""), c)
}

// Decide is [Guard.Decide] for the principal.
func (p *Principal) Decide(ctx context.Context, a Action, c *Call) (Decision, error) {
	v, b, err := p.resolve(ctx, c.Least)
	if err != nil {
		return Decision{}, err
	}
	return v.explain(ctx, b, p.subject, &Request{OrgID: p.orgID, TeamID: p.teamID, Action: p.guard.vocabulary.Name(a), Call: *c})
}

// resolve finds the principal in the present view.
func (p *Principal) resolve(ctx context.Context, least Revision) (*view, *bound, error) {
	v, err := p.guard.viewOf(ctx, p.orgID, least)
	if err != nil {
		return nil, nil, err
	}
	b, err := v.bound(ctx, p.subject, p.teamID)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.serial > p.serial.Load() {
		p.bound.Store(b)
		p.serial.Store(v.serial)
		p.node.Store(v.node)
	}
	return v, b, nil
}
