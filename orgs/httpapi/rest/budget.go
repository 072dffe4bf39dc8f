package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// BudgetState is where a budget stands.
type BudgetState struct {
	PeriodStart    string         `json:"period_start"`
	PeriodEnd      *string        `json:"period_end"` // null: it lasts for good
	Currency       string         `json:"currency"`
	Limit          billing.Amount `json:"limit"`
	EffectiveLimit billing.Amount `json:"effective_limit"`
	Spent          billing.Amount `json:"spent"`
	Reserved       billing.Amount `json:"reserved"`
	Remaining      billing.Amount `json:"remaining"`
	State          string         `json:"state"`
}

// renderBudgetState is nil where there is no budget.
func renderBudgetState(s *billing.BudgetState) *BudgetState {
	if s == nil {
		return nil
	}
	var end *string
	if !s.PeriodEnd.IsZero() {
		end = httpapi.StampOf(&s.PeriodEnd)
	}
	return &BudgetState{PeriodStart: httpapi.Stamp(s.PeriodStart), PeriodEnd: end, Currency: "USD", Limit: billing.NewAmount(s.Budget.Limit),
		EffectiveLimit: billing.NewAmount(s.Limit), Spent: billing.NewAmount(s.Spent), Reserved: billing.NewAmount(s.Reserved),
		Remaining: billing.NewAmount(s.Remaining), State: s.State}
}

type budgetBody struct {
	Scope          string             `json:"scope" enum:"org,team,project,member,user,key,model"`
	ScopeID        string             `json:"scope_id,omitempty" doc:"absent: the organization; *: each key or member that has none, from its first call on"`
	TeamID         string             `json:"team_id,omitempty" doc:"of the scope member: only in this team"`
	Name           string             `json:"name,omitempty" doc:"tells budgets of one scope apart"`
	Limit          *billing.Amount    `json:"limit,omitempty" doc:"of each period"`
	Balance        *billing.Amount    `json:"balance,omitempty" doc:"so much from now on, without a period; in place of limit and window"`
	Window         string             `json:"window,omitempty" doc:"calendar_day, _week, _month, _quarter or _year, lifetime, or a number and s, m, h, d, w or mo; absent: calendar_month"`
	Zone           string             `json:"timezone,omitempty" doc:"absent: that of the organization"`
	Hard           *bool              `json:"hard_limit,omitempty"`
	Rollover       *bool              `json:"rollover,omitempty"`
	RolloverCap    *billing.Amount    `json:"rollover_cap,omitempty"`
	SoftLimit      *billing.Amount    `json:"soft_limit,omitempty"`
	AlertThreshold *billing.Amount    `json:"alert_threshold,omitempty" doc:"share of the limit"`
	Thresholds     []thresholdBody    `json:"thresholds,omitempty" doc:"others of which is told"`
	UnknownPrice   string             `json:"unknown_price,omitempty" enum:"reject,reserve_minimum,allow_and_flag" doc:"what becomes of calls of which no price is known"`
	UnknownMinimum *billing.Amount    `json:"unknown_minimum,omitempty" doc:"of reserve_minimum"`
	LimitOverride  *limitOverrideBody `json:"limit_override,omitempty" doc:"another limit for some periods, from the one that runs on"`
}

type thresholdBody struct {
	Share  *billing.Amount `json:"share,omitempty" doc:"of the effective limit, up to 10"`
	Amount *billing.Amount `json:"amount,omitempty" doc:"instead of share"`
}

func renderThresholds(list []billing.Threshold) []thresholdBody {
	out := make([]thresholdBody, len(list))
	for i, t := range list {
		out[i] = thresholdBody{amountOf(t.Share), amountOf(t.Amount)}
	}
	return out
}

type limitOverrideBody struct {
	Limit   billing.Amount `json:"limit"`
	Periods int            `json:"periods"`
}

type limitOverrideView struct {
	Limit     billing.Amount `json:"limit"`
	Periods   int            `json:"periods"`
	ExpiresAt string         `json:"expires_at"`
}

func renderLimitOverride(o *billing.LimitOverride) *limitOverrideView {
	if o == nil {
		return nil
	}
	return &limitOverrideView{billing.NewAmount(o.Limit), o.Periods, httpapi.Stamp(o.EndsAt)}
}

func decimalOf(a *billing.Amount) *decimal.Decimal {
	if a == nil {
		return nil
	}
	d := a.Decimal()
	return &d
}

// input is the budget that the body asks for, of that organization.
func (b budgetBody) input(orgID string) (billing.Budget, error) {
	in := billing.Budget{OrgID: orgID, Scope: billing.ScopeKind(b.Scope), ScopeID: b.ScopeID, TeamID: b.TeamID, Name: b.Name, Window: b.Window, Zone: b.Zone,
		Hard: or(b.Hard, false), Rollover: or(b.Rollover, false), RolloverCap: decimalOf(b.RolloverCap), SoftLimit: decimalOf(b.SoftLimit),
		AlertThreshold: decimalOf(b.AlertThreshold), UnknownPrice: billing.UnknownPrice(b.UnknownPrice), UnknownMinimum: decimalOf(b.UnknownMinimum)}
	for _, t := range b.Thresholds {
		in.Thresholds = append(in.Thresholds, billing.Threshold{Share: decimalOf(t.Share), Amount: decimalOf(t.Amount)})
	}
	if o := b.LimitOverride; o != nil {
		in.LimitOverride = &billing.LimitOverride{Limit: o.Limit.Decimal(), Periods: o.Periods}
	}
	if in.Scope == billing.ScopeOrg && in.ScopeID == "" {
		in.ScopeID = orgID
	}
	switch {
	case in.Scope == billing.ScopeUser:
		return in, store.Invalid("scope", "range", "budgets of users in all organizations belong to none")
	case b.Balance != nil && (b.Limit != nil || b.Window != ""):
		return in, store.Invalid("balance", "range", "takes the place of limit and window")
	case b.Balance == nil && b.Limit == nil:
		return in, store.Invalid("limit", "required", "is required, or balance")
	case b.Balance == nil:
		in.Limit = b.Limit.Decimal()
	}
	if in.Window == "" {
		in.Window = billing.CalendarMonth
	}
	return in, nil
}

type budgetView struct {
	Base
	Scope          string             `json:"scope"`
	ScopeID        string             `json:"scope_id"`
	TeamID         string             `json:"team_id,omitempty"`
	Name           string             `json:"name,omitempty"`
	Window         string             `json:"window"`
	Zone           string             `json:"timezone"`
	Hard           bool               `json:"hard_limit"`
	Rollover       bool               `json:"rollover"`
	RolloverCap    *billing.Amount    `json:"rollover_cap"`
	SoftLimit      *billing.Amount    `json:"soft_limit"`
	AlertThreshold *billing.Amount    `json:"alert_threshold"`
	Thresholds     []thresholdBody    `json:"thresholds"`
	SuspendedBy    *string            `json:"suspended_by,omitempty" doc:"the alert that has suspended it; absent: a person, or nobody"`
	SuspendedUntil *string            `json:"suspended_until,omitempty" doc:"then it is open by itself"`
	UnknownPrice   string             `json:"unknown_price,omitempty"`
	UnknownMinimum *billing.Amount    `json:"unknown_minimum,omitempty"`
	LimitOverride  *limitOverrideView `json:"limit_override" doc:"a part of effective_limit until then"`
	BudgetState
	Over      billing.Amount `json:"over" doc:"spent and reserved beyond the limit"`
	Forfeited billing.Amount `json:"forfeited" doc:"of spent, what a process had when it died and nobody has seen being spent"`
	Percent   billing.Amount `json:"percent" doc:"of effective_limit that is spent; 100 where that is 0"`
	Raises    []raisedView   `json:"raises" doc:"in force, a part of effective_limit"`
}

type raisedView struct {
	ID        string         `json:"id"`
	Amount    billing.Amount `json:"amount"`
	ExpiresAt string         `json:"expires_at"`
}

func renderBudget(s billing.BudgetState) budgetView {
	b, raises := s.Budget, make([]raisedView, len(s.Raises))
	for i, r := range s.Raises {
		raises[i] = raisedView{r.ID, billing.NewAmount(r.Amount), httpapi.Stamp(r.EndsAt)}
	}
	var by, until *string
	if s.State == "suspended" {
		by, until = optional(b.SuspendedBy), httpapi.StampOf(b.SuspendedUntil)
	}
	return budgetView{Base: baseOf(b.Meta), Scope: string(b.Scope), ScopeID: b.ScopeID, TeamID: b.TeamID, Name: b.Name, Window: b.Window, Zone: b.Zone,
		Hard: b.Hard, Rollover: b.Rollover, RolloverCap: amountOf(b.RolloverCap), SoftLimit: amountOf(b.SoftLimit), AlertThreshold: amountOf(b.AlertThreshold),
		Thresholds: renderThresholds(b.Thresholds), SuspendedBy: by, SuspendedUntil: until,
		UnknownPrice: string(b.UnknownPrice), UnknownMinimum: amountOf(b.UnknownMinimum), LimitOverride: renderLimitOverride(b.LimitOverride), BudgetState: *renderBudgetState(&s),
		Over: billing.NewAmount(s.Over), Forfeited: billing.NewAmount(s.Forfeited),
		Percent: billing.NewAmount(percentOf(s)), Raises: raises}
}

// percentOf is how much of a budget is spent, in percent with two places.
func percentOf(s billing.BudgetState) decimal.Decimal {
	hundred := decimal.NewFromInt(100)
	if s.Limit.IsZero() {
		return hundred
	}
	return s.Spent.Mul(hundred).DivRound(s.Limit, 2)
}

// budgetList is an answer with budgets.
func budgetList(states []billing.BudgetState, err error) (*answer[list[budgetView]], error) {
	return listOf(store.Page[billing.BudgetState]{Items: states}, err, always(renderBudget))
}

func (a *api) budgets() {
	const path = "/v1/organizations/{org}/budgets"
	add[none, none](a, http.MethodGet, path, "List budgets and where they stand", func(ctx context.Context, _ *none) (*answer[list[budgetView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		return budgetList(a.Overview(ctx, at.OrgID))
	})
	add[none, none](a, http.MethodGet, "/v1/teams/{team}/budget", "List the budgets of a team and where they stand", func(ctx context.Context, _ *none) (*answer[list[budgetView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		return budgetList(a.PlaceBudgets(ctx, at.OrgID, at.TeamID))
	})
	add[none, none](a, http.MethodPost, "/v1/teams/{team}/resume", "Let calls spend from the suspended budgets of a team again", func(ctx context.Context, _ *none) (*answer[list[budgetView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		if err := a.ResumePlace(ctx, at.OrgID, at.TeamID); err != nil {
			return nil, err
		}
		return budgetList(a.PlaceBudgets(ctx, at.OrgID, at.TeamID))
	})
	add[none, budgetBody](a, http.MethodPut, path, "Make a budget, or replace that of the same scope and name", func(ctx context.Context, _ *none) (*answer[budgetView], error) {
		at, in, err := placed[budgetBody](ctx, a)
		if err != nil {
			return nil, ofBudget(err)
		}
		b, err := in.input(at.OrgID)
		switch {
		case err != nil:
		case in.Balance != nil:
			b, err = a.SetBalance(ctx, b, in.Balance.Decimal())
		default:
			b, err = a.SetBudget(ctx, b)
		}
		if err != nil {
			return nil, ofBudget(err)
		}
		return a.budget(ctx, at, b.ID)
	})
	add[none, none](a, http.MethodGet, path+"/{budget}", "Get a budget and where it stands", func(ctx context.Context, _ *none) (*answer[budgetView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		return a.budget(ctx, at, param(ctx, "budget"))
	})
	add[none, none](a, http.MethodDelete, path+"/{budget}", "Delete a budget", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		b, err := a.DeleteBudget(ctx, at.OrgID, param(ctx, "budget"))
		return deleted(b.ID, err)
	})
	for _, turn := range []struct {
		path, summary string
		do            func(context.Context, billing.Budget) (billing.Budget, error)
	}{
		{"/suspend", "Stop everything that costs on the path of a budget", a.SuspendBudget},
		{"/resume", "Let calls spend from a suspended budget again", a.ResumeBudget},
	} {
		add[none, none](a, http.MethodPost, path+"/{budget}"+turn.path, turn.summary, func(ctx context.Context, _ *none) (*answer[budgetView], error) {
			at, err := a.place(ctx)
			if err != nil {
				return nil, err
			}
			s, err := a.Budget(ctx, at.OrgID, param(ctx, "budget"))
			if err != nil {
				return nil, err
			}
			if _, err := turn.do(ctx, s.Budget); err != nil {
				return nil, err
			}
			return a.budget(ctx, at, s.Budget.ID)
		})
	}
}

// ofBudget names a wrong field as the body does: limit is no parameter of a list here.
func ofBudget(err error) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	name := field.Field
	if name == "zone" {
		name = "timezone"
	}
	return faulty("body."+name, field.Code, field.Message)
}

func (a *api) budget(ctx context.Context, at orgs.Place, id string) (*answer[budgetView], error) {
	s, err := a.Budget(ctx, at.OrgID, id)
	if err != nil {
		return nil, err
	}
	return one(s.Budget.Version, renderBudget(s), nil)
}
