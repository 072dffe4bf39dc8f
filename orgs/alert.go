package orgs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// alertJob is the kind of the jobs that tell of one alert. It is enqueued in the unit that has fired the alert, which is the one
// of money: whom the alert is for is found out when it goes out, and what fails then undoes nothing that was spent.
const alertJob = "orgs.alert"

// alertTask is the payload.
type alertTask struct {
	Fired string `json:"fired"` // id
}

// alertFired enqueues the job of an alert. Those of one budget or alert wait for each other, so that they go out in the order
// in which they were fired.
func (m *Manager) alertFired(ctx context.Context, tx *store.Tx, f billing.FiredAlert) error {
	if f.OrgID == "" || f.Kind == billing.LimitReached { // of which alerts of the settings tell
		return nil
	}
	_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: alertJob, OrgID: f.OrgID, Payload: alertTask{f.ID}, Lane: cmp.Or(f.BudgetID, f.AlertID)})
	return err
}

// sendAlert tells of an alert those who have to know now, once: it ends its job in the unit that enqueues the mails. Where
// nobody is there to be told, the organization's billing_email is (F319). It leaves the event billing.alert_sent.
func (m *Manager) sendAlert(ctx context.Context, j jobs.Job) error {
	var task alertTask
	if err := j.Decode(&task); err != nil {
		return jobs.Permanent(errors.New("the payload is none of an alert"))
	}
	return m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		f, err := billing.FiredAlerts.Get(ctx, tx, task.Fired)
		if err != nil {
			return err
		}
		n, wanted, err := notificationOf(ctx, tx, &f)
		if err != nil {
			return err
		}
		if !wanted {
			return j.Complete(ctx, tx)
		}
		fallback, err := m.address(ctx, tx, &n)
		if err != nil {
			return err
		}
		if err := m.opt.Notifier.Notify(ctx, tx, n); err != nil {
			return err
		}
		sent := audit.Change{Type: "billing.alert_sent", Resource: audit.Resource{Type: "fired_alert", ID: f.ID}, TeamID: f.TeamID,
			Data: map[string]any{"kind": f.Kind, "budget_id": f.BudgetID, "alert_id": f.AlertID, "addresses": len(n.To), "to_billing_email": fallback}}
		if _, err := m.Audit().Append(audit.WithActor(ctx, audit.System("alerts")), tx, f.OrgID, "billing.read", sent); err != nil {
			return err
		}
		return j.Complete(ctx, tx)
	})
}

// notificationOf is what is told of an alert; false where the organization does not want to hear of it any more.
func notificationOf(ctx context.Context, tx *store.Tx, f *billing.FiredAlert) (n Notification, wanted bool, err error) {
	n = Notification{Kind: KindBudgetAlert, OrgID: f.OrgID, TeamID: f.TeamID}
	if f.AlertID == "" {
		about := BudgetAlert{BudgetID: f.BudgetID, Scope: f.Scope, ScopeID: f.ScopeID, Spent: billing.NewAmount(f.Spent), Limit: billing.NewAmount(f.Reference),
			Threshold: billing.NewAmount(f.Threshold), PeriodStart: f.PeriodStart, PeriodEnd: f.PeriodEnd}
		if f.Kind != billing.ShareReached {
			amount := billing.NewAmount(f.Threshold)
			about.Amount, about.Threshold = &amount, billing.Amount{}
			if f.Reference.IsPositive() {
				about.Threshold = billing.NewAmount(f.Threshold.DivRound(f.Reference, 4))
			}
		}
		n.About = about
		return n, true, nil
	}
	s, err := billing.SettingsOf(ctx, tx, f.OrgID)
	if err != nil {
		return n, false, err
	}
	alert, wanted := find(s.Alerts, func(a billing.Alert) bool { return a.ID == f.AlertID })
	n.Kind, n.To = KindBillingAlert, alert.Notify
	n.About = BillingAlert{AlertID: f.AlertID, Type: f.Kind, Spent: billing.NewAmount(f.Spent), Reference: billing.NewAmount(f.Reference), Suspended: f.Suspended,
		PeriodStart: f.PeriodStart, PeriodEnd: f.PeriodEnd}
	return n, wanted, nil
}

// address puts addresses in the place of whom settings name, those who hold a role now included. It says whether there was
// nobody, so that it goes to the billing_email.
func (m *Manager) address(ctx context.Context, tx *store.Tx, n *Notification) (fallback bool, err error) {
	told, at := addressees{}, Place{OrgID: n.OrgID, TeamID: n.TeamID}
	if err := told.addNamed(ctx, tx, at, n.To); err != nil {
		return false, err
	}
	if err := told.addSettings(ctx, tx, at, *n); err != nil && !errors.Is(err, store.ErrNotFound) { // a team that is gone names nobody
		return false, err
	}
	if len(told) == 0 {
		fallback = true
		if err := told.addBilling(ctx, tx, at, false); err != nil {
			return false, err
		}
	}
	n.To = told.sorted()
	return fallback, nil
}

// handleAlerts lets a worker tell of alerts.
func (m *Manager) handleAlerts(w *jobs.Worker) {
	if m.opt.Notifier != nil {
		w.Handle(alertJob, m.sendAlert, &jobs.KindOptions{MaxAttempts: 20, MinBackoff: time.Second, MaxBackoff: time.Hour, Timeout: time.Minute})
	}
}

// FireAlerts fires alerts of organizations that their usage calls for and nobody has fired: such as one that was set in the
// very moment in which it was reached. It is the platform's; see [Manager.Sweep].
func (m *Manager) FireAlerts(ctx context.Context) error {
	if m.opt.Metering.Off {
		return nil
	}
	var ids []string
	err := m.Read(ctx, rbac.Op{Action: "billing.read"}, func(ctx context.Context, tx *store.Tx) error {
		ids = nil
		for s, err := range billing.SettingsRecords.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			if len(s.Alerts) > 0 {
				ids = append(ids, s.OrgID)
			}
		}
		return nil
	})
	failed := []error{err}
	for _, id := range ids {
		err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return m.metering.WatchAlerts(ctx, tx, id) })
		if err != nil {
			failed = append(failed, fmt.Errorf("organization %s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}
