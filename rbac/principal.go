package rbac

import (
	"context"
	"sync/atomic"
	"time"
)

// Answer is whether a call is allowed, and how long that answer holds.
type Answer struct {
	Allowed bool
	// Settled says that every call which asks the same for the same resource gets this answer while no rule is changed:
	// nothing of the address, the time, the second factor, the cost or the owner counts.
	Settled bool
	// Lasts is how long after the time of the call the answer to the very same call stays the same while no
	// rule is changed: until business hours end, or a second factor grows too old. The longest duration is
	// for ever.
	Lasts time.Duration
}

// Allows answers a question from memory, without an allocation. A subject that holds nothing in the
// organization is store.ErrNotFound, as is an organization or team that is not there. Every error is a
// refusal.
//
// In this process the answer rests on every change that has returned. Changes by other processes on the same
// database count as soon as they are told of, or found by comparing: see [MemoryOptions]. Call.Least demands
// more. What a unit has written that is not committed yet is not seen, in that unit either.
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
	a := g.vocabulary.Action(r.Action)
	if code := codeIn(b.codes, a); code >= codeSettled {
		return Answer{code&codeAllows != 0, true, forever}, nil
	}
	return v.answer(ctx, b, a, r.TeamID, subject, b.person(subject, r.Person), &r.Call)
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
	if found.settled && (alone || !found.allows) {
		return Answer{found.allows, true, forever}, nil
	}
	return v.judge(ctx, b, found, alone, &q, teamID, subject, person, c)
}

// judge tests what depends on the call. It is a function of its own so that those questions that do not need
// not pay for its stack.
func (v *view) judge(ctx context.Context, b *bound, found *cell, alone bool, q *question, teamID, subject, person string, c *Call) (Answer, error) {
	asks := asker{ctx: ctx, guard: v.guard, world: v, bound: b, orgID: v.snap.orgID(), teamID: teamID, action: q.action,
		resource: c.Resource, owner: c.Owner, subject: subject, person: person}
	e := evaluation{now: c.At, ip: c.IP, mfaAt: c.MFAAt, cost: c.Cost, lasts: forever, asker: &asks}
	allowed := found.holds(&e) && (alone || b.others(q, &e))
	return Answer{allowed && asks.failed == nil, false, e.lasts}, asks.failed
}

func (v *view) explain(ctx context.Context, b *bound, subject string, r *Request) (Decision, error) {
	st, err := v.stand(ctx, subject)
	if err != nil {
		return Decision{}, err
	}
	return v.guard.explain(ctx, v, st, b, subject, r)
}

// Principal is a subject in one context, resolved once for many questions, such as when a credential was
// authenticated. It sees every change that [Guard.Allows] sees. It is safe for concurrent use.
type Principal struct {
	node atomic.Pointer[node]
	now  atomic.Pointer[resolved]

	guard                  *Guard
	orgID, teamID, subject string
}

// resolved is a principal in one view.
type resolved struct {
	serial uint64
	codes  []atomic.Uint32 // of the bound
	bound  *bound
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
	if r := p.now.Load(); r.serial == p.node.Load().serial.Load() && c.Least == nil && p.guard.live.trusted.Load() {
		if code := codeIn(r.codes, a); code >= codeSettled { // most questions do not depend on the call at all
			return Answer{code&codeAllows != 0, true, forever}, nil
		}
		if v := p.node.Load().view.Load(); v != nil {
			return v.answer(ctx, r.bound, a, p.teamID, p.subject, r.bound.person(p.subject, ""), c)
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

// Basis is what the answers to a [Principal] rest on: how everything stood in its organization and above it at one moment.
// The zero Basis does not stand.
type Basis struct {
	serial uint64
	node   *node // of the organization
}

// Basis is that of answers given now. What is read from the store after it was asked for is as fresh as those answers for as
// long as the basis stands. Errors are those of [Guard.Allows].
func (p *Principal) Basis(ctx context.Context) (Basis, error) {
	v, _, err := p.resolve(ctx, nil)
	if err != nil {
		return Basis{}, err
	}
	return Basis{v.serial, v.node}, nil
}

// Stands says that nothing was changed since, by any [Guard.Change], as far as this process can know: see [Guard.Allows]. It
// costs a few nanoseconds.
func (b *Basis) Stands() bool {
	return b.node != nil && b.node.serial.Load() == b.serial && b.node.trusted.Load()
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
	p.node.Store(v.node)
	p.now.Store(&resolved{v.serial, b.codes, b})
	return v, b, nil
}
