package gate_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func price(in, out string) *billing.Price {
	return &billing.Price{InputPerMillion: decimal.RequireFromString(in), OutputPerMillion: decimal.RequireFromString(out)}
}

func catalogue(t *testing.T) *billing.Catalogue {
	c, err := billing.NewCatalogue(
		billing.Model{ID: "gpt-4-turbo-preview", Aliases: []string{"gpt-4-turbo"}, Provider: "openai", Price: price("10", "30"), MaxOutputTokens: 4096},
		billing.Model{ID: "gpt-4-32k", Provider: "openai", Price: price("60", "120"), MaxOutputTokens: 32768},
		billing.Model{ID: "gpt-3.5-turbo", Provider: "openai", Price: price("0.5", "1.5"), MaxOutputTokens: 4096},
		billing.Model{ID: "claude-3-opus-20240229", Aliases: []string{"opus"}, Provider: "anthropic", Price: price("15", "75"), MaxOutputTokens: 4096},
		billing.Model{ID: "dall-e-3", Aliases: []string{"painter"}, Provider: "openai", Price: price("0", "0")},
		billing.Model{ID: "unpriced", Provider: "local"},
	)
	require.NoError(t, err)
	return c
}

// tuesday is 10:00 in New York.
var tuesday = time.Date(2024, 3, 5, 15, 0, 0, 0, time.UTC)

type acme struct {
	*orgstest.World
	gate  *gate.Gate
	org   orgs.Organization
	owner orgs.User
	eng   orgs.Team
	lead  orgs.User
	dev   orgs.User
	key   string // of Engineering, bound to dev
}

// engineering are the settings of the seed's first team.
const engineering = `{
	"budget": {"monthly_limit": 5000.00, "alert_threshold": 0.8, "hard_limit": true, "rollover": false},
	"models": {"allowed": ["gpt-4-turbo-preview", "gpt-3.5-turbo", "claude-3-opus-20240229", "claude-3-sonnet-20240229"],
		"blocked": ["dall-e-*"], "require_approval": ["gpt-4-32k"]},
	"features": {"function_calling": true, "vision": true, "web_search": true, "fine_tuning": false}}`

func settings(t *testing.T, text string) (s orgs.TeamSettings) {
	require.NoError(t, json.Unmarshal([]byte(text), &s))
	return s
}

func newAcme(t *testing.T, s *store.Store, teamSettings string, o *orgs.Options) acme {
	if o == nil {
		o = &orgs.Options{}
	}
	o.Catalogue = catalogue(t)
	w := orgstest.New(t, s, o)
	a := acme{World: w, gate: gate.New(w.Manager)}
	a.org, a.owner = w.Org("acme")
	w.Roles(a.org)
	a.eng = w.Team(a.org, "engineering", settings(t, teamSettings))
	a.lead = w.Join(a.eng, "alice@acme.com", "team_lead")
	a.dev = w.Join(a.eng, "bob@acme.com", "developer")
	a.key = w.Key(a.eng, a.dev)
	return a
}

func (a acme) call(model string) gate.Call {
	return gate.Call{Secret: a.key, Model: model, InputTokens: 1000, MaxOutputTokens: 1000, IP: netip.MustParseAddr("10.0.1.7"), Now: tuesday}
}

func (a acme) passes(t *testing.T, c gate.Call) *gate.Admission {
	t.Helper()
	adm, err := a.gate.Admit(t.Context(), c)
	require.NoError(t, err)
	return adm
}

func (a acme) refuses(t *testing.T, c gate.Call, code string) *gate.Denied {
	t.Helper()
	_, err := a.gate.Admit(t.Context(), c)
	var d *gate.Denied
	require.ErrorAs(t, err, &d)
	require.Equal(t, code, d.Code, "%v", err)
	require.ErrorIs(t, err, gate.ErrDenied)
	return d
}

func (a acme) allowApprovals(t *testing.T) {
	_, _, err := a.SetOverride(a.Platform(), a.org.ID, a.eng.ID, "team_lead", []string{"members.approve_requests"}, nil)
	require.NoError(t, err)
}

// each runs the test on every store, at the time of tuesday.
func each(t *testing.T, fn func(t *testing.T, s *store.Store)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(tuesday)
		fn(t, s)
	})
}

func TestAdmitChargesWhatTheCallDidCost(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)

		adm := a.passes(t, a.call("gpt-4-turbo-preview"))
		require.Equal(t, "0.04", adm.Cost().String()) // 1000 * 10/1e6 + 1000 * 30/1e6
		require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 500}))
		require.NoError(t, adm.Release(t.Context())) // does nothing any more
		require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 500}))
		require.ErrorIs(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1}), billing.ErrSettled)

		released := a.passes(t, a.call("gpt-4-turbo-preview"))
		require.NoError(t, released.Release(t.Context()))

		states, err := a.Overview(a.Platform(), a.org.ID)
		require.NoError(t, err)
		require.Len(t, states, 1)
		require.Equal(t, "0.025", states[0].Spent.String())
		require.Equal(t, "0", states[0].Reserved.String())
		require.Equal(t, "5000", states[0].Limit.String())
	})
}

func TestModelNeedingApprovalIsPermittedOnceApproved(t *testing.T) { // F320
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		a.allowApprovals(t)

		first := a.refuses(t, a.call("gpt-4-32k"), "approval_required")
		require.NotEmpty(t, first.ApprovalID)
		again := a.refuses(t, a.call("gpt-4-32k"), "approval_required")
		require.Equal(t, first.ApprovalID, again.ApprovalID, "one request per person and model")

		_, err := a.DecideApproval(a.As(a.dev), a.org.ID, first.ApprovalID, rbac.ApprovalDecision{Approve: true})
		require.ErrorIs(t, err, rbac.ErrDenied, "nobody approves their own request")
		_, err = a.DecideApproval(a.As(a.lead), a.org.ID, first.ApprovalID, rbac.ApprovalDecision{Approve: true})
		require.NoError(t, err)
		_, err = a.DecideApproval(a.As(a.lead), a.org.ID, first.ApprovalID, rbac.ApprovalDecision{})
		require.ErrorIs(t, err, store.ErrConflict)

		require.NoError(t, a.passes(t, a.call("gpt-4-32k")).Release(t.Context()))

		blocked := settings(t, engineering)
		blocked.Models.Blocked = append(blocked.Models.Blocked, "gpt-4-32k")
		_, err = a.UpdateTeam(a.Platform(), a.eng.ID, set(blocked))
		require.NoError(t, err)
		a.refuses(t, a.call("gpt-4-32k"), "model_not_allowed") // blocked beats an approval
	})
}

func TestGrantEndsWithTheRoleOfItsApprover(t *testing.T) { // S17.2
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		a.allowApprovals(t)
		d := a.refuses(t, a.call("gpt-4-32k"), "approval_required")
		_, err := a.DecideApproval(a.As(a.lead), a.org.ID, d.ApprovalID, rbac.ApprovalDecision{Approve: true})
		require.NoError(t, err)
		a.passes(t, a.call("gpt-4-32k"))

		developer := "developer"
		_, err = a.UpdateMember(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, a.lead.ID, orgs.MemberUpdate{Role: &developer})
		require.NoError(t, err)
		a.refuses(t, a.call("gpt-4-32k"), "approval_required")
	})
}

func TestGrantForLessOutlivesARequestForMore(t *testing.T) { // S17.3
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		a.allowApprovals(t)
		approve := func(id, most string) {
			limit := decimal.RequireFromString(most)
			_, err := a.DecideApproval(a.As(a.lead), a.org.ID, id, rbac.ApprovalDecision{Approve: true, MaxAmount: &limit})
			require.NoError(t, err)
		}
		small, large := a.call("gpt-4-32k"), a.call("gpt-4-32k") // 0.18 and 6.12 USD
		large.InputTokens = 100_000
		approve(a.refuses(t, small, "approval_required").ApprovalID, "1")
		a.passes(t, small)
		asked := a.refuses(t, large, "approval_required").ApprovalID
		a.passes(t, small)
		approve(asked, "10")
		a.passes(t, large)
	})
}

func TestAbortedCallIsStillCharged(t *testing.T) { // billing edge 16
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		ctx, abort := context.WithCancel(t.Context())
		adm, err := a.gate.Admit(ctx, a.call("gpt-4-turbo-preview"))
		require.NoError(t, err)
		abort()
		require.NoError(t, adm.Settle(ctx, billing.Usage{InputTokens: 1000}))
		states, err := a.Overview(a.Platform(), a.org.ID)
		require.NoError(t, err)
		require.Equal(t, "0.01", states[0].Spent.String())
	})
}

func TestDeniedApprovalIsRemembered(t *testing.T) { // F093, F321
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		a.allowApprovals(t)
		d := a.refuses(t, a.call("gpt-4-32k"), "approval_required")
		_, err := a.DecideApproval(a.As(a.lead), a.org.ID, d.ApprovalID, rbac.ApprovalDecision{Approve: false, Reason: "too dear"})
		require.NoError(t, err)
		a.refuses(t, a.call("gpt-4-32k"), "approval_denied")
	})
}

func TestThreeAddressListsNeverMeet(t *testing.T) { // F322
	each(t, func(t *testing.T, s *store.Store) {
		w := orgstest.New(t, s, &orgs.Options{Catalogue: catalogue(t)})
		org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme", Settings: orgs.OrgSettings{
			Security: &orgs.SecuritySettings{IPAllowlist: []string{"203.0.113.0/24"}}}})
		require.NoError(t, err)
		w.Roles(org)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		lead := w.Join(team, "alice@acme.com", "team_lead") // accepting is not bound by the list
		_, secret, err := w.CreateAPIKey(w.From(lead, "203.0.113.9"), orgs.NewAPIKey{Name: "k", Team: team.ID, InheritTeam: true,
			Restrictions: orgs.KeyRestrictions{AllowedIPs: []string{"10.0.1.0/24"}}})
		require.NoError(t, err)

		a := acme{World: w, gate: gate.New(w.Manager), key: secret}
		a.passes(t, a.call("gpt-3.5-turbo")) // from 10.0.1.7: the organization's list is not for the data plane
		outside := a.call("gpt-3.5-turbo")
		outside.IP = netip.MustParseAddr("10.0.2.7")
		a.refuses(t, outside, "ip_denied")
		outside.IP = netip.Addr{}
		a.refuses(t, outside, "ip_denied") // unknown is outside

		_, err = w.Manager.Team(w.From(lead, "10.0.1.7"), team.ID)
		var d *rbac.Denied
		require.ErrorAs(t, err, &d)
		require.Equal(t, "ip_denied", d.Code)
		log, err := w.AuditLog(w.Platform(), org.ID, audit.Filter{Types: []string{"security.ip_denied"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 1)
		_, err = w.Manager.Team(w.Platform(), team.ID) // F457: the platform is not bound by it
		require.NoError(t, err)
	})
}

func TestAbsentSettingsForbidNothing(t *testing.T) { // F327
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0.05}}`, nil)
		for range 3 { // hard_limit is false: the third call is beyond the limit and passes
			adm := a.passes(t, a.call("gpt-4-turbo"))
			require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000}))
		}
		a.passes(t, a.call("dall-e-3"))
		vision := a.call("gpt-4-turbo")
		vision.Features = []string{"vision", "fine_tuning"}
		a.passes(t, vision)

		require.NoError(t, a.Flush(t.Context()))
		log, err := a.AuditLog(a.Platform(), a.org.ID, audit.Filter{Types: []string{"budget.*"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 1, "no threshold, but the full limit is told, once")
		require.Equal(t, "budget.exceeded", log.Items[0].Type)
	})
}

func TestEmptyModelListMeansNone(t *testing.T) { // F090, F331
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"models": {"allowed": []}}`, nil)
		a.refuses(t, a.call("gpt-3.5-turbo"), "model_not_allowed")
	})
}

func TestPatternsSeeTheResolvedModel(t *testing.T) { // F328
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"models": {"allowed": ["opus", "gpt-4-turbo-preview"], "blocked": ["painter", "gpt-4-turbo"]}}`, nil)
		a.passes(t, a.call("opus"))                   // an entry that is an alias is resolved
		a.passes(t, a.call("claude-3-opus-20240229")) // so the id passes too
		a.refuses(t, a.call("dall-e-3"), "model_not_allowed")
		a.refuses(t, a.call("painter"), "model_not_allowed") // no alias gets round a block
		a.refuses(t, a.call("gpt-4-turbo"), "model_not_allowed")
		a.refuses(t, a.call("gpt-4-turbo-preview"), "model_not_allowed") // the blocked alias names it
		a.refuses(t, a.call("no-such-model"), "unsupported_model")
		a.refuses(t, a.call(""), "unsupported_model")
	})
}

func TestFeatureSetToFalseIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		c := a.call("gpt-4-turbo-preview")
		c.Features = []string{"vision"}
		a.passes(t, c)
		c.Features = []string{"vision", "fine_tuning"} // F103
		a.refuses(t, c, "feature_disabled")
	})
}

// mfaPolicy lets the seed's models be used with a second factor of the last eight hours.
const mfaPolicy = `[{"effect": "allow", "actions": ["models:use"], "resources": ["model:*"],
	"conditions": {"mfa": {"type": "required", "max_age_minutes": 480}}}]`

func statements(t *testing.T, text string) (st []rbac.Statement) {
	require.NoError(t, json.Unmarshal([]byte(text), &st))
	return st
}

func TestSecondFactorIsThatOfTheBoundPerson(t *testing.T) { // F455
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		_, _, err := a.CreatePolicy(a.Platform(), a.org.ID, a.eng.ID, rbac.NewPolicy{Name: "mfa", Statements: statements(t, mfaPolicy)})
		require.NoError(t, err)
		a.refuses(t, a.call("gpt-3.5-turbo"), "mfa_required")
		a.VerifyMFA(a.lead, tuesday.Add(-time.Hour)) // somebody else's does not count
		a.refuses(t, a.call("gpt-3.5-turbo"), "mfa_required")
		a.VerifyMFA(a.dev, tuesday.Add(-9*time.Hour))
		a.refuses(t, a.call("gpt-3.5-turbo"), "mfa_required")
		a.VerifyMFA(a.dev, tuesday.Add(-7*time.Hour))
		a.passes(t, a.call("gpt-3.5-turbo"))

		nobody := ""
		_, service, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "service", Team: a.eng.ID, User: &nobody, InheritTeam: true})
		require.NoError(t, err)
		c := a.call("gpt-3.5-turbo")
		c.Secret = service
		a.refuses(t, c, "mfa_required")
	})
}

const anomalyPolicy = `[{"effect": "deny", "actions": ["*"], "resources": ["*"], "conditions": {"anomaly_score": {"type": "greater_than", "value": 0.8}}}]`

func TestAnomalyWithoutDetectorDeniesNobody(t *testing.T) { // F458
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		_, warnings, err := a.CreatePolicy(a.Platform(), a.org.ID, a.eng.ID, rbac.NewPolicy{Name: "anomaly", Statements: statements(t, anomalyPolicy)})
		require.NoError(t, err)
		require.NotEmpty(t, warnings)
		a.passes(t, a.call("gpt-3.5-turbo"))
	})
}

func TestFailingDetectorDeniesButNotPolicyEditingToOwners(t *testing.T) { // F458
	each(t, func(t *testing.T, s *store.Store) {
		var score atomic.Value
		score.Store(0.1)
		o := &orgs.Options{}
		o.Anomaly = anomaly(&score)
		a := newAcme(t, s, engineering, o)
		p, _, err := a.CreatePolicy(a.Platform(), a.org.ID, "", rbac.NewPolicy{Name: "anomaly", Statements: statements(t, anomalyPolicy)})
		require.NoError(t, err)
		a.passes(t, a.call("gpt-3.5-turbo"))
		score.Store(0.9)
		a.refuses(t, a.call("gpt-3.5-turbo"), "policy_denied")
		score.Store(-1.0) // fails
		a.refuses(t, a.call("gpt-3.5-turbo"), "policy_denied")
		_, err = a.Teams(a.As(a.owner), a.org.ID, orgs.PartFilter{})
		require.ErrorIs(t, err, rbac.ErrDenied)
		_, err = a.DeletePolicy(a.As(a.owner), a.org.ID, "", p.ID)
		require.NoError(t, err)
		a.passes(t, a.call("gpt-3.5-turbo"))
	})
}

func TestRevokedKeyIsRefusedOnTheNextCall(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		a.passes(t, a.call("gpt-3.5-turbo"))
		at := orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}
		removed, err := a.RemoveMember(a.Platform(), at, a.dev.ID, orgs.MemberRemoval{Reason: "restructuring"})
		require.NoError(t, err)
		require.Equal(t, 1, removed.Disabled)
		a.refuses(t, a.call("gpt-3.5-turbo"), "invalid_api_key")
		bad := a.call("gpt-3.5-turbo")
		bad.Secret = ""
		a.refuses(t, bad, "missing_api_key")
		bad.Secret = "ok_live_unknown"
		a.refuses(t, bad, "invalid_api_key")
	})
}

func TestHardBudgetAdmitsExactlyWhatItCanPay(t *testing.T) { // S10.1
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0.40, "hard_limit": true}}`, nil) // 10 calls of 0.04
		var admitted, refused atomic.Int64
		var wg sync.WaitGroup
		for range 512 {
			wg.Go(func() {
				adm, err := a.gate.Admit(t.Context(), a.call("gpt-4-turbo-preview"))
				if err != nil {
					var d *gate.Denied
					if errorsAs(err, &d) && d.Code == "budget_exceeded" {
						refused.Add(1)
					} else {
						t.Error(err)
					}
					return
				}
				admitted.Add(1)
				_ = adm.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000})
			})
		}
		wg.Wait()
		require.EqualValues(t, 10, admitted.Load())
		require.EqualValues(t, 502, refused.Load())
		states, err := a.Overview(a.Platform(), a.org.ID)
		require.NoError(t, err)
		require.Equal(t, "0.4", states[0].Spent.String())
		require.Equal(t, "over", states[0].State)
		require.True(t, states[0].Over.IsZero())
	})
}

func TestModelWithoutPriceMeetsNoHardBudget(t *testing.T) { // billing edge 26
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 5}}`, nil)
		a.passes(t, a.call("unpriced"))
		_, err := a.UpdateTeam(a.Platform(), a.eng.ID, set(settings(t, `{"budget": {"monthly_limit": 5, "hard_limit": true}}`)))
		require.NoError(t, err)
		a.refuses(t, a.call("unpriced"), "budget_exceeded")
	})
}
