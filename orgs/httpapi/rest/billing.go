package rest

import (
	"cmp"
	"context"
	"net/http"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// billingBody is everything at once: what is absent is not there any more, but for tokens of cards. Words that are none of those
// that stand here are found with everything else that is wrong.
type billingBody struct {
	PaymentMethods []paymentMethodBody `json:"payment_methods" doc:"exactly one of them is the default"`
	Alerts         []alertBody         `json:"billing_alerts,omitempty"`
	CostAllocation *costAllocationBody `json:"cost_allocation,omitempty"`
}

type paymentMethodBody struct {
	ID      string             `json:"id,omitempty" doc:"absent: the one that says the same, or a new one"`
	Type    string             `json:"type" doc:"credit_card or invoice"`
	Default bool               `json:"is_default,omitempty"`
	Details paymentDetailsBody `json:"details,omitempty"`
}

type paymentDetailsBody struct {
	StripePaymentMethodID string       `json:"stripe_payment_method_id,omitempty" doc:"of a credit card; absent, or as it is answered: as it was"`
	Set                   *bool        `json:"stripe_payment_method_id_set,omitempty" doc:"answered; of no effect here"`
	NetTerms              *int         `json:"net_terms,omitempty" doc:"of invoices, days, 0 to 120; absent: 30"`
	PurchaseOrderRequired bool         `json:"purchase_order_required,omitempty" doc:"of invoices"`
	BillingAddress        *addressBody `json:"billing_address,omitempty" doc:"required for invoices"`
}

type addressBody struct {
	Line1      string `json:"line1,omitempty" doc:"required"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city,omitempty" doc:"required"`
	State      string `json:"state,omitempty" doc:"required in the US, Canada and Australia"`
	PostalCode string `json:"postal_code,omitempty" doc:"required"`
	Country    string `json:"country,omitempty" doc:"required; ISO 3166-1 alpha-2"`
}

type alertBody struct {
	ID          string          `json:"id,omitempty" doc:"absent: the one that says the same, or a new one"`
	Type        string          `json:"type" doc:"threshold, anomaly or budget_exceeded"`
	Amount      *billing.Amount `json:"amount,omitempty" doc:"of threshold"`
	Period      string          `json:"period,omitempty" doc:"of threshold: daily, weekly, monthly (absent), quarterly or yearly"`
	Sensitivity string          `json:"sensitivity,omitempty" doc:"of anomaly: low, medium (absent) or high"`
	Action      string          `json:"action,omitempty" doc:"of budget_exceeded: notify (absent) or suspend"`
	Notify      []string        `json:"notify,omitempty" doc:"required: e-mail addresses, and slugs of roles"`
}

type costAllocationBody struct {
	Strategy     string            `json:"strategy,omitempty" doc:"tag_based, team_based or none (absent)"`
	RequiredTags []string          `json:"required_tags,omitempty" doc:"without one of them a call is refused"`
	CostCenters  map[string]string `json:"cost_centers,omitempty" doc:"by the slug of the team"`
}

func (b billingBody) input() (in orgs.NewBilling) {
	for _, p := range b.PaymentMethods {
		d := p.Details
		method := billing.PaymentMethod{ID: p.ID, Type: p.Type, Default: p.Default, Details: billing.PaymentDetails{
			StripePaymentMethodID: billing.PaymentToken(d.StripePaymentMethodID), NetTerms: d.NetTerms, PurchaseOrderRequired: d.PurchaseOrderRequired}}
		if a := d.BillingAddress; a != nil {
			method.Details.BillingAddress = &billing.BillingAddress{Line1: a.Line1, Line2: a.Line2, City: a.City, State: a.State, PostalCode: a.PostalCode, Country: a.Country}
		}
		if thirty := 30; p.Type == billing.Invoice && d.NetTerms == nil {
			method.Details.NetTerms = &thirty
		}
		in.PaymentMethods = append(in.PaymentMethods, method)
	}
	for _, a := range b.Alerts {
		alert := billing.Alert{ID: a.ID, Type: billing.AlertKind(a.Type), Amount: decimalOf(a.Amount), Period: a.Period, Sensitivity: billing.Sensitivity(a.Sensitivity),
			Action: a.Action, Notify: a.Notify}
		switch alert.Type {
		case billing.ThresholdAlert:
			alert.Period = cmp.Or(a.Period, "monthly")
		case billing.AnomalyAlert:
			alert.Sensitivity = cmp.Or(alert.Sensitivity, billing.MediumSensitivity)
		case billing.ExceededAlert:
			alert.Action = cmp.Or(a.Action, billing.NotifyAction)
		}
		in.Alerts = append(in.Alerts, alert)
	}
	in.CostAllocation.Strategy = billing.NotAllotted
	if c := b.CostAllocation; c != nil {
		in.CostAllocation = billing.CostAllocation{Strategy: cmp.Or(c.Strategy, billing.NotAllotted), RequiredTags: c.RequiredTags, CostCenters: c.CostCenters}
	}
	return in
}

type billingView struct {
	Base
	OrganizationID string              `json:"organization_id"`
	PaymentMethods []paymentMethodBody `json:"payment_methods"`
	Alerts         []alertBody         `json:"billing_alerts"`
	CostAllocation costAllocationView  `json:"cost_allocation"`
}

type costAllocationView struct {
	Strategy     string            `json:"strategy"`
	RequiredTags []string          `json:"required_tags"`
	CostCenters  map[string]string `json:"cost_centers"`
}

func renderBilling(s billing.Settings) billingView {
	v := billingView{Base: baseOf(s.Meta), OrganizationID: s.OrgID, PaymentMethods: make([]paymentMethodBody, len(s.PaymentMethods)), Alerts: make([]alertBody, len(s.Alerts)),
		CostAllocation: costAllocationView{s.CostAllocation.Strategy, filled(s.CostAllocation.RequiredTags), s.CostAllocation.CostCenters}}
	if v.CostAllocation.CostCenters == nil {
		v.CostAllocation.CostCenters = map[string]string{}
	}
	for i, p := range s.PaymentMethods {
		v.PaymentMethods[i] = renderPaymentMethod(p)
	}
	for i, a := range s.Alerts {
		v.Alerts[i] = alertBody{a.ID, string(a.Type), amountOf(a.Amount), a.Period, string(a.Sensitivity), a.Action, a.Notify}
	}
	return v
}

func renderPaymentMethod(p billing.PaymentMethod) paymentMethodBody {
	d := p.Details
	out := paymentDetailsBody{StripePaymentMethodID: d.StripePaymentMethodID.String(), NetTerms: d.NetTerms, PurchaseOrderRequired: d.PurchaseOrderRequired, BillingAddress: renderAddress(d.BillingAddress)}
	if set := true; p.Type == billing.CreditCard {
		out.Set = &set
	}
	return paymentMethodBody{p.ID, p.Type, p.Default, out}
}

func renderAddress(a *billing.BillingAddress) *addressBody {
	if a == nil {
		return nil
	}
	return &addressBody{a.Line1, a.Line2, a.City, a.State, a.PostalCode, a.Country}
}

type firedAlertView struct {
	ID           string          `json:"id"`
	FiredAt      string          `json:"fired_at"`
	Kind         string          `json:"kind" doc:"budget.share, budget.amount, budget.soft_limit or budget.limit of a budget; else the type of the alert"`
	AlertID      *string         `json:"alert_id" doc:"of billing_alerts; null: of a budget"`
	BudgetID     *string         `json:"budget_id" doc:"null: what the organization as a whole has spent"`
	TeamID       *string         `json:"team_id" doc:"or project, in which it is"`
	Threshold    *billing.Amount `json:"threshold" doc:"a share for budget.share, else USD"`
	Spent        billing.Amount  `json:"spent"`
	Reference    billing.Amount  `json:"reference" doc:"the limit of the budget, the amount of the alert, or what is usual"`
	Suspended    bool            `json:"suspended" doc:"it has stopped everything that costs in the budget"`
	PeriodStart  string          `json:"period_start"`
	PeriodEnd    *string         `json:"period_end" doc:"null: it lasts for good"`
	LimitVersion int64           `json:"limit_version" doc:"how often the limit was raised in the period"`
}

func renderFiredAlert(f billing.FiredAlert) firedAlertView {
	v := firedAlertView{ID: f.ID, FiredAt: httpapi.Stamp(f.CreatedAt), Kind: string(f.Kind), AlertID: optional(f.AlertID), BudgetID: optional(f.BudgetID), TeamID: optional(f.TeamID),
		Spent: billing.NewAmount(f.Spent), Reference: billing.NewAmount(f.Reference), Suspended: f.Suspended, PeriodStart: httpapi.Stamp(f.PeriodStart), LimitVersion: f.LimitVersion}
	if !f.Threshold.IsZero() {
		v.Threshold = amountOf(&f.Threshold)
	}
	if !f.PeriodEnd.IsZero() {
		v.PeriodEnd = httpapi.StampOf(&f.PeriodEnd)
	}
	return v
}

type costCenterQuery struct {
	Period string `query:"period" doc:"as of analytics; absent, without start and end: month_to_date"`
	Start  string `query:"start" doc:"a date, in place of period; included"`
	End    string `query:"end" doc:"a date; included"`
}

type costCenterView struct {
	CostCenter *string       `json:"cost_center" doc:"null: what is not allocated"`
	Teams      []string      `json:"teams" doc:"slugs"`
	Requests   int64         `json:"requests"`
	Cost       decimalNumber `json:"cost"`
	Amount     decimalNumber `json:"amount" doc:"cost in cents, which add up to the total to the cent"`
}

func renderCostCenter(c billing.CostCenter) costCenterView {
	return costCenterView{optional(c.Code), filled(c.Teams), c.Requests, number(c.Cost), number(c.Amount)}
}

func (a *api) billing() {
	const path = "/v1/organizations/{org}/billing"
	add[none, none](a, http.MethodGet, path, "How an organization pays, of what it is told, and to whom what it spends belongs", func(ctx context.Context, _ *none) (*answer[billingView], error) {
		s, err := a.Billing(ctx, param(ctx, "org"))
		return one(s.Version, renderBilling(s), err)
	})
	add[none, billingBody](a, http.MethodPut, path, "Set how an organization pays, of what it is told, and to whom what it spends belongs", func(ctx context.Context, _ *none) (*answer[billingView], error) {
		at, body, err := placed[billingBody](ctx, a)
		if err != nil {
			return nil, err
		}
		s, err := a.SetBilling(ctx, at.OrgID, body.input())
		return one(s.Version, renderBilling(s), err)
	})
	add[none, none](a, http.MethodGet, "/v1/organizations/{org}/payment-methods", "List how an organization can pay", func(ctx context.Context, _ *none) (*answer[list[paymentMethodBody]], error) {
		methods, err := a.PaymentMethods(ctx, param(ctx, "org"))
		return listOf(store.Page[billing.PaymentMethod]{Items: methods}, err, always(renderPaymentMethod))
	})
	add[paging, none](a, http.MethodGet, path+"/alerts", "List the alerts that went out", func(ctx context.Context, q *paging) (*answer[list[firedAlertView]], error) {
		page, err := a.Alerts(ctx, param(ctx, "org"), q.Limit, q.After)
		return listOf(page, err, always(renderFiredAlert))
	})
	add[costCenterQuery, none](a, http.MethodGet, "/v1/organizations/{org}/cost_centers", "What belongs to the cost centres of an organization",
		func(ctx context.Context, q *costCenterQuery) (*answer[list[costCenterView]], error) {
			if _, err := a.place(ctx); err != nil { // what is wrong with a query is nobody's business to whom the place does not exist
				return nil, err
			}
			if q.Period == "" && q.Start == "" && q.End == "" {
				q.Period = "month_to_date"
			}
			period, err := billing.ParsePeriod(q.Period, q.Start, q.End)
			if err != nil {
				return nil, ofQuery(err)
			}
			centers, err := a.CostCenters(ctx, param(ctx, "org"), period, billing.CostAllocation{})
			return listOf(store.Page[billing.CostCenter]{Items: centers}, err, always(renderCostCenter))
		})
}
