package orgs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

// teller is a world whose alerts go out.
type teller struct {
	*orgstest.World
	t      *testing.T
	told   *orgstest.Notifications
	worker *jobs.Worker
	org    orgs.Organization
	owner  orgs.User
}

func eachTeller(t *testing.T, fn func(t *testing.T, w *teller, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := &teller{t: t, told: &orgstest.Notifications{}, worker: jobs.NewWorker(s, nil)}
		w.World = orgstest.New(t, s, &orgs.Options{Notifier: w.told})
		t.Cleanup(func() { require.NoError(t, w.Close()) })
		require.NoError(t, w.Maintain(w.Platform(), w.worker))
		w.org, w.owner = w.Org("acme")
		w.Roles(w.org)
		_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Billing: &orgs.BillingSettings{BillingEmail: "billing@acme.example"}}})
		require.NoError(t, err)
		w.told.Take()
		fn(t, w, clock)
	})
}

// spends has a call in a team cost so much.
func (w *teller) spends(team orgs.Team, cost string) error {
	w.t.Helper()
	d := decimal.RequireFromString(cost)
	r, err := w.Reserve(w.t.Context(), billing.Path{OrgID: w.org.ID, TeamID: team.ID}, &d)
	if err != nil {
		return err
	}
	require.NoError(w.t, r.Settle(w.t.Context(), d))
	require.NoError(w.t, w.Flush(w.t.Context()))
	return nil
}

// hears is what goes out now.
func (w *teller) hears() (list []orgs.Notification) {
	w.t.Helper()
	_, err := w.worker.RunDue(w.t.Context())
	require.NoError(w.t, err)
	for _, n := range w.told.Take() {
		if n.Kind == orgs.KindBudgetAlert || n.Kind == orgs.KindBillingAlert {
			list = append(list, n)
		}
	}
	return list
}

func (w *teller) settings(budget string, alerts ...string) orgs.TeamSettings {
	w.t.Helper()
	var b orgs.BudgetSettings
	require.NoError(w.t, json.Unmarshal([]byte(budget), &b))
	return orgs.TeamSettings{Budget: &b, Notifications: &orgs.NotificationSettings{UsageAlerts: alerts}}
}

func TestTheTeamHearsOfItsBudgetOnce(t *testing.T) { // F083, F104; billing edge 54
	eachTeller(t, func(t *testing.T, w *teller, clock *storetest.Clock) {
		team := w.Team(w.org, "lab", w.settings(`{"monthly_limit": 10, "alert_threshold": 0.8}`, "cfo@acme.example", "team_leads"))
		require.NoError(t, w.spends(team, "8"))
		lead := w.Join(team, "lead@acme.example", "team_lead") // after the crossing: they hold the role when it goes out
		told := w.hears()
		require.Len(t, told, 1)
		require.Equal(t, []string{"cfo@acme.example", lead.Email}, told[0].To)
		about := told[0].About.(orgs.BudgetAlert)
		require.Equal(t, []string{"8", "10", "0.8"}, []string{about.Spent.String(), about.Limit.String(), about.Threshold.String()})
		require.Nil(t, about.Amount)
		require.NoError(t, w.spends(team, "1"))
		require.Empty(t, w.hears())

		_, err := w.UpdateTeam(w.Platform(), team.ID, orgs.TeamUpdate{Settings: ptr(w.settings(`{"monthly_limit": 20, "alert_threshold": 0.8}`, "cfo@acme.example"))})
		require.NoError(t, err)
		require.NoError(t, w.spends(team, "7"))
		require.Len(t, w.hears(), 1, "the limit was raised")
		clock.Advance(32 * 24 * time.Hour)
		require.NoError(t, w.spends(team, "16"))
		require.Len(t, w.hears(), 1, "the next period")
	})
}

func TestAlertsThatAreCrossedAtOnceGoOutInOrder(t *testing.T) { // billing edges 46 and 51
	eachTeller(t, func(t *testing.T, w *teller, _ *storetest.Clock) {
		team := w.Team(w.org, "lab", orgs.TeamSettings{Notifications: &orgs.NotificationSettings{UsageAlerts: []string{"cfo@acme.example"}}})
		half, all, six := decimal.RequireFromString("0.5"), decimal.NewFromInt(1), decimal.NewFromInt(6)
		_, err := w.SetBudget(w.Platform(), billing.Budget{OrgID: w.org.ID, Scope: billing.ScopeTeam, ScopeID: team.ID, Limit: decimal.NewFromInt(10), Window: billing.CalendarMonth,
			Thresholds: []billing.Threshold{{Share: &all}, {Amount: &six}, {Share: &half}}})
		require.NoError(t, err)
		require.NoError(t, w.spends(team, "10"))
		var order []string
		for _, n := range w.hears() {
			about := n.About.(orgs.BudgetAlert)
			order = append(order, about.Threshold.String())
			require.Equal(t, about.Threshold.String() == "0.6", about.Amount != nil)
		}
		require.Equal(t, []string{"0.5", "0.6", "1"}, order)
	})
}

func TestAnAlertReachesWhoHoldsTheRoleOrElseBilling(t *testing.T) { // F222 to F226, F319; billing edge 53
	eachTeller(t, func(t *testing.T, w *teller, _ *storetest.Clock) {
		lab, shop := w.Team(w.org, "lab", w.settings(`{"monthly_limit": 10}`)), w.Team(w.org, "shop", w.settings(`{"monthly_limit": 5}`))
		lead := w.Join(lab, "lead@acme.example", "team_lead")
		in := paidBy("pm_1234567890")
		in.Alerts = []billing.Alert{
			{Type: billing.ExceededAlert, Action: billing.SuspendAction, Notify: []string{"finance@acme.example", "team_leads", "FINANCE@acme.example"}},
			{Type: billing.ExceededAlert, Action: billing.NotifyAction, Notify: []string{"team_lead"}},
		}
		_, err := w.SetBilling(w.As(w.owner), w.org.ID, in)
		require.NoError(t, err)
		require.NoError(t, w.spends(lab, "10"))
		told := w.hears()
		require.Len(t, told, 2)
		require.Equal(t, []any{[]string{"FINANCE@acme.example", lead.Email}, lab.ID}, []any{told[0].To, told[0].TeamID}, "each address once")
		require.True(t, told[0].About.(orgs.BillingAlert).Suspended)
		require.Equal(t, []string{lead.Email}, told[1].To)
		require.ErrorIs(t, w.spends(lab, "1"), billing.ErrExceeded)
		require.NoError(t, w.spends(shop, "1"), "the others go on")
		require.NoError(t, w.ResumePlace(w.Platform(), w.org.ID, lab.ID))
		require.NoError(t, w.spends(lab, "1"))
		require.Empty(t, w.hears())

		require.NoError(t, w.spends(shop, "4"))
		told = w.hears()
		require.Equal(t, []string{"FINANCE@acme.example"}, told[0].To)
		require.Equal(t, []string{"billing@acme.example"}, told[1].To, "nobody leads the shop")
		log, err := w.AuditLog(w.As(w.owner), w.org.ID, audit.Filter{Types: []string{"billing.alert_sent"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 4)
		for i, fallback := range []bool{true, false, false, false} {
			var data struct {
				Fallback  bool `json:"to_billing_email"`
				Addresses int
			}
			require.NoError(t, json.Unmarshal(log.Items[i].Data, &data))
			require.Equal(t, fallback, data.Fallback, "the event says so")
			require.Positive(t, data.Addresses)
		}
	})
}

func TestAnOrganizationHearsWhatItHasSpent(t *testing.T) { // F217, F225; billing edge 50
	eachTeller(t, func(t *testing.T, w *teller, clock *storetest.Clock) {
		event := func(id, cost string) {
			t.Helper()
			_, err := w.IngestUsage(w.Platform(), w.org.ID, []billing.UsageEvent{{Source: "host", ID: id, Time: clock.Now(), Model: "m", Status: 200, Cost: decimal.RequireFromString(cost)}})
			require.NoError(t, err)
		}
		event("1", "3")
		in, five, three := paidBy("pm_1234567890"), decimal.NewFromInt(5), decimal.NewFromInt(3)
		in.Alerts = []billing.Alert{{Type: billing.ThresholdAlert, Amount: &five, Period: "monthly", Notify: []string{"cfo@acme.example"}},
			{Type: billing.ThresholdAlert, Amount: &three, Period: "daily", Notify: []string{"ops@acme.example"}}}
		is, err := w.SetBilling(w.As(w.owner), w.org.ID, in)
		require.NoError(t, err)
		told := w.hears()
		require.Len(t, told, 1, "what was reached before is told at once")
		require.Equal(t, []any{[]string{"ops@acme.example"}, is.Alerts[1].ID}, []any{told[0].To, told[0].About.(orgs.BillingAlert).AlertID})
		event("2", "2")
		in.Alerts = in.Alerts[1:]
		_, err = w.SetBilling(w.As(w.owner), w.org.ID, in)
		require.NoError(t, err)
		require.Empty(t, w.hears(), "nobody wants to hear of it any more")
		_, err = w.Sweep(w.Platform())
		require.NoError(t, err)
		require.Empty(t, w.hears())
	})
}

func TestAnAlertOfATeamThatIsGoneGoesToBilling(t *testing.T) { // F319
	eachTeller(t, func(t *testing.T, w *teller, _ *storetest.Clock) {
		team := w.Team(w.org, "lab", w.settings(`{"monthly_limit": 10, "alert_threshold": 0.5}`, "cfo@acme.example"))
		require.NoError(t, w.spends(team, "6"))
		_, err := w.DeleteTeam(w.Platform(), team.ID, true)
		require.NoError(t, err)
		told := w.hears()
		require.Len(t, told, 1)
		require.Equal(t, []string{"billing@acme.example"}, told[0].To)
	})
}

func TestCostCentersAreThoseOfTheSettings(t *testing.T) { // F227, F232, F318
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("acme")
		team := w.Team(org, "data-science", orgs.TeamSettings{})
		in := paidBy("pm_1234567890")
		in.CostAllocation = billing.CostAllocation{Strategy: billing.TagBased, CostCenters: map[string]string{"data_science": "CC-003"}}
		_, err := w.SetBilling(w.As(owner), org.ID, in)
		require.NoError(t, err)
		_, err = w.IngestUsage(w.Platform(), org.ID, []billing.UsageEvent{
			{Source: "host", ID: "1", Time: clock.Now(), TeamID: team.ID, Model: "m", Status: 200, Cost: decimal.RequireFromString("1.005")},
			{Source: "host", ID: "2", Time: clock.Now(), Model: "m", Status: 200, Cost: decimal.RequireFromString("0.005")}})
		require.NoError(t, err)
		list, err := w.CostCenters(w.As(owner), org.ID, billing.Period{Name: "today"}, billing.CostAllocation{})
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, []string{"CC-003", "1.005"}, []string{list[0].Code, list[0].Cost.String()})
		require.Equal(t, "1.01", list[0].Amount.Add(list[1].Amount).String(), "to the cent")
	})
}
