package rbac

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

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
		return a, false, store.Invalid("requester", "required", "an approval needs a person who asks")
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
	// A refused call is asked again and again; only the first one writes.
	op := Op{Action: "approvals.create", OrgID: r.OrgID, TeamID: r.TeamID, Resource: r.Resource, Self: true}
	err = g.Read(ctx, op, func(ctx context.Context, tx *store.Tx) (err error) {
		a, err = pendingApproval(ctx, tx, r)
		return err
	})
	if err != nil || a.ID != "" {
		return a, false, err
	}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		open, err := pendingApproval(ctx, tx, r)
		if err != nil {
			return audit.Change{}, err
		}
		if open.ID != "" {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "a request is open already", ID: open.ID}
		}
		needs, err := g.needs(ctx, tx, by, r)
		if err != nil {
			return audit.Change{}, err
		}
		if reason == "" && slices.ContainsFunc(needs, func(n ApprovalNeed) bool { return n.ReasonRequired }) {
			return audit.Change{}, store.Invalid("reason", "required", "is required for this approval")
		}
		a = Approval{OrgID: r.OrgID, TeamID: r.TeamID, Requester: r.Person, Action: r.Action, Resource: r.Resource,
			Reason: reason, Status: ApprovalPending, Requirements: needs, Decisions: []Vote{}, EndsAt: tx.Now().Add(approvalPending)}
		if err := approvals.Insert(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		return g.step(ctx, tx, "approval.requested", nil, &a, reason)
	})
	var faster *store.ConflictError
	if errors.As(err, &faster) && faster.ID != "" {
		err = g.Read(ctx, op, func(ctx context.Context, tx *store.Tx) (err error) {
			a, err = pendingApproval(ctx, tx, r)
			return err
		})
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

// ApprovalDecision is the input of [Guard.DecideApproval].
type ApprovalDecision struct {
	Approve   bool
	Reason    string
	Lasts     time.Duration    // of the grant, 1 h to 365 d; 0 is 30 days
	MaxAmount *decimal.Decimal // cost cap per call in USD
}

func (in ApprovalDecision) validate() error {
	if in.Lasts != 0 && (in.Lasts < time.Hour || in.Lasts > 365*24*time.Hour) {
		return store.Invalid("expires_in_hours", "range", "must be from 1 to 8760")
	}
	if in.MaxAmount != nil && in.MaxAmount.IsNegative() {
		return store.Invalid("max_amount", "range", "must not be negative")
	}
	return CheckText("reason", in.Reason, 0, MaxDescription)
}

// DecideApproval approves or denies a pending request. The approver must hold members.approve_requests in the
// team and be somebody whom a requirement names that is still open, by a role or themselves, and is never the
// requester. Once every requirement is met the request is approved; until then it stays pending. A grant lasts
// as long, and opens calls that cost as much, as the strictest of those who approved it has said. One denial
// is enough.
//
// Of two decisions at once that leave room for one, one wins and the other is store.ErrConflict.
func (g *Guard) DecideApproval(ctx context.Context, orgID, id string, in ApprovalDecision) (a Approval, err error) {
	team, err := g.approvalTeam(ctx, orgID, id)
	if err != nil {
		return a, err
	}
	op := Op{Action: "members.approve_requests", OrgID: orgID, TeamID: team, Past: true}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := in.validate(); err != nil {
			return audit.Change{}, err
		}
		if a, err = ownApproval(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		if a.StatusAt(tx.Now()) != ApprovalPending {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the request is not pending any more", ID: a.ID}
		}
		before := a
		chain, err := Lineage(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		w := &records{guard: g, tx: tx, chain: chain, locked: true}
		if err := a.mayDecide(ctx, w, actor(ctx), in.Approve); err != nil {
			return audit.Change{}, err
		}
		a.Decisions = append(slices.Clip(a.Decisions), Vote{By: actor(ctx).ID, Approve: in.Approve, Reason: in.Reason,
			At: tx.Now(), Lasts: cmp.Or(in.Lasts, approvalGrant), MaxAmount: in.MaxAmount})
		event := "approval.denied"
		if in.Approve {
			open, err := a.open(ctx, w)
			if err != nil {
				return audit.Change{}, err
			}
			if event = "approval.partly_approved"; len(open) == 0 {
				event = "approval.approved"
				a.grant(tx.Now())
			}
		} else {
			a.Status, a.EndsAt = ApprovalDenied, tx.Now().Add(approvalDenial)
		}
		if err := approvals.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		return g.step(ctx, tx, event, &before, &a, in.Reason)
	})
	return a, err
}

// grant makes the request approved, on the strictest terms.
func (a *Approval) grant(now time.Time) {
	lasts := a.Decisions[0].Lasts
	for _, v := range a.Decisions {
		lasts = min(lasts, v.Lasts)
		if v.MaxAmount != nil && (a.MaxAmount == nil || v.MaxAmount.LessThan(*a.MaxAmount)) {
			a.MaxAmount = v.MaxAmount
		}
	}
	a.Status, a.EndsAt = ApprovalApproved, now.Add(lasts)
}

// mayDecide is nil for who may say the next word.
func (a *Approval) mayDecide(ctx context.Context, w world, by audit.Actor, approve bool) error {
	refused := &Denied{Code: "permission_denied", Action: "members.approve_requests", TeamID: a.TeamID, Resource: "approval:" + a.ID}
	if by.Type != audit.User || by.ID == a.Requester {
		refused.Decision.Remedy = []string{"let an approver decide who is not the requester"}
		return refused
	}
	ok, err := qualifiesForAny(ctx, w, a.TeamID, by.ID, a.Requirements)
	if err != nil {
		return err
	}
	if !ok {
		for _, need := range a.Requirements {
			refused.Decision.Remedy = append(refused.Decision.Remedy, "let a holder of "+strings.Join(need.Approvers, " or ")+" decide")
		}
		return refused
	}
	if !approve {
		return nil
	}
	open, err := a.open(ctx, w)
	if err != nil {
		return err
	}
	if ok, err = qualifiesForAny(ctx, w, a.TeamID, by.ID, open); err == nil && !ok {
		return &store.ConflictError{Code: "conflict", Message: "what is theirs to approve is approved; it needs somebody else's word", ID: a.ID}
	}
	return err
}

// WithdrawApproval takes a request back that is pending, or what was granted on it. The requester may do both.
// Who may decide on the request may take back the grant; a request that is pending they deny. What has ended
// is store.ErrConflict.
func (g *Guard) WithdrawApproval(ctx context.Context, orgID, id, reason string) (a Approval, err error) {
	team, err := g.approvalTeam(ctx, orgID, id)
	if err != nil {
		return a, err
	}
	op := Op{Action: "approvals.delete", OrgID: orgID, TeamID: team, Past: true, Resource: "approval:" + id, Self: true}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := CheckText("reason", reason, 0, MaxDescription); err != nil {
			return audit.Change{}, err
		}
		if a, err = ownApproval(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		if err := g.mayWithdraw(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
		return g.withdraw(ctx, tx, &a, reason)
	})
	return a, err
}

func (g *Guard) mayWithdraw(ctx context.Context, tx *store.Tx, a Approval) error {
	by := actor(ctx)
	if by.Sovereign() || by.Type == audit.User && by.ID == a.Requester {
		return nil
	}
	all, err := g.oversees(ctx, tx, by, a.OrgID, a.TeamID)
	if err != nil || !all {
		return cmp.Or(err, store.ErrNotFound) // as to be read
	}
	if a.Status == ApprovalPending {
		return &Denied{Code: "permission_denied", Action: "approvals.delete", TeamID: a.TeamID, Resource: "approval:" + a.ID,
			Decision: Decision{Remedy: []string{"deny it instead: only its requester withdraws a pending request"}}}
	}
	chain, err := Lineage(ctx, tx, a.OrgID)
	if err != nil {
		return err
	}
	return a.mayDecide(ctx, &records{guard: g, tx: tx, chain: chain, locked: true}, by, false)
}

func (g *Guard) withdraw(ctx context.Context, tx *store.Tx, a *Approval, reason string) (audit.Change, error) {
	if now := a.StatusAt(tx.Now()); now != ApprovalPending && now != ApprovalApproved {
		return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the request is " + string(now) + " already", ID: a.ID}
	}
	before := *a
	a.Status = ApprovalWithdrawn
	if err := approvals.Update(ctx, tx, a); err != nil {
		return audit.Change{}, err
	}
	return g.step(ctx, tx, "approval.withdrawn", &before, a, reason)
}

// EndApprovals withdraws what a user, or with "" everybody, has asked for and was granted in an organization, or
// in one team or project of it: who comes back asks anew. Of a user whose membership in a whole organization
// ends it does so in those below as well, where they hold nothing of their own. It is called inside the Change
// that ends a membership; whoever may make that may do this.
func (g *Guard) EndApprovals(ctx context.Context, tx *store.Tx, orgID, teamID, user, reason string) error {
	open, err := standingApprovals(ctx, tx, []string{orgID}, teamID, user)
	if err != nil {
		return err
	}
	if teamID == "" && user != "" {
		below, err := approvalsBelow(ctx, tx, orgID, user)
		if err != nil {
			return err
		}
		open = append(open, below...)
	}
	for i := range open {
		a := &open[i]
		op := Op{Action: "approvals.delete", OrgID: a.OrgID, TeamID: a.TeamID, Past: true, Open: true}
		err := g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			return g.withdraw(ctx, tx, a, reason)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// approvalsBelow are those of a user in the organizations below one, where they hold nothing of their own.
func approvalsBelow(ctx context.Context, tx *store.Tx, orgID, user string) (open []Approval, err error) {
	levels, err := Descendants(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range slices.Concat(levels...) {
		if s.State != Gone {
			ids = append(ids, s.ID)
		}
	}
	for some := range slices.Chunk(ids, store.MaxLimit) {
		found, err := standingApprovals(ctx, tx, some, "", user)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			held, err := Held(ctx, tx, a.OrgID, user)
			if err != nil {
				return nil, err
			}
			if len(held) == 0 {
				open = append(open, a)
			}
		}
	}
	return open, nil
}

// standingApprovals are those that are pending or in force, of one team or of all, of a user or of everybody.
func standingApprovals(ctx context.Context, tx *store.Tx, orgIDs []string, teamID, user string) (open []Approval, err error) {
	q := store.Query{Where: []store.Cond{store.In("org_id", orgIDs),
		store.In("status", []ApprovalStatus{ApprovalPending, ApprovalApproved}), store.From("ends_at", tx.Now().Add(time.Microsecond))}}
	if teamID != "" {
		q.Where = append(q.Where, store.Eq("team_id", teamID))
	}
	if user != "" {
		q.Where = append(q.Where, store.Eq("requester", user))
	}
	for a, err := range approvals.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		open = append(open, a)
	}
	return open, nil
}

// ExpireApprovals notes on requests and grants that their time is over, each with an event, and says on how
// many. Nothing depends on it: what has ended has ended, noted or not. It is the platform's, to be called now
// and then.
func (g *Guard) ExpireApprovals(ctx context.Context) (n int, err error) {
	for {
		var ended []Approval
		err := g.Read(ctx, Op{Action: "approvals.expire"}, func(ctx context.Context, tx *store.Tx) error {
			page, err := approvals.List(ctx, tx, store.Query{Limit: store.MaxLimit, Where: []store.Cond{
				store.In("status", []ApprovalStatus{ApprovalPending, ApprovalApproved}), store.Below("ends_at", tx.Now().Add(time.Microsecond))}})
			ended = page.Items
			return err
		})
		if err != nil || len(ended) == 0 {
			return n, err
		}
		for _, a := range ended {
			if err := g.expire(ctx, a); err != nil {
				return n, err
			}
			n++
		}
	}
}

func (g *Guard) expire(ctx context.Context, a Approval) error {
	op := Op{Action: "approvals.expire", OrgID: a.OrgID, TeamID: a.TeamID, Platform: true, Gone: true, Past: true}
	err := g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		a, err := ownApproval(ctx, tx, a.OrgID, a.ID)
		if err != nil {
			return audit.Change{}, err
		}
		before := a
		if a.Status = a.StatusAt(tx.Now()); a.Status != ApprovalExpired || before.Status == ApprovalExpired {
			return audit.Change{}, errSettled
		}
		if err := approvals.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		return g.step(ctx, tx, "approval.expired", &before, &a, "")
	})
	if errors.Is(err, errSettled) {
		return nil
	}
	return err
}

// errSettled ends a change that somebody else has made meanwhile.
var errSettled = errors.New("rbac: settled meanwhile")

func (g *Guard) approvalTeam(ctx context.Context, orgID, id string) (team string, err error) {
	err = g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := ownApproval(ctx, tx, orgID, id)
		team = a.TeamID
		return err
	})
	return team, err
}
