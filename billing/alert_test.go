package billing_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// alerting is a ledger whose alerts are seen.
type alerting struct {
	books
	fired *[]billing.FiredAlert // in order
}

func eachAlerting(t *testing.T, fn func(t *testing.T, a alerting, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		a := alerting{newBooks(t, s), new([]billing.FiredAlert)}
		a.Ledger = a.ledger(t)
		fn(t, a, clock)
	})
}

// ledger is another one over the same store, whose alerts are seen too.
func (a alerting) ledger(t *testing.T) *billing.Ledger {
	l := billing.NewLedger(a.store, a.guard, &billing.Options{Fired: func(_ ctx, tx *store.Tx, f billing.FiredAlert) error {
		tx.AfterCommit(func() { *a.fired = append(*a.fired, f) })
		return nil
	}})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// charge spends so much and has it written.
func (a alerting) charge(cost string) {
	a.t.Helper()
	a.spend(cost)
	require.NoError(a.t, a.Flush(a.t.Context()))
}

// told is what was told since it was asked last, as kind and threshold.
func (a alerting) told() (list []string) {
	a.t.Helper()
	require.NoError(a.t, a.Flush(a.t.Context()))
	for _, f := range *a.fired {
		list = append(list, strings.TrimPrefix(string(f.Kind), "budget.")+" "+f.Threshold.String())
	}
	*a.fired = nil
	return list
}

func shares(list ...string) (thresholds []billing.Threshold) {
	for _, s := range list {
		thresholds = append(thresholds, billing.Threshold{Share: amount(s)})
	}
	return thresholds
}

var orgBudget = billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: decimal.NewFromInt(10), Hard: true}

func TestOneCallThatCrossesSeveralThresholdsFiresAllInOrder(t *testing.T) { // billing edges 45, 46 and 51
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		b := orgBudget
		b.AlertThreshold, b.SoftLimit = amount("0.8"), amount("9")
		b.Thresholds = append(shares("1", "0.5", "0.8"), billing.Threshold{Amount: amount("6.5")}, billing.Threshold{Amount: amount("4")})
		a.budget(b)
		a.charge("3.999999999999")
		require.Empty(t, a.told())
		a.charge("0.000000000001")
		require.Equal(t, []string{"amount 4"}, a.told())
		a.charge("5.9")
		require.Equal(t, []string{"share 0.5", "amount 6.5", "share 0.8", "soft_limit 9"}, a.told(), "in the order in which spending comes to them")
		a.charge("0.1")
		require.Equal(t, []string{"share 1", "limit 1"}, a.told())
		log, err := audit.New(a.store, nil).List(t.Context(), "org_1", audit.Filter{Types: []string{"budget.*"}})
		require.NoError(t, err)
		var types []string
		for i := len(log.Items) - 1; i >= 0; i-- {
			if log.Items[i].Type != "budget.updated" {
				var data struct{ Threshold string }
				require.NoError(t, json.Unmarshal(log.Items[i].Data, &data))
				types = append(types, log.Items[i].Type+" "+data.Threshold)
			}
		}
		require.Equal(t, []string{"budget.alert 4", "budget.alert 0.5", "budget.alert 6.5", "budget.alert 0.8", "budget.soft_limit_reached 9", "budget.alert 1", "budget.exceeded 1"}, types)
	})
}

func TestThresholdsAreToldOncePerPeriod(t *testing.T) { // F083; billing edge 45
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		b := orgBudget
		b.AlertThreshold = amount("0.5")
		a.budget(b)
		for range 3 {
			a.charge("2.5")
		}
		require.Equal(t, []string{"share 0.5"}, a.told())
		require.Equal(t, "alerted", a.states()[billing.ScopeOrg].State)
		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		require.Equal(t, "ok", a.states()[billing.ScopeOrg].State)
		a.charge("5")
		require.Equal(t, []string{"share 0.5"}, a.told(), "and again in the next one")
	})
}

func TestARaisedLimitIsToldOfAgainAndARefundIsNot(t *testing.T) { // billing edges 47 and 48
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		b := orgBudget
		b.Thresholds = append(shares("0.5", "0.8"), billing.Threshold{Amount: amount("5")})
		a.budget(b)
		d := usd("6")
		kept, err := a.Hold(t.Context(), path, &d)
		require.NoError(t, err)
		require.NoError(t, a.Settle(t.Context(), kept.ID, d))
		require.Equal(t, []string{"share 0.5", "amount 5"}, a.told())

		_, err = a.Correct(asPlatform(t), billing.Correction{OrgID: "org_1", ReservationID: kept.ID, Amount: usd("-4"), Reason: "wrong price", Reference: "r1"})
		require.NoError(t, err)
		a.charge("4")
		require.Empty(t, a.told(), "it was told in this period")

		b.Limit = usd("20")
		a.budget(b)
		require.Empty(t, a.told(), "6 of 20")
		a.charge("4")
		require.Equal(t, []string{"share 0.5"}, a.told(), "of the new limit; 5 USD are 5 USD")

		b.Limit = usd("12")
		a.budget(b)
		require.Equal(t, []string{"share 0.8"}, a.told(), "10 of 12: what is newly crossed by a lower limit, once")
		b.Limit = usd("11")
		a.budget(b)
		a.charge("0.1")
		require.Empty(t, a.told())
	})
}

func TestWhatIsHeldIsNotSpent(t *testing.T) { // billing edge 49
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		b := orgBudget
		b.AlertThreshold = amount("0.5")
		a.budget(b)
		r, err := a.Reserve(t.Context(), path, amount("9"))
		require.NoError(t, err)
		require.NoError(t, a.Flush(t.Context()))
		d := usd("1")
		kept, err := a.Hold(t.Context(), path, &d)
		require.NoError(t, err)
		require.Equal(t, "10", a.states()[billing.ScopeOrg].Reserved.String())
		require.Empty(t, a.told())
		require.NoError(t, a.Settle(t.Context(), kept.ID, d))
		require.NoError(t, r.Settle(t.Context(), usd("3.9")))
		require.Empty(t, a.told())
		a.charge("0.1")
		require.Equal(t, []string{"share 0.5"}, a.told())
	})
}

func TestAThresholdThatComesAfterItsCrossingIsToldAtOnce(t *testing.T) { // billing edge 50
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		a.budget(orgBudget)
		a.charge("7")
		require.Empty(t, a.told())
		b := orgBudget
		b.Thresholds = shares("0.25", "0.5", "0.75")
		a.budget(b)
		require.Equal(t, []string{"share 0.25", "share 0.5"}, a.told())
		a.budget(b)
		require.Empty(t, a.told())
	})
}

func TestWhoHasNotHeardOfANewThresholdMissesNone(t *testing.T) { // billing edges 45 and 50
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		b := orgBudget
		b.Thresholds = shares("0.1", "0.2", "0.3", "0.4", "0.5")
		a.budget(b)
		a.charge("6")
		require.Len(t, a.told(), 5)
		r, err := a.Reserve(t.Context(), path, amount("0.4"))
		require.NoError(t, err)
		other := a
		other.Ledger = a.ledger(t)
		b.Thresholds = shares("0.65", "0.9")
		other.budget(b)
		require.NoError(t, r.Settle(t.Context(), usd("0.4"))) // by the budget as it was
		require.Empty(t, a.told())
		a.charge("0.1")
		require.Equal(t, []string{"share 0.65"}, a.told())
	})
}

func TestANewBalanceTellsOfNothingThatIsNotSpent(t *testing.T) { // billing edge 47
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		a.alerts(billing.Alert{ID: "alrt_1", Type: billing.ExceededAlert, Action: billing.SuspendAction})
		b := orgBudget
		b.OrgID, b.AlertThreshold = "org_1", amount("0.9")
		_, err := a.SetBalance(asPlatform(t), b, usd("50"))
		require.NoError(t, err)
		a.charge("40")
		for _, left := range []string{"20", "5"} { // of 60, and of 45: 40 are spent
			_, err = a.SetBalance(asPlatform(t), b, usd(left))
			require.NoError(t, err)
		}
		require.Empty(t, a.told())
		a.charge("1")
		require.Equal(t, []string{"share 0.9"}, a.told())
		a.charge("4")
		require.Equal(t, []string{"limit 1", "budget_exceeded 0"}, a.told())
		_, err = a.SetBalance(asPlatform(t), b, usd("100"))
		require.NoError(t, err)
		a.charge("1")
		require.Empty(t, a.told(), "it is open again")
	})
}

func TestAnAlertIsStoredWithWhatHasCrossedItOrNotAtAll(t *testing.T) { // billing edge 45
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		full := errors.New("the outbox is full")
		var failing atomic.Bool
		failing.Store(true)
		l := billing.NewLedger(a.store, a.guard, &billing.Options{Fired: func(_ ctx, tx *store.Tx, f billing.FiredAlert) error {
			if failing.Load() {
				return full
			}
			tx.AfterCommit(func() { *a.fired = append(*a.fired, f) })
			return nil
		}})
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		a.Ledger = l
		b := orgBudget
		b.AlertThreshold = amount("0.5")
		a.budget(b)
		a.spend("6")
		require.ErrorIs(t, a.Flush(t.Context()), full)
		require.NoError(t, a.store.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
			s, err := a.State(ctx, tx, "org_1", billing.ScopeOrg, "org_1", "")
			require.NoError(t, err)
			require.Equal(t, "0", s.Spent.String())
			n, err := billing.FiredAlerts.Count(ctx, tx)
			require.Zero(t, n)
			return err
		}))
		failing.Store(false)
		require.Eventually(t, func() bool { return a.Flush(t.Context()) == nil }, 20*time.Second, 10*time.Millisecond)
		require.Equal(t, []string{"share 0.5"}, a.told())
		require.Equal(t, "6", a.states()[billing.ScopeOrg].Spent.String())
	})
}

func TestThresholdsAreBounded(t *testing.T) {
	b := orgBudget
	b.OrgID, b.Window, b.Zone = "org_1", billing.CalendarMonth, "UTC"
	require.NoError(t, b.Validate())
	for field, wrong := range map[string]billing.Threshold{
		"thresholds[0]": {}, "thresholds[0].share": {Share: amount("10.01")}, "thresholds[0].amount": {Amount: amount("0")},
	} {
		b.Thresholds = []billing.Threshold{wrong}
		var fault *store.FieldError
		require.ErrorAs(t, b.Validate(), &fault)
		require.Equal(t, field, fault.Field)
	}
	bomb := decimal.New(1, 1_000_000_000)
	b.Thresholds = []billing.Threshold{{Amount: &bomb}}
	require.ErrorIs(t, b.Validate(), store.ErrInvalid)
	b.Thresholds = make([]billing.Threshold, billing.MaxThresholds+1)
	require.ErrorIs(t, b.Validate(), store.ErrInvalid)
}

// alerts sets those of org_1.
func (a alerting) alerts(list ...billing.Alert) {
	a.t.Helper()
	require.NoError(a.t, a.store.Update(a.t.Context(), func(ctx ctx, tx *store.Tx) error {
		s, err := billing.SettingsOf(ctx, tx, "org_1")
		if err != nil {
			return err
		}
		s.Alerts = list
		if s.Version == 0 {
			return billing.SettingsRecords.Insert(ctx, tx, &s)
		}
		return billing.SettingsRecords.Update(ctx, tx, &s)
	}))
}

func TestAnAlertSuspendsABudgetUntilItsPeriodEnds(t *testing.T) { // F222 to F224; billing edge 53
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		a.alerts(billing.Alert{ID: "alrt_1", Type: billing.ExceededAlert, Action: billing.SuspendAction, Notify: []string{"x@acme.com"}},
			billing.Alert{ID: "alrt_2", Type: billing.ExceededAlert, Action: billing.NotifyAction, Notify: []string{"y@acme.com"}})
		soft := billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("5")}
		a.budget(soft)
		a.charge("4")
		require.Empty(t, a.told())
		a.charge("3")
		require.Equal(t, []string{"limit 1", "budget_exceeded 0", "budget_exceeded 0"}, a.told())
		require.True(t, a.refuses("0.01").Suspended)
		require.Equal(t, "suspended", a.states()[billing.ScopeTeam].State)
		_, err := a.Reserve(t.Context(), path, amount("0"))
		require.NoError(t, err, "what is free passes")

		soft.Limit = usd("6")
		a.budget(soft)
		require.True(t, a.refuses("0.01").Suspended, "7 of 6")
		soft.Limit = usd("8")
		a.budget(soft)
		a.charge("0.5")
		require.Equal(t, []string{"budget.exceeded", "budget.suspended", "budget.exceeded", "budget.resumed"}, a.events(), "a raise resumes it")
		a.told()

		a.charge("0.5")
		require.True(t, a.refuses("0.01").Suspended, "and the new limit counts")
		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		require.Equal(t, "ok", a.states()[billing.ScopeTeam].State, "by arithmetic, before anybody has noted it")
		a.charge("1")
		require.Equal(t, []string{"budget.exceeded", "budget.suspended", "budget.exceeded", "budget.resumed", "budget.exceeded", "budget.suspended", "budget.resumed"}, a.events())

		a.charge("7")
		require.True(t, a.refuses("0.01").Suspended)
		_, err = a.ResumeBudget(asPlatform(t), a.states()[billing.ScopeTeam].Budget)
		require.NoError(t, err)
		a.charge("1")
		a.charge("1")
		require.Equal(t, "over", a.states()[billing.ScopeTeam].State, "whoever resumes it means it")
	})
}

func TestThePlatformNotesThatASuspensionIsOver(t *testing.T) { // billing edge 53
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		a.alerts(billing.Alert{ID: "alrt_1", Type: billing.ExceededAlert, Action: billing.SuspendAction})
		a.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("5")})
		a.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100")})
		_, err := a.SuspendBudget(asPlatform(t), billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1"})
		require.NoError(t, err)
		_, err = a.ResumeBudget(asPlatform(t), billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1"})
		require.NoError(t, err)
		a.charge("5")
		_, err = a.SuspendBudget(asPlatform(t), billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1"})
		require.NoError(t, err)
		n, err := a.ResumeDue(asPlatform(t))
		require.NoError(t, err)
		require.Zero(t, n)
		clock.Advance(40 * 24 * time.Hour)
		n, err = a.ResumeDue(asPlatform(t))
		require.NoError(t, err)
		require.Equal(t, 1, n, "that of a person stays")
		require.Equal(t, "suspended", a.states()[billing.ScopeOrg].State)
		require.Equal(t, "ok", a.states()[billing.ScopeTeam].State)
		_, err = a.ResumeDue(t.Context())
		require.ErrorIs(t, err, rbac.ErrNoActor)
	})
}

func TestARaiseThatIsGrantedEndsASuspension(t *testing.T) { // billing edges 47 and 53
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		a.approvers()
		a.alerts(billing.Alert{ID: "alrt_1", Type: billing.ExceededAlert, Action: billing.SuspendAction})
		b := orgBudget
		b.AlertThreshold = amount("0.8")
		a.budget(b)
		a.charge("10")
		require.Equal(t, []string{"share 0.8", "limit 1", "budget_exceeded 0"}, a.told())
		require.True(t, a.refuses("1").Suspended)
		req, _, err := a.RequestRaise(a.as("usr_1"), "org_1", "", a.states()[billing.ScopeOrg].Budget.ID, billing.RaiseRequest{Amount: usd("10")})
		require.NoError(t, err)
		_, err = a.guard.DecideApproval(a.as("usr_boss"), "org_1", req.ID, rbac.ApprovalDecision{Approve: true})
		require.NoError(t, err)
		a.charge("6")
		require.Equal(t, []string{"share 0.8"}, a.told(), "16 of 20")
	})
}

func TestAnAlertThatIsSetAfterABudgetWasExceededFiresAtOnce(t *testing.T) { // billing edge 50
	eachAlerting(t, func(t *testing.T, a alerting, _ *storetest.Clock) {
		a.budget(orgBudget)
		a.charge("10")
		a.told()
		m := metering(t, a.store, &billing.MeteringOptions{Alerts: a.Ledger})
		for range 2 {
			a.alerts(billing.Alert{ID: "alrt_1", Type: billing.ExceededAlert, Action: billing.SuspendAction})
			require.NoError(t, a.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error { return a.AlertOn(ctx, tx, m, "org_1") }))
		}
		require.Equal(t, []string{"budget_exceeded 0"}, a.told())
		require.True(t, a.refuses("0.01").Suspended)
	})
}
