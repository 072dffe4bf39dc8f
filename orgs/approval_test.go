package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// wanting is a team in which o3 needs an approval: by its settings from a team lead or an org admin, and for who
// holds cautious by a policy from finance.
type wanting struct {
	*orgstest.World
	clock                *storetest.Clock
	told                 *orgstest.Notifications
	org                  orgs.Organization
	team                 orgs.Team
	owner, lead, finance orgs.User
	dev, other           orgs.User // who ask

}

func eachWanting(t *testing.T, fn func(t *testing.T, w wanting)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		told := &orgstest.Notifications{}
		w := wanting{World: orgstest.New(t, s, &orgs.Options{Notifier: told}), clock: clock, told: told}
		w.org, w.owner = w.Org("acme")
		for slug, permissions := range map[string][]string{
			"team_lead": {"members.approve_requests"}, "finance": {"members.approve_requests"},
			"head": {"members.approve_requests"}, "developer": {"models.use"}, "silent": {"models.use"},
		} {
			_, err := w.CreateRole(w.Platform(), w.org.ID, rbac.NewRole{Name: slug, Slug: slug, Permissions: permissions})
			require.NoError(t, err)
		}
		w.team = w.Team(w.org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3", "o4"}},
			Notifications: &orgs.NotificationSettings{ApprovalRequests: []string{"cto@acme.example", "team_leads"}}})
		w.lead = w.Join(w.team, "lead@acme.example", "team_lead")
		w.finance = w.Join(w.team, "finance@acme.example", "finance")
		w.dev, w.other = w.Join(w.team, "dev@acme.example", "developer"), w.Join(w.team, "other@acme.example", "developer")
		told.Take()
		fn(t, w)
	})
}

// policy wants an approval from finance for one model, beside the one that the settings of the team want.
func (w wanting) policy(t *testing.T, reason bool) {
	// The role alone would allow it: the deny leaves the statement with the approval as the only way.
	role, err := w.UpdateRole(w.Platform(), w.org.ID, "developer", rbac.RoleUpdate{Permissions: &[]string{"usage.read"}})
	require.NoError(t, err)
	require.Equal(t, "developer", role.Slug)
	_, _, err = w.CreatePolicy(w.Platform(), w.org.ID, w.team.ID, rbac.NewPolicy{Name: "dear", Statements: []rbac.Statement{{
		Effect: rbac.EffectAllow, Actions: []string{"models:use"}, Resources: []string{"model:*"},
		Conditions: rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.Required, Approvers: []string{"finance"}, ReasonRequired: reason}}}}})
	require.NoError(t, err)
}

func (w wanting) call(model string) rbac.Request {
	return rbac.Request{OrgID: w.org.ID, TeamID: w.team.ID, Action: "models.use", Call: rbac.Call{Resource: "model:" + model, At: w.clock.Now()}}
}

// ask opens a request.
func (w wanting) ask(t *testing.T, by orgs.User, model, reason string) rbac.Approval {
	t.Helper()
	a, opened, err := w.RequestApproval(w.As(by), w.call(model), reason)
	require.NoError(t, err)
	require.True(t, opened)
	return a
}

func (w wanting) decide(by orgs.User, a rbac.Approval, d rbac.ApprovalDecision) (rbac.Approval, error) {
	return w.DecideApproval(w.As(by), w.org.ID, a.ID, d)
}

// passes says whether the user may call the model: memory and a unit say the same.
func (w wanting) passes(t *testing.T, by orgs.User, model string) rbac.Decision {
	t.Helper()
	r := w.call(model)
	kept, err := w.Decide(t.Context(), by.ID, &r)
	require.NoError(t, err)
	require.NoError(t, w.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		d, err := w.Check(ctx, tx, by.ID, r)
		kept.ID = d.ID
		require.Equal(t, d, kept)
		return err
	}))
	return kept
}

func (w wanting) events(t *testing.T, id string) (types []string) {
	t.Helper()
	page, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Resources: []string{"approval:" + id}})
	require.NoError(t, err)
	for _, e := range page.Items {
		types = append(types, e.Type)
	}
	return types
}

var yes = rbac.ApprovalDecision{Approve: true}

// One request serves the setting of the team and the policy (F321), and each step is an event and tells those
// whom it concerns (F105, F463).
func TestOneRequestMeetsAllRulesThatAskForOne(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		w.policy(t, false)
		d := w.passes(t, w.dev, "o3")
		require.Equal(t, "approval_required", d.Code)
		require.Equal(t, "allowed after one approval by finance and after one approval by team_lead or org_admin", d.Would)

		a := w.ask(t, w.dev, "o3", "long contracts")
		require.Equal(t, []rbac.ApprovalNeed{{Approvers: []string{"finance"}}, {Approvers: []string{"team_lead", "org_admin"}}}, a.Requirements)
		again, opened, err := w.RequestApproval(w.As(w.dev), w.call("o3"), "")
		require.NoError(t, err)
		require.False(t, opened)
		require.Equal(t, a.ID, again.ID)

		half, err := w.decide(w.lead, a, rbac.ApprovalDecision{Approve: true, Lasts: 48 * time.Hour, MaxAmount: ptr(decimal.NewFromInt(9))})
		require.NoError(t, err)
		require.Equal(t, rbac.ApprovalPending, half.Status)
		require.False(t, w.passes(t, w.dev, "o3").Allowed)
		for _, who := range []orgs.User{w.lead, w.owner} {
			_, err = w.decide(who, a, yes)
			require.ErrorIs(t, err, store.ErrConflict, "the settings' word was given, finance's is missing")
		}
		whole, err := w.decide(w.finance, a, rbac.ApprovalDecision{Approve: true, Reason: "in budget", Lasts: 24 * time.Hour, MaxAmount: ptr(decimal.NewFromInt(10))})
		require.NoError(t, err)
		require.Equal(t, rbac.ApprovalApproved, whole.Status)
		require.Equal(t, w.clock.Now().Add(24*time.Hour), whole.EndsAt, "the shorter of the two")
		require.Equal(t, "9", whole.MaxAmount.String(), "the lower of the two")

		require.False(t, w.passes(t, w.dev, "o3").Allowed, "it has a cost cap, and the cost is not known")
		r := w.call("o3")
		for cost, allowed := range map[string]bool{"9": true, "9.000001": false} {
			r.Cost = ptr(decimal.RequireFromString(cost))
			got, err := w.Allows(t.Context(), w.dev.ID, &r)
			require.NoError(t, err)
			require.Equal(t, allowed, got.Allowed, cost)
		}
		require.False(t, w.passes(t, w.other, "o3").Allowed, "somebody else")
		require.False(t, w.passes(t, w.dev, "o4").Allowed, "another model")

		require.Equal(t, []string{"approval.approved", "approval.partly_approved", "approval.requested"}, w.events(t, a.ID))
		var told [][]string
		for _, n := range w.told.Take() {
			told = append(told, append([]string{n.Kind}, n.To...))
		}
		require.Equal(t, [][]string{
			{"approval.requested", "cto@acme.example", "finance@acme.example", "lead@acme.example", "owner@acme.example"},
			{"approval.partly_approved", "finance@acme.example"},
			{"approval.approved", "dev@acme.example"},
		}, told)

		_, err = w.UpdateMember(w.Platform(), orgs.Place{OrgID: w.org.ID, TeamID: w.team.ID}, w.finance.ID, orgs.MemberUpdate{Role: ptr("silent")})
		require.NoError(t, err)
		got, err := w.Allows(t.Context(), w.dev.ID, &r)
		require.NoError(t, err)
		require.False(t, got.Allowed, "one who approved it may not any more (S17.2)")
	})
}

// Who decides (F061, F151): one who is named, holds members.approve_requests there, and is not the requester.
func TestWhoDecidesAnApproval(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		at := orgs.Place{OrgID: w.org.ID, TeamID: w.team.ID}
		elsewhere := w.Team(w.org, "elsewhere", orgs.TeamSettings{})
		stranger := w.Join(elsewhere, "lead@elsewhere.example", "team_lead")
		head := w.Join(w.team, "head@acme.example", "head")
		a := w.ask(t, w.dev, "o3", "")
		for name, who := range map[string]orgs.User{"the requester": w.dev, "a colleague": w.other, "finance, whom nobody named": w.finance,
			"who may approve, but is not named": head, "the lead of another team": stranger} {
			for _, d := range []rbac.ApprovalDecision{yes, {}} {
				_, err := w.decide(who, a, d)
				require.ErrorIs(t, err, rbac.ErrDenied, name)
			}
		}
		_, err := w.UpdateMember(w.Platform(), at, w.lead.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Remove: []string{"members.approve_requests"}}})
		require.NoError(t, err)
		_, err = w.decide(w.lead, a, yes)
		require.ErrorIs(t, err, rbac.ErrDenied, "holds the role, and not the permission")
		_, err = w.decide(w.owner, a, rbac.ApprovalDecision{Approve: true, Lasts: time.Minute})
		require.ErrorIs(t, err, store.ErrInvalid)
		_, err = w.decide(w.owner, a, rbac.ApprovalDecision{Approve: true, MaxAmount: ptr(decimal.NewFromInt(-1))})
		require.ErrorIs(t, err, store.ErrInvalid)
		require.Equal(t, []string{"approval.requested"}, slices.DeleteFunc(w.events(t, a.ID), func(e string) bool { return e == "authorization.denied" }))
		_, err = w.decide(w.owner, a, yes)
		require.NoError(t, err)
		require.True(t, w.passes(t, w.dev, "o3").Allowed)

		// An owner who asks cannot approve it, nor can the platform, which is nobody.
		own := w.ask(t, w.owner, "o4", "")
		_, err = w.decide(w.owner, own, yes)
		require.ErrorIs(t, err, rbac.ErrDenied)
		_, err = w.DecideApproval(w.Platform(), w.org.ID, own.ID, yes)
		require.ErrorIs(t, err, rbac.ErrDenied)
	})
}

func TestWhatNeedsAReasonIsNotOpenedWithoutOne(t *testing.T) { // F152
	eachWanting(t, func(t *testing.T, w wanting) {
		w.policy(t, true)
		var field *store.FieldError
		for _, reason := range []string{"", " \t"} {
			_, _, err := w.RequestApproval(w.As(w.dev), w.call("o3"), reason)
			require.ErrorAs(t, err, &field)
			require.Equal(t, []string{"reason", "required"}, []string{field.Field, field.Code})
		}
		page, err := w.Approvals(w.As(w.owner), w.org.ID, "", rbac.ApprovalFilter{})
		require.NoError(t, err)
		require.Empty(t, page.Items)
		a := w.ask(t, w.dev, "o3", "long contracts")
		log, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Resources: []string{"approval:" + a.ID}})
		require.NoError(t, err)
		require.Equal(t, "long contracts", log.Items[0].Reason)
		require.Equal(t, "long contracts", w.told.Take()[0].About.(orgs.ApprovalStep).Reason)
	})
}

func TestNothingIsOpenedThatAnApprovalDoesNotOpen(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		_, _, err := w.RequestApproval(w.As(w.dev), w.call("gpt-4o"), "")
		require.ErrorIs(t, err, store.ErrInvalid, "it is allowed")
		_, _, err = w.RequestApproval(w.As(w.finance), w.call("gpt-4o"), "")
		require.ErrorIs(t, err, rbac.ErrDenied, "no role gives models.use")
		_, err = w.UpdateTeam(w.Platform(), w.team.ID, orgs.TeamUpdate{Settings: &orgs.TeamSettings{Models: &orgs.ModelSettings{
			RequireApproval: []string{"o3"}, Blocked: []string{"o3"}}}})
		require.NoError(t, err)
		_, _, err = w.RequestApproval(w.As(w.dev), w.call("o3"), "")
		var d *rbac.Denied
		require.ErrorAs(t, err, &d, "blocked beats an approval (F320)")
		require.Equal(t, "model_not_allowed", d.Code)

		others := w.call("o4")
		others.Person = w.other.ID
		_, _, err = w.RequestApproval(w.As(w.dev), others, "")
		require.ErrorIs(t, err, rbac.ErrDenied, "everybody asks for themselves")
		for name, r := range map[string]rbac.Request{
			"action":   {OrgID: w.org.ID, TeamID: w.team.ID, Action: "no.such", Call: rbac.Call{Resource: "model:o4"}},
			"resource": {OrgID: w.org.ID, TeamID: w.team.ID, Action: "models.use"},
		} {
			_, _, err := w.RequestApproval(w.As(w.dev), r, "")
			var field *store.FieldError
			require.ErrorAs(t, err, &field)
			require.Equal(t, name, field.Field)
		}
	})
}

// What ends ends by itself, and is noted when somebody looks after it.
func TestRequestsAndGrantsEnd(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		lapsed, granted, denied := w.ask(t, w.dev, "o3", ""), w.ask(t, w.dev, "o4", ""), w.ask(t, w.other, "o3", "")
		_, err := w.decide(w.lead, granted, rbac.ApprovalDecision{Approve: true, Lasts: 48 * time.Hour})
		require.NoError(t, err)
		_, err = w.decide(w.lead, denied, rbac.ApprovalDecision{Reason: "too dear"})
		require.NoError(t, err)
		_, _, err = w.RequestApproval(w.As(w.other), w.call("o3"), "")
		var refused *rbac.Denied
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "approval_denied", refused.Code)
		n, err := w.ExpireApprovals(w.Platform())
		require.NoError(t, err)
		require.Zero(t, n)

		w.clock.Advance(24 * time.Hour)
		w.ask(t, w.other, "o3", "") // a day is over
		w.clock.Advance(24*time.Hour - time.Microsecond)
		require.True(t, w.passes(t, w.dev, "o4").Allowed)
		require.Equal(t, w.clock.Now().Add(time.Microsecond), w.passes(t, w.dev, "o4").Until)
		w.clock.Advance(time.Microsecond)
		require.False(t, w.passes(t, w.dev, "o4").Allowed)
		w.clock.Advance(5*24*time.Hour - time.Microsecond)
		_, err = w.decide(w.lead, lapsed, rbac.ApprovalDecision{Reason: "still there"})
		require.NoError(t, err)
		lapsed = w.ask(t, w.dev, "o4", "")
		w.clock.Advance(7 * 24 * time.Hour)
		_, err = w.decide(w.lead, lapsed, yes)
		require.ErrorIs(t, err, store.ErrConflict)
		_, err = w.WithdrawApproval(w.As(w.dev), w.org.ID, lapsed.ID, "")
		require.ErrorIs(t, err, store.ErrConflict)

		w.told.Take()
		count := func(s rbac.ApprovalStatus) int {
			page, err := w.Approvals(w.As(w.owner), w.org.ID, "", rbac.ApprovalFilter{Status: s})
			require.NoError(t, err)
			for _, a := range page.Items {
				require.Equal(t, s, a.StatusAt(w.clock.Now()))
			}
			return len(page.Items)
		}
		for range 2 { // before it is noted and after
			require.Equal(t, []int{0, 0, 2, 3}, []int{count(rbac.ApprovalPending), count(rbac.ApprovalApproved), count(rbac.ApprovalDenied), count(rbac.ApprovalExpired)})
			_, err = w.ExpireApprovals(w.As(w.owner))
			require.ErrorIs(t, err, rbac.ErrDenied, "it is the platform's")
			_, err = w.ExpireApprovals(w.Platform())
			require.NoError(t, err)
		}
		require.Equal(t, []string{"approval.expired", "approval.requested"}, w.events(t, lapsed.ID))
		require.Len(t, w.told.Take(), 3, "each once")
	})
}

func TestWhatIsWithdrawnIsOver(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		pending, granted, revoked := w.ask(t, w.dev, "o3", ""), w.ask(t, w.dev, "o4", ""), w.ask(t, w.other, "o3", "")
		for _, a := range []rbac.Approval{granted, revoked} {
			_, err := w.decide(w.lead, a, yes)
			require.NoError(t, err)
		}
		withdraw := func(by orgs.User, a rbac.Approval) error {
			return second(w.WithdrawApproval(w.As(by), w.org.ID, a.ID, "changed my mind"))
		}
		require.ErrorIs(t, withdraw(w.other, pending), store.ErrNotFound, "somebody else's")
		require.ErrorIs(t, withdraw(w.lead, pending), rbac.ErrDenied, "who may decide denies it")
		require.ErrorIs(t, withdraw(w.finance, revoked), rbac.ErrDenied, "may not decide on this one")
		require.True(t, w.passes(t, w.other, "o3").Allowed)
		require.NoError(t, withdraw(w.dev, pending))
		require.NoError(t, withdraw(w.dev, granted))
		require.NoError(t, withdraw(w.lead, revoked))
		for _, a := range []rbac.Approval{pending, granted, revoked} {
			require.ErrorIs(t, withdraw(w.owner, a), store.ErrConflict, "it is over")
			require.Equal(t, "approval.withdrawn", w.events(t, a.ID)[0])
		}
		require.False(t, w.passes(t, w.other, "o3").Allowed)
		require.False(t, w.passes(t, w.dev, "o4").Allowed)
		w.ask(t, w.dev, "o3", "") // at once: nobody has denied it
	})
}

// Who leaves and comes back asks anew (S11).
func TestApprovalsEndWithTheMembership(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		at := orgs.Place{OrgID: w.org.ID, TeamID: w.team.ID}
		pending, granted := w.ask(t, w.dev, "o3", ""), w.ask(t, w.dev, "o4", "")
		kept := w.ask(t, w.other, "o3", "")
		_, err := w.decide(w.lead, granted, yes)
		require.NoError(t, err)
		_, err = w.RemoveMember(w.As(w.owner), at, w.dev.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		for _, a := range []rbac.Approval{pending, granted} {
			require.Equal(t, "approval.withdrawn", w.events(t, a.ID)[0])
		}
		w.Add(at, w.dev, "developer")
		require.False(t, w.passes(t, w.dev, "o4").Allowed)
		require.Equal(t, []string{"approval.requested"}, w.events(t, kept.ID))
		_, err = w.DeleteTeam(w.As(w.owner), w.team.ID, true)
		require.NoError(t, err)
		require.Equal(t, "approval.withdrawn", w.events(t, kept.ID)[0])
	})
}

// The requester sees their own, who approves sees those of their teams, and to all others nothing is there.
func TestWhoSeesApprovals(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		elsewhere := w.Team(w.org, "elsewhere", orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3"}}})
		w.Add(orgs.Place{OrgID: w.org.ID, TeamID: elsewhere.ID}, w.dev, "developer")
		chief := w.Join(elsewhere, "chief@acme.example", "team_lead")
		here, theirs := w.ask(t, w.dev, "o3", ""), w.ask(t, w.other, "o3", "")
		r := w.call("o3")
		r.TeamID = elsewhere.ID
		there, _, err := w.RequestApproval(w.As(w.dev), r, "")
		require.NoError(t, err)
		names := map[string]string{here.ID: "here", theirs.ID: "theirs", there.ID: "there"}

		list := func(by orgs.User, teamID string, f rbac.ApprovalFilter) (ids []string) {
			page, err := w.Approvals(w.As(by), w.org.ID, teamID, f)
			require.NoError(t, err)
			for _, a := range page.Items {
				ids = append(ids, names[a.ID])
			}
			return ids
		}
		for name, c := range map[string]struct {
			by   orgs.User
			team string
			f    rbac.ApprovalFilter
			want []string
		}{
			"the owner sees all":           {w.owner, "", rbac.ApprovalFilter{}, []string{"there", "theirs", "here"}},
			"of one team":                  {w.owner, w.team.ID, rbac.ApprovalFilter{}, []string{"theirs", "here"}},
			"of one person":                {w.owner, "", rbac.ApprovalFilter{Requester: w.other.ID}, []string{"theirs"}},
			"a lead those of the team":     {w.lead, "", rbac.ApprovalFilter{}, []string{"theirs", "here"}},
			"another lead those of theirs": {chief, "", rbac.ApprovalFilter{}, []string{"there"}},
			"a requester their own":        {w.dev, "", rbac.ApprovalFilter{}, []string{"there", "here"}},
			"in one team":                  {w.dev, w.team.ID, rbac.ApprovalFilter{}, []string{"here"}},
			"me":                           {w.dev, "", rbac.ApprovalFilter{Requester: "me"}, []string{"there", "here"}},
			"nobody else's":                {w.dev, "", rbac.ApprovalFilter{Requester: w.other.ID}, nil},
			"a lead has asked for nothing": {w.lead, "", rbac.ApprovalFilter{Requester: "me"}, nil},
			"nothing is approved":          {w.owner, "", rbac.ApprovalFilter{Status: rbac.ApprovalApproved}, nil},
			"all is pending":               {w.owner, "", rbac.ApprovalFilter{Status: rbac.ApprovalPending}, []string{"there", "theirs", "here"}},
		} {
			require.Equal(t, c.want, list(c.by, c.team, c.f), name)
		}
		_, err = w.Approvals(w.As(w.owner), w.org.ID, "", rbac.ApprovalFilter{Status: "late"})
		require.ErrorIs(t, err, store.ErrInvalid)

		for _, who := range []orgs.User{w.dev, w.lead, w.owner} {
			_, err = w.Approval(w.As(who), w.org.ID, here.ID)
			require.NoError(t, err)
		}
		for _, who := range []orgs.User{w.other, chief} {
			_, err = w.Approval(w.As(who), w.org.ID, here.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
	})
}

// Of those who decide at once one wins; of those who ask at once one opens.
func TestApprovalRacesHaveOneWinner(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		leads := []orgs.User{w.lead, w.owner}
		for i := range 4 {
			leads = append(leads, w.Join(w.team, fmt.Sprintf("lead%d@acme.example", i), "team_lead"))
		}
		for _, model := range []string{"o3", "o4"} {
			var opened, won, withdrawn sync.Map
			var all sync.WaitGroup
			for range 6 {
				all.Go(func() {
					a, first, err := w.RequestApproval(w.As(w.dev), w.call(model), "")
					require.NoError(t, err)
					opened.Store(a.ID, true)
					if first {
						won.Store("request", a.ID)
					}
				})
			}
			all.Wait()
			require.Equal(t, 1, size(&opened))
			id, _ := won.LoadAndDelete("request")
			a, err := w.Approval(w.As(w.dev), w.org.ID, id.(string))
			require.NoError(t, err)
			for i, who := range leads {
				all.Go(func() {
					_, err := w.decide(who, a, rbac.ApprovalDecision{Approve: i%2 == 0})
					if err == nil {
						won.Store(who.ID, i%2 == 0)
						return
					}
					var lost *store.ConflictError
					require.True(t, errors.As(err, &lost), "%v", err)
				})
			}
			all.Go(func() {
				if _, err := w.WithdrawApproval(w.As(w.dev), w.org.ID, a.ID, ""); err == nil {
					withdrawn.Store(a.ID, true)
				} else {
					require.ErrorIs(t, err, store.ErrConflict)
				}
			})
			all.Wait()
			a, err = w.Approval(w.As(w.dev), w.org.ID, a.ID)
			require.NoError(t, err)
			require.LessOrEqual(t, size(&won), 1)
			require.NotZero(t, size(&won)+size(&withdrawn))
			require.Equal(t, a.Status == rbac.ApprovalWithdrawn, size(&withdrawn) == 1)
			require.Equal(t, a.Status == rbac.ApprovalApproved, w.passes(t, w.dev, model).Allowed)
		}
	})
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}
