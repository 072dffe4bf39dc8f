package rbac

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// RequestApproval opens the request for what the actor is refused for want of an approval, or returns the one
// that is pending; opened says which. What the approval has to meet are the requirements of the rules. The
// requester is r.Person, "" for the actor or the person bound to it; only the platform asks for others.
//
// What is allowed already, and a missing reason where one is asked for, are store.ErrInvalid and open nothing.
// What no approval would open is a *[Denied] with the decision; so is, with code approval_denied, what was
// denied within a day.
func (g *Guard) RequestApproval(ctx context.Context, r Request, reason string) (a Approval, opened bool, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return a, false, ErrNoActor
	}
	if r.Person = cmp.Or(r.Person, by.Person()); r.Person == "" {
		return a, false, errNobodyAsks
	}
	reason = strings.TrimSpace(reason)
	if err := CheckText("reason", reason, 0, MaxDescription); err != nil {
		return a, false, err
	}
	if err := CheckText("resource", r.Resource, 1, maxResource); err != nil {
		return a, false, err
	}
	if err := g.spell(&r); err != nil {
		return a, false, err
	}
	return g.open(ctx, r, nil, func(ctx context.Context, tx *store.Tx) (fresh Approval, err error) {
		fresh.Reason = reason
		if fresh.Requirements, err = g.needs(ctx, tx, by, r); err != nil {
			return fresh, err
		}
		if reason == "" && slices.ContainsFunc(fresh.Requirements, func(n ApprovalNeed) bool { return n.ReasonRequired }) {
			return fresh, store.Invalid("reason", "required", "is required for this approval")
		}
		return fresh, nil
	})
}

var errNobodyAsks = store.Invalid("requester", "required", "an approval needs a person who asks")

// open returns the request of r that is pending, or stores what make returns as a new one. may, unless it is nil, says
// whether the actor may ask at all.
func (g *Guard) open(ctx context.Context, r Request, may func(context.Context, *store.Tx) error,
	make func(context.Context, *store.Tx) (Approval, error)) (a Approval, opened bool, err error) {
	op := Op{Action: "approvals.create", OrgID: r.OrgID, TeamID: r.TeamID, Resource: r.Resource, Self: true}
	find := func(ctx context.Context, tx *store.Tx) (Approval, error) {
		if may != nil {
			if err := may(ctx, tx); err != nil {
				return Approval{}, err
			}
		}
		return pendingApproval(ctx, tx, r)
	}
	// What is refused is asked for again and again; only the first time writes.
	look := func() error {
		return g.Read(ctx, op, func(ctx context.Context, tx *store.Tx) (err error) {
			a, err = find(ctx, tx)
			return err
		})
	}
	if err = look(); err != nil || a.ID != "" {
		return a, false, err
	}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		open, err := find(ctx, tx)
		if err != nil {
			return audit.Change{}, err
		}
		if open.ID != "" {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "a request is open already", ID: open.ID}
		}
		if a, err = make(ctx, tx); err != nil {
			return audit.Change{}, err
		}
		a.OrgID, a.TeamID, a.Requester, a.Action, a.Resource = r.OrgID, r.TeamID, r.Person, r.Action, r.Resource
		a.Status, a.Decisions, a.EndsAt = ApprovalPending, []Vote{}, tx.Now().Add(approvalPending)
		if err := approvals.Insert(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		return g.step(ctx, tx, "approval.requested", nil, &a, a.Reason)
	})
	var faster *store.ConflictError
	if errors.As(err, &faster) && faster.ID != "" {
		err = look()
		return a, false, err
	}
	return a, err == nil, err
}

// maxResource is the length of a resource that is kept.
const maxResource = 500

// spell brings action and resource of a request into the form that decisions know.
func (g *Guard) spell(r *Request) error {
	q, err := g.question(r.Action, r.Resource)
	if err != nil {
		return err
	}
	if q.action == (Action{}) {
		return store.Invalid("action", "unknown", "is no action that is known here")
	}
	r.Action = g.vocabulary.Name(q.action)
	if q.asked != "" {
		r.Resource, r.Asked = q.resource, q.asked
	}
	return nil
}

// needs are what rules want of an approval that would open r to the actor.
func (g *Guard) needs(ctx context.Context, tx *store.Tx, by audit.Actor, r Request) ([]ApprovalNeed, error) {
	chain, err := Lineage(ctx, tx, r.OrgID)
	if err != nil {
		return nil, err
	}
	subject := by.ID
	if by.Sovereign() {
		subject = r.Person
	}
	w := &records{guard: g, tx: tx, chain: chain, locked: true}
	st, err := w.stand(ctx, subject)
	if err != nil {
		return nil, err
	}
	if r.At.IsZero() {
		r.At = tx.Now()
	}
	if !r.IP.IsValid() {
		r.IP = by.IP
	}
	if r.MFAAt == nil {
		r.MFAAt = by.MFAAt
	}
	d, err := g.decide(ctx, w, st, subject, &r)
	switch {
	case err != nil:
		return nil, err
	case d.Allowed:
		return nil, store.Invalid("resource", "allowed", "needs no approval: it is allowed")
	case len(d.Approvals) == 0:
		return nil, &Denied{Code: d.Code, Action: r.Action, Resource: r.Resource, TeamID: r.TeamID, Decision: d}
	}
	return d.Approvals, nil
}

// pendingApproval returns the request of r that is pending; its id is empty if there is none.
func pendingApproval(ctx context.Context, tx *store.Tx, r Request) (Approval, error) {
	refused := &Denied{Action: r.Action, Resource: r.Resource, TeamID: r.TeamID}
	if by := actor(ctx); !by.Sovereign() && by.Person() != r.Person {
		refused.Code, refused.Decision.Remedy = "permission_denied", []string{"ask for yourself"}
		return Approval{}, refused
	}
	last, err := latestApproval(ctx, tx, r)
	switch {
	case err != nil || !live(&last, tx.Now()):
		return Approval{}, err
	case last.Status == ApprovalDenied:
		refused.Code, refused.Decision.Remedy = "approval_denied", []string{"ask again after " + last.EndsAt.Format(time.RFC3339)}
		return Approval{}, refused
	case last.Status == ApprovalPending:
		return last, nil
	}
	return Approval{}, nil
}
