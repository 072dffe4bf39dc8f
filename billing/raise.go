package billing

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Raise is what a budget has for a time beyond its limit. It is a part of the account of the period in which it was
// approved: the next period knows nothing of it, nor does anything of it roll over.
type Raise struct {
	ID     string          `json:"id"` // of the approval
	Amount decimal.Decimal `json:"amount"`
	EndsAt time.Time       `json:"ends_at"`
}

// RaiseAction is the action of requests for raises.
const RaiseAction = "budget.raise"

// modifyBudget is what their approvers hold, as does who changes a budget.
const modifyBudget = "budget.modify"

const budgetType = "budget" // of resources

// RaiseRequest asks for more than the limit of a budget.
type RaiseRequest struct {
	Amount    decimal.Decimal // USD, above 0
	Reason    string
	Until     *time.Time // nil: the end of the period
	Requester string     // user; "" is the actor or the person bound to it, and only the platform asks for others
}

func (in RaiseRequest) validate(now time.Time) error {
	if err := checkAmount("amount", in.Amount); err != nil {
		return err
	}
	if !in.Amount.RoundFloor(12).IsPositive() {
		return store.Invalid("amount", "range", "must be above 0")
	}
	if in.Until != nil && !in.Until.After(now) {
		return store.Invalid("until", "range", "must be in the future")
	}
	return nil
}

// RequestRaise asks for a raise of a budget of the organization, or returns the request of the same person that is
// pending; opened says which. With budgetID "" the budget is that of the settings of the team or project, or its only
// one; that it has several is a *store.ConflictError. Those may ask who are in the team, project or organization of the
// budget, or whose own it is; to others it does not exist. Who holds budget.modify there decides ([rbac.Guard.DecideApproval]), of others'
// requests, and may grant less than was asked for.
//
// What is granted holds from then on, until the end of the period, the time that was asked for or 365 days are
// over, whichever is first, and is gone then. [rbac.Guard.WithdrawApproval] ends it before.
func (l *Ledger) RequestRaise(ctx context.Context, orgID, teamID, budgetID string, in RaiseRequest) (a rbac.Approval, opened bool, err error) {
	if err := in.validate(l.store.Now()); err != nil {
		return a, false, err
	}
	in.Amount = in.Amount.RoundFloor(12)
	if in.Until != nil { // as it is kept
		until := in.Until.UTC().Truncate(time.Microsecond)
		in.Until = &until
	}
	b, err := l.raisable(ctx, orgID, teamID, budgetID)
	if err != nil {
		return a, false, err
	}
	return l.guard.Petition(ctx, rbac.Petition{OrgID: orgID, TeamID: b.place(), Action: RaiseAction, Resource: b.raiseResource(),
		Permission: modifyBudget, Requester: in.Requester, Reason: in.Reason, Amount: &in.Amount, Until: in.Until},
		func(ctx context.Context, tx *store.Tx) error {
			b, err := ownBudget(ctx, tx, orgID, b.ID)
			if err != nil {
				return err
			}
			return mayAsk(ctx, tx, b)
		})
}

func (b Budget) raiseResource() string { return budgetType + ":" + b.ID }

// raisable is the budget, for who holds anything in the organization.
func (l *Ledger) raisable(ctx context.Context, orgID, teamID, id string) (b Budget, err error) {
	err = l.guard.Read(ctx, rbac.Op{Action: RaiseAction, OrgID: orgID, TeamID: teamID, Self: true}, func(ctx context.Context, tx *store.Tx) error {
		if id != "" {
			b, err = ownBudget(ctx, tx, orgID, id)
			return err
		}
		page, err := Budgets.List(ctx, tx, store.Query{Where: ofPlace(orgID, teamID)})
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(page.Items, func(b Budget) bool { return b.Name == OfSettings }); i >= 0 {
			b = page.Items[i]
			return nil
		}
		switch len(page.Items) {
		case 0:
			return store.ErrNotFound
		case 1:
			b = page.Items[0]
			return nil
		}
		return &store.ConflictError{Code: "conflict", Message: "there are several budgets; name one by its id"}
	})
	return b, err
}

// ownBudget is a budget of the organization.
func ownBudget(ctx context.Context, tx *store.Tx, orgID, id string) (Budget, error) {
	b, err := Budgets.Get(ctx, tx, id)
	if err == nil && b.OrgID != orgID {
		return Budget{}, store.ErrNotFound
	}
	return b, err
}

// mayAsk answers store.ErrNotFound unless the actor spends from the budget, as far as their memberships say.
func mayAsk(ctx context.Context, tx *store.Tx, b Budget) error {
	by, _ := audit.ActorFrom(ctx)
	if by.Sovereign() || b.Scope == ScopeOrg || b.Scope == ScopeModel {
		return nil
	}
	if b.Scope == ScopeMember || b.Scope == ScopeUser {
		if by.Person() == b.ScopeID {
			return nil
		}
		return store.ErrNotFound
	}
	subject := by.Person()
	if b.Scope == ScopeKey {
		subject = b.ScopeID
	}
	held, err := rbac.Held(ctx, tx, b.OrgID, subject)
	if err != nil {
		return err
	}
	for _, a := range held {
		if b.Scope == ScopeKey && a.Bound == by.Person() || b.Scope != ScopeKey && a.TeamID == b.ScopeID {
			return nil
		}
	}
	return store.ErrNotFound
}

// Raises lists the requests for raises of one budget, or with budgetID "" of all budgets of a team or project, the
// newest first. Who holds budget.modify there sees all of them, everybody else their own.
func (l *Ledger) Raises(ctx context.Context, orgID, teamID, budgetID string, f rbac.ApprovalFilter) (page store.Page[rbac.Approval], err error) {
	f.Action, f.Permission = RaiseAction, modifyBudget
	if budgetID != "" {
		b, err := l.raisable(ctx, orgID, teamID, budgetID)
		if err != nil {
			return page, err
		}
		teamID, f.Resource = b.place(), b.raiseResource()
	}
	return l.guard.Approvals(ctx, orgID, teamID, f)
}

// applyRaise brings the raise that was granted on a request into the account of the period that runs, or takes it out.
func (l *Ledger) applyRaise(ctx context.Context, tx *store.Tx, req *rbac.Approval) error {
	granted := req.Status == rbac.ApprovalApproved
	b, err := ownBudget(ctx, tx, req.OrgID, strings.TrimPrefix(req.Resource, budgetType+":"))
	switch {
	case errors.Is(err, store.ErrNotFound) && granted:
		return &store.ConflictError{Code: "conflict", Message: "the budget is gone", ID: req.ID}
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	a, end, err := l.open(ctx, tx, b)
	if err != nil {
		return err
	}
	was := a.Raises
	a.Raises = slices.DeleteFunc(slices.Clone(was), func(r Raise) bool { return r.ID == req.ID })
	if granted {
		for _, t := range []*time.Time{&end, req.Until} {
			if t != nil && !t.IsZero() && t.Before(req.EndsAt) {
				req.EndsAt = *t
			}
		}
		if !req.EndsAt.After(tx.Now()) {
			return &store.ConflictError{Code: "conflict", Message: "the time is over for which it was asked", ID: req.ID}
		}
		amount := *req.Amount
		if m := req.MaxAmount; m != nil && m.LessThan(amount) {
			amount = m.RoundFloor(12)
		}
		a.Raises = append(a.Raises, Raise{req.ID, amount, req.EndsAt})
		if a.raised().GreaterThan(mostCarried) {
			return store.Invalid("max_amount", "range", "there are raises enough")
		}
	}
	a.relimit(a.Limit.Sub(total(was)).Add(a.raised()), a.Hard)
	if err := l.reopen(ctx, tx, b, a); err != nil {
		return err
	}
	if err := l.tell(ctx, tx, b, a); err != nil {
		return err
	}
	if err := accounts.Put(ctx, tx, []*account{a}); err != nil {
		return err
	}
	return l.Touch(ctx, tx, b.OrgID)
}

func total(raises []Raise) (d decimal.Decimal) {
	for _, r := range raises {
		d = d.Add(r.Amount)
	}
	return d
}

// raised is how much of the limit are raises.
func (a *account) raised() decimal.Decimal { return total(a.Raises) }

// lapse takes the raises out of the limit that have ended before the period does. The account may be over its limit
// then, as after a limit was lowered. Those that last as long as the period stay: they are a part of what it was.
func (a *account) lapse(now time.Time) {
	var left []Raise // another slice: what was read may be shared
	for _, r := range a.Raises {
		if now.Before(r.EndsAt) || !a.PeriodEnd.IsZero() && !r.EndsAt.Before(a.PeriodEnd) {
			left = append(left, r)
		}
	}
	if len(left) < len(a.Raises) {
		a.Limit, a.Told = a.Limit.Sub(a.raised()).Add(total(left)), 0
		a.Raises = left
		a.balance()
	}
}

// soonest is when the first of the raises ends that are in force, the zero time for never.
func (a *account) soonest(now time.Time) (end time.Time) {
	for _, r := range a.Raises {
		if now.Before(r.EndsAt) && (end.IsZero() || r.EndsAt.Before(end)) {
			end = r.EndsAt
		}
	}
	return end
}

// endWithRaises has the fund end as soon as a raise on its path does: less may be leased after that.
func (f *fund) endWithRaises(ctx context.Context, tx *store.Tx, tills []till) error {
	ids := make([]string, len(tills))
	for i := range tills {
		ids[i] = tills[i].account
	}
	page, err := accounts.List(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}})
	for i := range page.Items {
		if end := page.Items[i].soonest(tx.Now()); !end.IsZero() && (end.Before(f.end) || f.end.IsZero()) {
			f.end = end
		}
	}
	return err
}
