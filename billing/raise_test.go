package billing_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// as is the context of a user.
func (b books) as(user string) ctx {
	return audit.WithActor(b.t.Context(), audit.Actor{Type: audit.User, ID: user})
}

// approvers has usr_boss and usr_chief own org_1.
func (b books) approvers() {
	b.t.Helper()
	require.NoError(b.t, b.store.Update(b.t.Context(), func(ctx ctx, tx *store.Tx) error {
		owner, _, err := rbac.SeedRoles(ctx, tx, "org_1")
		if err != nil {
			return err
		}
		for _, user := range []string{"usr_boss", "usr_chief"} {
			a := rbac.Assignment{OrgID: "org_1", Subject: user, Kind: rbac.Member, State: rbac.Active, RoleID: owner.ID}
			if err := rbac.Assignments.Insert(ctx, tx, &a); err != nil {
				return err
			}
		}
		return nil
	}))
}

// ask requests a raise of the budget of that scope on the path, in the name of usr_1.
func (b books) ask(scope billing.ScopeKind, usd string, until *time.Time) rbac.Approval {
	b.t.Helper()
	a, opened, err := b.RequestRaise(b.as("usr_1"), "org_1", "", b.states()[scope].Budget.ID, billing.RaiseRequest{Amount: *amount(usd), Until: until})
	require.NoError(b.t, err)
	require.True(b.t, opened)
	return a
}

func (b books) grant(a rbac.Approval, in rbac.ApprovalDecision) rbac.Approval {
	b.t.Helper()
	in.Approve = true
	a, err := b.guard.DecideApproval(b.as("usr_boss"), "org_1", a.ID, in)
	require.NoError(b.t, err)
	return a
}

func TestARaiseHoldsForItsPeriod(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.approvers()
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("10"), Hard: true, Rollover: true})
		b.spend("10")
		ex := b.refuses("4")
		require.True(t, ex.Raisable())
		require.Equal(t, "org_1", ex.OrgID)
		a := b.ask(billing.ScopeTeam, "20", nil)
		b.refuses("4") // nobody has decided
		cap := usd("5")
		a = b.grant(a, rbac.ApprovalDecision{MaxAmount: &cap})
		require.Equal(t, at(t, "2024-02-01T05:00:00Z"), a.EndsAt, "the end of the month in New York")
		b.spend("4")
		require.Equal(t, "15", b.refuses("1.01").Limit.String())
		s := b.states()[billing.ScopeTeam]
		require.Equal(t, []string{"15", "14", "1", "0"}, []string{s.Limit.String(), s.Spent.String(), s.Remaining.String(), s.Over.String()})
		require.Len(t, s.Raises, 1)
		require.Equal(t, a.ID, s.Raises[0].ID)
		require.Equal(t, "5", s.Raises[0].Amount.String())

		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		s = b.states()[billing.ScopeTeam]
		require.Equal(t, "10", s.Limit.String(), "and nothing of a raise rolls over")
		require.Empty(t, s.Raises)
		b.spend("10")
		b.refuses("0.01")
	})
}

func TestARaiseThatEndsLeavesNobodyWithoutCover(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.approvers()
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("10"), Hard: true})
		b.spend("9")
		until := clock.Now().Add(time.Hour)
		require.Equal(t, until, b.grant(b.ask(billing.ScopeTeam, "5", &until), rbac.ApprovalDecision{}).EndsAt)
		b.grant(b.ask(billing.ScopeTeam, "5", nil), rbac.ApprovalDecision{}) // another one beside it
		require.Equal(t, "20", b.states()[billing.ScopeTeam].Limit.String())
		flying, err := b.Reserve(t.Context(), path, amount("4"))
		require.NoError(t, err)
		kept, err := b.Hold(t.Context(), path, amount("6")) // 19 of 20 are out
		require.NoError(t, err)

		clock.Advance(time.Hour) // and one of the two is over
		require.Equal(t, at(t, "2024-02-01T05:00:00Z"), b.refuses("1").ResetAt)
		s := b.states()[billing.ScopeTeam]
		require.Equal(t, []string{"15", "0"}, []string{s.Limit.String(), s.Remaining.String()})
		require.NoError(t, flying.Settle(t.Context(), usd("3")))
		require.NoError(t, b.Flush(t.Context()))
		s = b.states()[billing.ScopeTeam]
		require.Equal(t, []string{"12", "6", "3"}, []string{s.Spent.String(), s.Reserved.String(), s.Over.String()})
		require.NoError(t, kept.Settle(t.Context(), usd("2")))
		s = b.states()[billing.ScopeTeam]
		require.Equal(t, []string{"14", "1", "0"}, []string{s.Spent.String(), s.Remaining.String(), s.Over.String()})
		_, err = b.Hold(t.Context(), path, amount("1.01"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		_, err = b.Hold(t.Context(), path, amount("1"))
		require.NoError(t, err)
	})
}

func TestARaiseIsTakenBack(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.approvers()
		b.budget(billing.Budget{Scope: billing.ScopeMember, ScopeID: "usr_1", TeamID: "team_1", Limit: usd("1"), Hard: true, Window: billing.Lifetime})
		b.spend("1")
		a := b.grant(b.ask(billing.ScopeMember, "3", nil), rbac.ApprovalDecision{})
		require.Equal(t, clock.Now().Add(365*24*time.Hour), a.EndsAt, "there is no period that ends")
		b.spend("2")
		_, err := b.guard.WithdrawApproval(b.as("usr_chief"), "org_1", a.ID, "too much")
		require.NoError(t, err)
		b.refuses("0.01")
		s := b.states()[billing.ScopeMember]
		require.Equal(t, []string{"1", "3", "2"}, []string{s.Limit.String(), s.Spent.String(), s.Over.String()})
		require.Empty(t, s.Raises)

		a = b.grant(b.ask(billing.ScopeMember, "3", nil), rbac.ApprovalDecision{Lasts: time.Hour})
		require.Equal(t, clock.Now().Add(time.Hour), a.EndsAt)
		b.spend("1")
		clock.Advance(time.Hour)
		b.refuses("0.01")
	})
}

func TestARaiseStaysWhenTheBudgetChanges(t *testing.T) { // billing edge 7
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.approvers()
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		team := billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("10"), Hard: true}
		b.budget(team)
		b.grant(b.ask(billing.ScopeTeam, "5", nil), rbac.ApprovalDecision{})
		team.Limit = usd("2")
		b.budget(team)
		require.Equal(t, "7", b.states()[billing.ScopeTeam].Limit.String())
		b.spend("6")
		require.NoError(t, b.Flush(t.Context()))
		team.Window = billing.CalendarDay // the raise goes with it, and is not granted anew every day
		b.budget(team)
		require.Equal(t, "1", b.refuses("1.01").Remaining.String())
		clock.Advance(24 * time.Hour)
		require.Equal(t, "2", b.states()[billing.ScopeTeam].Limit.String())
		team.Window = billing.CalendarMonth
		b.budget(team)
		require.Equal(t, []string{"2", "6"}, []string{b.states()[billing.ScopeTeam].Limit.String(), b.states()[billing.ScopeTeam].Spent.String()})
	})
}

func TestOneDecisionOfTwoRaises(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.approvers()
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1"), Hard: true})
		a := b.ask(billing.ScopeOrg, "5", nil)
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for i := range cap(errs) {
			wg.Go(func() {
				_, err := b.guard.DecideApproval(b.as([]string{"usr_boss", "usr_chief"}[i%2]), "org_1", a.ID, rbac.ApprovalDecision{Approve: i%4 < 3})
				errs <- err
			})
		}
		wg.Wait()
		close(errs)
		won := 0
		for err := range errs {
			if err == nil {
				won++
				continue
			}
			require.ErrorIs(t, err, store.ErrConflict)
		}
		require.Equal(t, 1, won)
		log, err := b.guard.Audit().List(asPlatform(t), "org_1", audit.Filter{Resources: []string{"approval:" + a.ID}})
		require.NoError(t, err)
		require.Len(t, log.Items, 2, "one event of the request, and one of the decision")
		limit := map[string]string{"approval.approved": "6", "approval.denied": "1"}[log.Items[0].Type]
		require.Equal(t, limit, b.states()[billing.ScopeOrg].Limit.String())
	})
}

func TestWhoAsksAndWhoDecides(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.approvers()
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("1"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeMember, ScopeID: "usr_1", Limit: usd("1"), Hard: true})
		team, member := b.states()[billing.ScopeTeam].Budget.ID, b.states()[billing.ScopeMember].Budget.ID
		three := billing.RaiseRequest{Amount: usd("3"), Reason: "a launch"}

		for _, who := range []string{"usr_boss", "usr_stranger"} { // in no team, and in no organization
			_, _, err := b.RequestRaise(b.as(who), "org_1", "", team, three)
			require.ErrorIs(t, err, store.ErrNotFound, who)
		}
		_, _, err := b.RequestRaise(b.as("usr_chief"), "org_1", "", member, three)
		require.ErrorIs(t, err, store.ErrNotFound, "somebody else's")
		_, _, err = b.RequestRaise(b.as("usr_1"), "org_2", "", team, three)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, _, err = b.RequestRaise(asPlatform(t), "org_1", "", team, three)
		require.ErrorIs(t, err, store.ErrInvalid, "a person asks")
		_, _, err = b.RequestRaise(t.Context(), "org_1", "", team, three)
		require.ErrorIs(t, err, rbac.ErrNoActor)
		past := clock.Now()
		for field, in := range map[string]billing.RaiseRequest{"amount": {Amount: usd("0.0000000000001")}, "until": {Amount: usd("1"), Until: &past}} {
			_, _, err = b.RequestRaise(b.as("usr_1"), "org_1", "", team, in)
			var wrong *store.FieldError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, field, wrong.Field)
		}

		a := b.ask(billing.ScopeTeam, "3", nil)
		again, opened, err := b.RequestRaise(b.as("usr_1"), "org_1", "", team, billing.RaiseRequest{Amount: usd("3.00")})
		require.NoError(t, err)
		require.False(t, opened)
		require.Equal(t, a.ID, again.ID)
		_, _, err = b.RequestRaise(b.as("usr_1"), "org_1", "", team, billing.RaiseRequest{Amount: usd("4")})
		var pending *store.ConflictError
		require.ErrorAs(t, err, &pending)
		require.Equal(t, a.ID, pending.ID)

		_, err = b.guard.DecideApproval(b.as("usr_1"), "org_1", a.ID, rbac.ApprovalDecision{Approve: true})
		require.ErrorIs(t, err, rbac.ErrDenied, "nobody approves their own")
		four, nothing := usd("4"), usd("0")
		for _, more := range []rbac.ApprovalDecision{{Approve: true, MaxAmount: &four}, {Approve: true, MaxAmount: &nothing}} {
			_, err = b.guard.DecideApproval(b.as("usr_boss"), "org_1", a.ID, more)
			require.ErrorIs(t, err, store.ErrInvalid, "as much as was asked for, and something")
		}
		page, err := b.Raises(b.as("usr_boss"), "org_1", "team_1", "", rbac.ApprovalFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		page, err = b.Raises(b.as("usr_1"), "org_1", "", member, rbac.ApprovalFilter{})
		require.NoError(t, err)
		require.Empty(t, page.Items, "of another budget")
		_, err = b.guard.DecideApproval(b.as("usr_boss"), "org_1", a.ID, rbac.ApprovalDecision{Reason: "no"})
		require.NoError(t, err)
		_, _, err = b.RequestRaise(b.as("usr_1"), "org_1", "", team, three)
		var denied *rbac.Denied
		require.ErrorAs(t, err, &denied)
		require.Equal(t, "approval_denied", denied.Code)
		require.Equal(t, "1", b.states()[billing.ScopeTeam].Limit.String())
	})
}

func TestWhatABudgetLimitsIsOfItsOrganization(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		require.NoError(t, b.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
			scope := rbac.Scope{Zone: "UTC", State: rbac.Active}
			scope.ID = "org_2"
			if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
				return err
			}
			for _, a := range []rbac.Assignment{{Subject: "usr_2", Kind: rbac.Member}, {Subject: "key_2", Kind: rbac.Key}} {
				a.OrgID, a.State = "org_2", rbac.Active
				if err := rbac.Assignments.Insert(ctx, tx, &a); err != nil {
					return err
				}
			}
			return nil
		}))
		set := func(scope billing.ScopeKind, id, team string) error {
			budget := billing.Budget{OrgID: "org_1", Scope: scope, ScopeID: id, TeamID: team, Window: "1d"}
			_, err := b.SetBalance(asPlatform(t), budget, usd("1"))
			_, again := b.SetBudget(asPlatform(t), budget)
			require.Equal(t, err == nil, again == nil)
			return again
		}
		for _, foreign := range [][3]string{{"user", "usr_2"}, {"key", "key_2"}, {"key", "usr_1"}, {"member", "usr_2"}, {"member", "key_1"}, {"member", "usr_1", "team_2"},
			{"member", "usr_1", "proj_1"}, {"team", "team_2"}, {"team", "proj_1"}, {"project", "proj_2"}, {"project", "team_1"}, {"key", "key_none"}} {
			require.ErrorIs(t, set(billing.ScopeKind(foreign[0]), foreign[1], foreign[2]), store.ErrNotFound, foreign)
		}
		for _, own := range [][3]string{{"user", "usr_1"}, {"key", "key_1"}, {"member", "usr_1"}, {"member", "usr_1", "team_1"}, {"team", "team_1"}, {"project", "proj_1"}} {
			require.NoError(t, set(billing.ScopeKind(own[0]), own[1], own[2]), own)
		}
	})
}
