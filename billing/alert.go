package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Threshold is spending of a budget that is told once per period: a share of the limit, or an amount.
type Threshold struct {
	Share  *decimal.Decimal `json:"share,omitempty"`  // of the effective limit, 0 < x <= 10; told again when the limit was raised
	Amount *decimal.Decimal `json:"amount,omitempty"` // USD
}

// MaxThresholds is the most thresholds of a budget.
const MaxThresholds = 25

// maxShare is the largest share of a limit: soft budgets may be spent several times over.
var maxShare = decimal.NewFromInt(10)

func (b Budget) checkThresholds() error {
	if len(b.Thresholds) > MaxThresholds {
		return store.Invalid("thresholds", "range", "must have at most %d entries", MaxThresholds)
	}
	for i, t := range b.Thresholds {
		at := fmt.Sprintf("thresholds[%d]", i)
		switch {
		case (t.Share == nil) == (t.Amount == nil):
			return store.Invalid(at, "required", "is a share or an amount")
		case t.Share != nil && (!bounded(*t.Share) || !t.Share.IsPositive() || t.Share.GreaterThan(maxShare)):
			return store.Invalid(at+".share", "range", "must be above 0 and at most %s", maxShare)
		case t.Amount != nil && !t.Amount.IsPositive():
			return store.Invalid(at+".amount", "range", "must be above 0")
		case t.Amount != nil:
			if err := checkAmount(at+".amount", *t.Amount); err != nil {
				return err
			}
		}
	}
	return nil
}

// AlertKind says what an alert is about.
type AlertKind string

// The kinds of alerts. The first four are those of a budget, the others those of [Settings].
const (
	ShareReached     AlertKind = "budget.share"      // of a limit
	AmountReached    AlertKind = "budget.amount"     //
	SoftLimitReached AlertKind = "budget.soft_limit" //
	LimitReached     AlertKind = "budget.limit"      // all of it is spent
	ThresholdAlert   AlertKind = "threshold"         // the organization has spent so much (F217)
	AnomalyAlert     AlertKind = "anomaly"           // it spends far more than is usual (F220)
	ExceededAlert    AlertKind = "budget_exceeded"   // of a team, project or the organization (F222)
)

// FiredAlert is an alert that went out. There is one for each budget or alert of settings, period, kind, threshold and version
// of the limit: its id is made of these, so whoever comes first has fired it, whatever processes do (billing edge 45).
type FiredAlert struct {
	store.Meta
	OrgID        string // "" for the budget of a user
	AlertID      string // of the settings; "" for what the budget itself says
	Kind         AlertKind
	BudgetID     string // "" for what the organization as a whole has spent
	Scope        ScopeKind
	ScopeID      string
	TeamID       string // or project, in which it is; "" for the organization
	Threshold    decimal.Decimal
	Spent        decimal.Decimal // USD
	Reference    decimal.Decimal // USD: the limit of the budget, the amount of the alert, or what is usual
	Suspended    bool            // it has stopped everything that costs in the budget
	PeriodStart  time.Time
	PeriodEnd    time.Time // zero: it has no end
	LimitVersion int64     // counts how often the limit was raised in the period; 0 where that does not matter
}

// FiredAlerts holds all of them. Only this package writes it.
var FiredAlerts = store.Define[FiredAlert]("fired_alerts", "fired", store.Index("org_id", "created_at"), store.Index("alert_id", "period_start", "id"))

// named gives the alert its id.
func (f *FiredAlert) named() {
	f.ID = fmt.Sprintf("fired_%s_%s_%d_%s_%s_%d", f.AlertID, f.BudgetID, f.PeriodStart.Unix(), f.Kind, f.Threshold, f.LimitVersion)
}

// events are the types of events of alerts; those that are missing are billing.alert.
var alertEvents = map[AlertKind]string{ShareReached: "budget.alert", AmountReached: "budget.alert", SoftLimitReached: "budget.soft_limit_reached", LimitReached: "budget.exceeded"}

// change is the event of the alert.
func (f *FiredAlert) change() audit.Change {
	data := map[string]any{"threshold": f.Threshold.String(), "spent": f.Spent.String(), "period_end": f.PeriodEnd}
	c := audit.Change{Type: cmp.Or(alertEvents[f.Kind], "billing.alert"), TeamID: f.TeamID, Data: data}
	if c.Resource = (audit.Resource{Type: budgetType, ID: f.BudgetID}); f.BudgetID != "" {
		data["scope"], data["scope_id"], data["limit"] = f.Scope, f.ScopeID, f.Reference.String()
	}
	if f.AlertID != "" {
		c.Resource = audit.Resource{Type: "billing_alert", ID: f.AlertID}
		data["type"], data["reference"], data["suspended"], data["budget_id"] = f.Kind, f.Reference.String(), f.Suspended, f.BudgetID
	}
	return c
}

// crossing is a threshold that an account has crossed, and at what spending that is.
type crossing struct {
	kind      AlertKind
	threshold decimal.Decimal
	at        decimal.Decimal
	version   int64
}

// crossed are the thresholds that are crossed, in the order in which spending comes to them (billing edge 46).
func (b *Budget) crossed(a *account) (list []crossing) {
	if !a.Spent.IsPositive() {
		return nil
	}
	add := func(kind AlertKind, threshold, at decimal.Decimal, version int64) {
		if a.Spent.GreaterThanOrEqual(at) {
			list = append(list, crossing{kind, threshold, at, version})
		}
	}
	share := func(s decimal.Decimal) { add(ShareReached, s, a.Limit.Mul(s), a.LimitVersion) }
	if b.AlertThreshold != nil {
		share(*b.AlertThreshold)
	}
	for _, t := range b.Thresholds {
		switch {
		case t.Share == nil:
			add(AmountReached, *t.Amount, *t.Amount, 0)
		case b.AlertThreshold == nil || !t.Share.Equal(*b.AlertThreshold):
			share(*t.Share)
		}
	}
	if b.SoftLimit != nil {
		add(SoftLimitReached, *b.SoftLimit, *b.SoftLimit, 0)
	}
	add(LimitReached, decimal.NewFromInt(1), a.Limit, a.LimitVersion)
	slices.SortStableFunc(list, func(x, y crossing) int { return x.at.Cmp(y.at) })
	return list
}

// tell fires the alerts that the account's spending calls for, in the unit that has made it so, each once per period: a
// refund and another crossing fire nothing (billing edges 45 to 51; F083, F084, F327). What is reserved is not spent.
func (l *Ledger) tell(ctx context.Context, tx *store.Tx, b Budget, a *account) error {
	if b.over(tx.Now()) {
		if err := l.resumeBySelf(ctx, tx, b.ID, "period"); err != nil {
			return err
		}
	}
	if b.Version != a.ToldVersion { // somebody has changed it: who writes may not have heard of it yet
		is, err := Budgets.Get(ctx, tx, b.ID)
		if errors.Is(err, store.ErrNotFound) { // nobody is told of a budget that is gone
			return nil
		} else if err != nil {
			return err
		}
		if b = is; b.Version != a.ToldVersion {
			a.Told, a.ToldVersion = 0, b.Version
		}
	}
	crossed := b.crossed(a)
	if int64(len(crossed)) <= a.Told {
		return nil
	}
	list := make([]*FiredAlert, len(crossed))
	for i, c := range crossed {
		list[i] = &FiredAlert{OrgID: a.OrgID, Kind: c.kind, BudgetID: b.ID, Scope: b.Scope, ScopeID: b.ScopeID, TeamID: b.place(), Threshold: c.threshold,
			Spent: a.Spent, Reference: a.Limit, PeriodStart: a.PeriodStart, PeriodEnd: a.PeriodEnd, LimitVersion: c.version}
	}
	fresh, err := l.fire(ctx, tx, list)
	if err != nil {
		return err
	}
	a.Told = int64(len(crossed))
	for _, f := range fresh {
		if f.Kind == LimitReached {
			return l.exceed(ctx, tx, b, a)
		}
	}
	return nil
}

// fire keeps those alerts that nobody has fired yet, each with its event, and hands them on.
func (l *Ledger) fire(ctx context.Context, tx *store.Tx, list []*FiredAlert) (fresh []*FiredAlert, err error) {
	for _, f := range list {
		f.named()
	}
	is, err := FiredAlerts.InsertMany(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	ctx = audit.WithActor(ctx, audit.System("ledger"))
	for i, f := range list {
		if !is[i] {
			continue
		}
		fresh = append(fresh, f)
		if _, err := l.guard.Audit().Append(ctx, tx, f.OrgID, "budget.read", f.change()); err != nil {
			return nil, err
		}
		if l.engine.opt.Fired == nil {
			continue
		}
		if err := l.engine.opt.Fired(ctx, tx, *f); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}
