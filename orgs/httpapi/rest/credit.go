package rest

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

type currentQuery struct {
	OrganizationID string `query:"organization_id" doc:"id or slug; may be left out by a key, and by who is in only one"`
	Granularity    string `query:"granularity" enum:"minute,hour,day" default:"hour" doc:"of series; of minutes it is the last hour"`
	Breakdown      bool   `query:"include_breakdown" doc:"by models"`
}

type currentView struct {
	Period      periodView     `json:"period"`
	Granularity string         `json:"granularity"`
	Requests    int64          `json:"requests"`
	Tokens      tokensView     `json:"tokens"`
	Cost        decimalNumber  `json:"cost"`
	Currency    string         `json:"currency"`
	ActiveUsers nullable64     `json:"active_users"`
	Series      []partView     `json:"series" doc:"empty for who sees only what is their own"`
	Breakdown   *breakdownView `json:"breakdown,omitempty"`
}

type tokensView struct {
	Prompt     int64 `json:"prompt"`
	Completion int64 `json:"completion"`
	Total      int64 `json:"total"`
}

func tokensOf(t billing.Totals) tokensView {
	return tokensView{t.InputTokens, t.OutputTokens, t.Tokens}
}

type partView struct {
	Start    string        `json:"start" doc:"of the clock of the organization; of a day its date"`
	Requests int64         `json:"requests"`
	Tokens   tokensView    `json:"tokens"`
	Cost     decimalNumber `json:"cost"`
}

type breakdownView struct {
	ByModel []modelPart `json:"by_model"`
}

type modelPart struct {
	Name           *string        `json:"name"`
	Requests       int64          `json:"requests"`
	Tokens         tokensView     `json:"tokens"`
	Cost           decimalNumber  `json:"cost"`
	AverageLatency *decimalNumber `json:"avg_latency_ms"`
}

type creditQuery struct {
	OrganizationID string `query:"organization_id" doc:"id or slug; may be left out by a key, and by who is in only one"`
}

type creditView struct {
	Object  string             `json:"object" enum:"credit_balance"`
	Balance balanceView        `json:"balance"`
	Usage   *creditUsageView   `json:"usage,omitempty" doc:"this and all that follows is for who may see the usage there"`
	Limits  *creditLimitsView  `json:"limits,omitempty"`
	Billing *creditBillingView `json:"billing,omitempty"`
}

type balanceView struct {
	Credits  maybeAmount `json:"credits" doc:"what is left of the tightest hard budget on the caller's path; null: none limits it"`
	Currency string      `json:"currency"`
}

type creditUsageView struct {
	Daily   creditsUsed `json:"daily"`
	Monthly creditsUsed `json:"monthly"`
}

type creditsUsed struct {
	Used     decimalNumber `json:"credits_used"`
	Requests int64         `json:"requests"`
	Tokens   tokensView    `json:"tokens"`
}

type creditLimitsView struct {
	RateLimit struct {
		PerMinute       nullable64 `json:"requests_per_minute" doc:"null: unlimited"`
		TokensPerMinute nullable64 `json:"tokens_per_minute"`
	} `json:"rate_limit"`
	Daily struct {
		Credits   maybeAmount `json:"credits" doc:"of the hard budget of a day that has least left; null: there is none"`
		Remaining maybeAmount `json:"remaining"`
	} `json:"daily_limit"`
}

type creditBillingView struct {
	Plan         *string `json:"plan" doc:"null: plans are the host's"`
	AutoRecharge struct {
		Enabled   bool        `json:"enabled"`
		Threshold maybeAmount `json:"threshold"`
		Amount    maybeAmount `json:"amount"`
	} `json:"auto_recharge" doc:"never: what is used is on the invoice of its month"`
	NextBillingDate *string `json:"next_billing_date" doc:"null: nobody has a payment method"`
}

func renderCurrent(a orgs.Analytics, in *currentQuery) currentView {
	v := currentView{Period: periodOf(a), Granularity: in.Granularity, Requests: a.Requests, Tokens: tokensOf(a.Totals), Cost: number(a.Cost), Currency: "USD",
		ActiveUsers: nullable64{a.ActiveUsers}, Series: make([]partView, len(a.Groups))}
	for i, g := range a.Groups {
		v.Series[i] = partView{g.Value, g.Requests, tokensOf(g.Totals), number(g.Cost)}
	}
	if in.Breakdown {
		v.Breakdown = &breakdownView{ByModel: make([]modelPart, len(a.Models))}
		for i, m := range a.Models {
			v.Breakdown.ByModel[i] = modelPart{optional(m.Value), m.Requests, tokensOf(m.Totals), number(m.Cost), numberOf(m.AverageLatency)}
		}
	}
	return v
}

func renderCredit(c orgs.Credit) creditView {
	v := creditView{Object: "credit_balance", Balance: balanceView{maybeAmount{c.Left}, "USD"}}
	d := c.Detail
	if d == nil {
		return v
	}
	used := func(t billing.Totals) creditsUsed { return creditsUsed{number(t.Cost), t.Requests, tokensOf(t)} }
	v.Usage = &creditUsageView{used(d.Today), used(d.Month)}
	v.Limits = &creditLimitsView{}
	v.Limits.RateLimit.PerMinute, v.Limits.RateLimit.TokensPerMinute = nullable64{d.RequestsPerMinute}, nullable64{d.TokensPerMinute}
	if b := d.Daily; b != nil {
		v.Limits.Daily.Credits, v.Limits.Daily.Remaining = maybeAmount{&b.Limit}, maybeAmount{&b.Remaining}
	}
	v.Billing = &creditBillingView{}
	if d.NextInvoice != nil {
		v.Billing.NextBillingDate = optional(d.NextInvoice.Format(time.DateOnly))
	}
	return v
}

// credit are the vendor's pages on what is used now and what is left (dialects.md 2.8).
func (a *api) credit() {
	add[currentQuery, none](a, http.MethodGet, "/v1/usage/current", "What has been used today in the caller's team or organization", func(ctx context.Context, in *currentQuery) (*answer[currentView], error) {
		in.Granularity = cmp.Or(in.Granularity, billing.ByHour)
		used, err := a.CurrentUsage(ctx, in.OrganizationID, in.Granularity)
		if err != nil {
			return nil, ofQuery(err)
		}
		return ok(renderCurrent(used, in))
	})
	add[creditQuery, none](a, http.MethodGet, "/v1/credits", "What the caller may still spend", func(ctx context.Context, in *creditQuery) (*answer[creditView], error) {
		left, err := a.Credit(ctx, in.OrganizationID)
		if err != nil {
			return nil, ofQuery(err)
		}
		return ok(renderCredit(left))
	})
}
