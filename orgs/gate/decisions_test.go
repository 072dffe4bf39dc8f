package gate_test

import (
	"encoding/json"
	"net/netip"
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
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// quiet are options with which nothing is written in the background.
func quiet() *orgs.Options {
	o := &orgs.Options{}
	o.Audit.NoBackground = true
	return o
}

// record sets which decisions the organization has written.
func (a acme) record(t testing.TB, how string) {
	_, _, err := a.SetAuditConfig(a.Platform(), a.org.ID, orgs.NewAuditConfig{Decisions: audit.Decisions{Record: how}})
	require.NoError(t, err)
}

// told is an event of the gate as far as the tests look at it.
type told struct {
	audit.Event
	Code       string
	DecisionID string `json:"decision_id"`
	Reasons    []rbac.Reason
	Count      int
}

// told are the events of some types in the log of the organization, oldest first.
func (a acme) told(t testing.TB, types ...string) (list []told) {
	t.Helper()
	page, err := a.Audit().List(t.Context(), a.org.ID, audit.Filter{Types: types, Ascending: true, Limit: audit.MaxPage})
	require.NoError(t, err)
	for _, e := range page.Items {
		entry := told{Event: e}
		if e.Data != nil {
			require.NoError(t, json.Unmarshal(e.Data, &entry))
		}
		list = append(list, entry)
	}
	return list
}

func TestADecisionIsInTheLogByItsID(t *testing.T) { // F277
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, quiet())
		a.record(t, audit.RecordFull)
		call := a.call("gpt-4-turbo-preview")
		call.RequestID = "req_12345678"
		adm := a.passes(t, call)
		blocked := a.refuses(t, a.call("dall-e-3"), "model_not_allowed")
		require.NoError(t, adm.Release(t.Context()))

		allowed := a.told(t, audit.AllowedType)
		require.Len(t, allowed, 1)
		e := allowed[0]
		require.Equal(t, adm.DecisionID(), e.DecisionID)
		require.Equal(t, []any{"models.use", "model", "gpt-4-turbo-preview", audit.APIKey, adm.Caller.Key.ID, a.dev.ID, "10.0.1.7", "req_12345678", a.eng.ID, audit.Success},
			[]any{e.Action, e.ResourceType, e.ResourceID, e.ActorType, e.ActorID, e.OnBehalfOf, e.IP, e.RequestID, e.TeamID, e.Outcome})

		denied := a.told(t, audit.DeniedType)
		require.Len(t, denied, 1)
		require.Equal(t, []any{blocked.DecisionID, "model_not_allowed", "dall-e-3", audit.Denied}, []any{denied[0].DecisionID, denied[0].Code, denied[0].ResourceID, denied[0].Outcome})
		require.Equal(t, "settings", denied[0].Reasons[0].Kind)

		// The decision that allowed is that of a call for which there is no money, and the refusal names it.
		call = a.call("gpt-4-turbo-preview")
		cost := decimal.NewFromInt(9999)
		call.MaxCost = &cost
		broke := a.refuses(t, call, "budget_exceeded")
		require.NotEmpty(t, broke.DecisionID)
		denied = a.told(t, audit.DeniedType)
		require.Equal(t, []any{broke.DecisionID, "budget_exceeded", "models.use"}, []any{denied[1].DecisionID, denied[1].Code, denied[1].Action})
		require.Len(t, a.told(t, audit.AllowedType), 1)

		// About these nothing is decided.
		a.refuses(t, a.call("no-such-model"), "unsupported_model")
		negative := decimal.NewFromInt(-1)
		call.MaxCost = &negative
		a.refuses(t, call, "invalid_request")
		require.Len(t, a.told(t, "authorization.*", "api_key.denied", "security.*"), 3)
	})
}

func TestByDefaultRefusalsAreLogged(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"require_project_tag": true}}`, quiet())
		a.refuses(t, a.call("gpt-4-turbo-preview"), "missing_tags")
		require.Len(t, a.told(t, audit.DeniedType), 1)
		a.record(t, audit.RecordOff)
		a.refuses(t, a.call("gpt-4-turbo-preview"), "missing_tags")
		require.Len(t, a.told(t, audit.DeniedType), 1)
		a.record(t, audit.RecordDenied)
		call := a.call("gpt-4-turbo-preview")
		call.Tags = map[string]string{"project": "x"}
		a.passes(t, call)
		a.refuses(t, a.call("gpt-4-turbo-preview"), "missing_tags")
		list := a.told(t, audit.AllowedType, audit.DeniedType)
		require.Len(t, list, 2)
		require.Equal(t, "missing_tags", list[0].Code)
	})
}

func TestAnomaliesAreOfTheirOwnKind(t *testing.T) { // F284
	each(t, func(t *testing.T, s *store.Store) {
		var score atomic.Value
		score.Store(0.9)
		o := quiet()
		o.Anomaly = anomaly(&score)
		a := newAcme(t, s, `{}`, o)
		_, _, err := a.CreatePolicy(a.Platform(), a.org.ID, "", rbac.NewPolicy{Name: "anomaly", Statements: statements(t, anomalyPolicy)})
		require.NoError(t, err)
		d := a.refuses(t, a.call("gpt-4-turbo-preview"), "policy_denied")
		list := a.told(t, audit.AnomalyType)
		require.Len(t, list, 1)
		require.Equal(t, d.DecisionID, list[0].DecisionID)
		require.Empty(t, a.told(t, audit.DeniedType))
	})
}

// TestAKeyThatMayNotBeUsedLeavesAnEvent: of the organization that it is of, by its reason; an unknown one leaves none.
func TestAKeyThatMayNotBeUsedLeavesAnEvent(t *testing.T) { // F278, F284
	type step struct {
		name, code string // of the refusal
		typ, why   string // of the event
		do         func(t *testing.T, a acme, key orgs.APIKey, clock *storetest.Clock)
	}
	ok := func(t *testing.T, err error) { require.NoError(t, err) }
	for _, c := range []step{
		{name: "revoked", code: "invalid_api_key", typ: orgs.KeyDeniedType, why: "revoked", do: func(t *testing.T, a acme, key orgs.APIKey, _ *storetest.Clock) {
			_, err := a.RevokeAPIKey(a.Platform(), key.ID, "")
			ok(t, err)
		}},
		{name: "disabled", code: "invalid_api_key", typ: orgs.KeyDeniedType, why: "disabled", do: func(t *testing.T, a acme, key orgs.APIKey, _ *storetest.Clock) {
			_, err := a.DisableAPIKey(a.Platform(), key.ID, "")
			ok(t, err)
		}},
		{name: "rotated", code: "invalid_api_key", typ: orgs.KeyDeniedType, why: "rotated", do: func(t *testing.T, a acme, key orgs.APIKey, clock *storetest.Clock) {
			_, _, err := a.RotateAPIKey(a.Platform(), key.ID, time.Hour)
			ok(t, err)
			clock.Advance(2 * time.Hour)
		}},
		{name: "expired", code: "expired_api_key", typ: orgs.KeyDeniedType, why: "expired", do: func(t *testing.T, a acme, key orgs.APIKey, clock *storetest.Clock) {
			at := clock.Now().Add(time.Minute)
			_, err := a.UpdateAPIKey(a.Platform(), key.ID, orgs.KeyUpdate{ExpiresAt: &at})
			ok(t, err)
			clock.Advance(time.Hour)
		}},
		{name: "from elsewhere", code: "ip_denied", typ: orgs.KeyDeniedType, why: "ip_denied", do: func(t *testing.T, a acme, key orgs.APIKey, _ *storetest.Clock) {
			_, err := a.UpdateAPIKey(a.Platform(), key.ID, orgs.KeyUpdate{Restrictions: &orgs.KeyRestrictions{AllowedIPs: []string{"192.0.2.0/24"}}})
			ok(t, err)
		}},
		{name: "archived", code: "team_archived", typ: orgs.KeyDeniedType, why: "team_archived", do: func(t *testing.T, a acme, _ orgs.APIKey, _ *storetest.Clock) {
			_, err := a.ArchiveTeam(a.Platform(), a.eng.ID)
			ok(t, err)
		}},
		{name: "organization suspended", code: "org_suspended", typ: orgs.SuspendedType, why: "org_suspended", do: func(t *testing.T, a acme, _ orgs.APIKey, _ *storetest.Clock) {
			_, err := a.SuspendOrganization(a.Platform(), a.org.ID, "")
			ok(t, err)
		}},
		{name: "person suspended", code: "invalid_api_key", typ: orgs.SuspendedType, why: "user_suspended", do: func(t *testing.T, a acme, _ orgs.APIKey, _ *storetest.Clock) {
			suspended := rbac.Suspended
			_, err := a.UpdateUser(a.Platform(), a.dev.ID, orgs.UserUpdate{Status: &suspended})
			ok(t, err)
		}},
		{name: "address of the organization", code: "ip_denied", typ: orgs.IPDeniedType, why: "ip_denied", do: func(t *testing.T, a acme, _ orgs.APIKey, _ *storetest.Clock) {
			settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{IPAllowlist: []string{"192.0.2.0/24"}, IPAllowlistScope: "all"}}
			_, err := a.UpdateOrganization(a.Platform(), a.org.ID, orgs.OrganizationUpdate{Settings: &settings})
			ok(t, err)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
				clock.Set(tuesday)
				a := newAcme(t, s, `{}`, quiet())
				page, err := a.APIKeys(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, orgs.KeyFilter{})
				require.NoError(t, err)
				key := page.Items[0]
				c.do(t, a, key, clock)
				for range 3 {
					d := a.refuses(t, a.call("gpt-4-turbo-preview"), c.code)
					if c.code == "invalid_api_key" {
						require.Equal(t, "the credential is not valid", d.Message, "the caller is not told")
					}
				}
				unknown := a.call("gpt-4-turbo-preview")
				unknown.Secret = "ok_live_0000000000"
				a.refuses(t, unknown, "invalid_api_key")
				require.NoError(t, a.Audit().Flush(t.Context()))
				list := a.told(t, "api_key.denied", "authorization.denied", "security.*")
				if c.typ == orgs.SuspendedType && c.why == "org_suspended" {
					require.Equal(t, "organization.suspended", list[0].Type)
					list = list[1:]
				}
				require.Len(t, list, 2, "one, and how many more")
				for i, e := range list {
					require.Equal(t, []any{c.typ, c.why, 1 + i, "api_key", key.ID, key.ID, "10.0.1.7", audit.Denied}, []any{e.Type, e.Code, e.Count, e.ResourceType, e.ResourceID, e.ActorID, e.IP, e.Outcome})
				}
			})
		})
	}
}

// The first use of a key in an hour is an event, whoever of several processes sees it.
func TestTheFirstUseInAnHourIsLogged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(tuesday)
		a := newAcme(t, s, `{}`, quiet())
		other := gate.New(a.Manager)
		m, err := orgs.New(s, &orgs.Options{Catalogue: catalogue(t)})
		require.NoError(t, err)
		second := gate.New(m)
		for range 4 {
			for _, g := range []*gate.Gate{a.gate, other, second} {
				call := a.call("gpt-4-turbo-preview")
				call.Now = clock.Now()
				adm, err := g.Admit(t.Context(), call)
				require.NoError(t, err)
				require.NoError(t, adm.Settle(t.Context(), billing.Usage{}))
			}
			clock.Advance(20 * time.Minute)
		}
		list := a.told(t, orgs.KeyUsedType)
		require.Len(t, list, 2, "15:00 and 16:00")
		require.Equal(t, []any{"10.0.1.7", audit.Success, a.dev.ID, a.eng.ID}, []any{list[0].IP, list[0].Outcome, list[0].OnBehalfOf, list[0].TeamID})
	})
}

func BenchmarkAdmit(b *testing.B) {
	for _, how := range []string{audit.RecordOff, audit.RecordDenied, audit.RecordFull} {
		b.Run(how, func(b *testing.B) {
			models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4-turbo-preview"})
			require.NoError(b, err)
			a := benched(b, &orgs.Options{Catalogue: models})
			a.record(b, how)
			call := gate.Call{Secret: a.key, Model: "gpt-4-turbo-preview", IP: netip.MustParseAddr("10.0.1.7")}
			_, err = a.gate.Admit(b.Context(), call)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.gate.Admit(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			require.NoError(b, a.Close())
		})
	}
}

// benched is an acme without budgets on the memory store.
func benched(b *testing.B, o *orgs.Options) acme {
	w := orgstest.New(b, memory.New(nil), o)
	a := acme{World: w, gate: gate.New(w.Manager)}
	a.org, a.owner = w.Org("acme")
	w.Roles(a.org)
	a.eng = w.Team(a.org, "engineering", orgs.TeamSettings{})
	a.dev = w.Join(a.eng, "bob@acme.com", "developer")
	a.key = w.Key(a.eng, a.dev)
	return a
}
