package rbac

import (
	"context"
	"net/netip"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Call is what is known of what somebody wants to do. What is unknown is left at its zero value, and refuses
// where it matters.
type Call struct {
	Resource string // "type:name"
	Asked    string // the resource as the client named it, where an alias was resolved; "" is the same
	Owner    string // the user that the resource belongs to, for grants that end in :own

	At    time.Time // of the call: asking the clock costs more than the check
	IP    netip.Addr
	MFAAt *time.Time       // when the person last proved a second factor, if the credential says
	Cost  *decimal.Decimal // upper bound of the call in USD

	// Least is the revision that an answer from memory must at least rest on; nil for none. For answers
	// in a unit [WithRevision] says it.
	Least Revision
}

// Request is a question to the guard.
type Request struct {
	OrgID  string
	TeamID string // the context, a team or project; "" for the organization's
	Action string // dot form
	Person string // the user who acts or asks; "" is the subject, of a key the user bound to it, if any
	Call
}

// Check decides for a subject, a user or a key, by the records that tx sees. A subject that holds
// nothing in the organization is store.ErrNotFound. Nothing is recorded.
func (g *Guard) Check(ctx context.Context, tx *store.Tx, subject string, r Request) (Decision, error) {
	if err := fresh(ctx, tx); err != nil {
		return Decision{}, err
	}
	chain, err := Lineage(ctx, tx, r.OrgID)
	if err != nil {
		return Decision{}, err
	}
	w := &records{guard: g, tx: tx, chain: chain}
	st, err := w.stand(ctx, subject)
	if err != nil {
		return Decision{}, err
	}
	return g.decide(ctx, w, st, subject, &r)
}

// decide is the one place where a decision is made with its reasons.
func (g *Guard) decide(ctx context.Context, w world, st standing, subject string, r *Request) (Decision, error) {
	var b bound
	if err := g.bind(ctx, w, st, r.TeamID, &b); err != nil {
		return Decision{}, err
	}
	return g.explain(ctx, w, st, &b, subject, r)
}

// explain answers for a bound with reasons.
func (g *Guard) explain(ctx context.Context, w world, st standing, b *bound, subject string, r *Request) (Decision, error) {
	a := asker{ctx: ctx, guard: g, world: w, bound: b, orgID: r.OrgID, teamID: r.TeamID, action: g.vocabulary.Action(r.Action),
		resource: r.Resource, owner: r.Owner, subject: subject, person: b.person(subject, r.Person)}
	e := r.Call.evaluation()
	e.asker = &a
	d := b.decide(&question{a.action, r.Resource, r.Asked}, &e)
	if a.action == (Action{}) {
		d.MissingPermission = r.Action
	} else {
		st.trace(&d, r.TeamID, g.vocabulary.Name(a.action))
	}
	d.ID, d.Revision = g.store.NewID("dec"), revisionOf(st.chain)
	g.tell(ctx, r, &d)
	return d, a.failed
}

func (c *Call) evaluation() evaluation {
	return evaluation{now: c.At, ip: c.IP, mfaAt: c.MFAAt, cost: c.Cost, lasts: forever}
}
