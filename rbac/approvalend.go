package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// WithdrawApproval takes a request back that is pending, or what was granted on it. The requester may do both.
// Who may decide on the request may take back the grant; a request that is pending they deny. What has ended
// is store.ErrConflict.
func (g *Guard) WithdrawApproval(ctx context.Context, orgID, id, reason string) (a Approval, err error) {
	seen, err := g.pending(ctx, orgID, id)
	if err != nil {
		return a, err
	}
	op := Op{Action: "approvals.delete", OrgID: orgID, TeamID: seen.TeamID, Past: true, Resource: "approval:" + id, Self: true}
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
	if err := g.mustSee(ctx, tx, by, &a); err != nil {
		return err
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
	if before.Status == ApprovalApproved {
		if err := g.apply(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
	}
	if err := approvals.Update(ctx, tx, a); err != nil {
		return audit.Change{}, err
	}
	return g.step(ctx, tx, "approval.withdrawn", &before, a, reason)
}

// EndApprovals withdraws what a user, or with "" everybody, has asked for and was granted in an organization, or
// in one team or project of it: who comes back asks anew. Of a user whose membership in a whole organization
// ends it does so in those below as well, where they hold nothing of their own. What a user was granted of a [Matter] is
// not theirs alone, and stays. It is called inside the Change that ends a membership; whoever may make that may do this.
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
		if user != "" && a.Status == ApprovalApproved && a.ofMatter() {
			continue
		}
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
	q := store.Query{Where: []store.Cond{store.In("org_id", orgIDs), store.In("status", ending), notOver(tx.Now())}}
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

// Requesters are the subjects who have asked for something in a team that is pending or in force.
func Requesters(ctx context.Context, tx *store.Tx, orgID, teamID string) (map[string]bool, error) {
	open, err := standingApprovals(ctx, tx, []string{orgID}, teamID, "")
	if err != nil {
		return nil, err
	}
	who := make(map[string]bool, len(open))
	for _, a := range open {
		who[a.Requester] = true
	}
	return who, nil
}

// ExpireApprovals notes on requests and grants that their time is over, each with an event, and says on how
// many. Nothing depends on it: what has ended has ended, noted or not. What fails does not keep the rest
// waiting. It is the platform's, to be called now and then.
func (g *Guard) ExpireApprovals(ctx context.Context) (n int, err error) {
	var ended []Approval
	err = g.Read(ctx, Op{Action: "approvals.expire"}, func(ctx context.Context, tx *store.Tx) error {
		ended = nil
		for a, err := range approvals.All(ctx, tx, store.Query{Where: []store.Cond{store.In("status", ending), over(tx.Now())}}) {
			if err != nil {
				return err
			}
			ended = append(ended, a)
		}
		return nil
	})
	failed := []error{err}
	for i := 0; i < len(ended) && ctx.Err() == nil; i++ {
		switch err := g.expire(ctx, ended[i]); {
		case err == nil:
			n++
		case !errors.Is(err, errSettled):
			failed = append(failed, fmt.Errorf("approval %s: %w", ended[i].ID, err))
		}
	}
	return n, errors.Join(append(failed, ctx.Err())...)
}

func (g *Guard) expire(ctx context.Context, a Approval) error {
	op := Op{Action: "approvals.expire", OrgID: a.OrgID, TeamID: a.TeamID, Platform: true, Gone: true, Past: true}
	return g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
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
}

// errSettled ends a change that somebody else has made meanwhile.
var errSettled = errors.New("rbac: settled meanwhile")
