package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

type analyticsQuery struct {
	Period   string   `query:"period" doc:"today, yesterday, last_N_days, month_to_date, previous_month, previous_quarter or year_to_date; absent, without start and end: last_30_days"`
	Start    string   `query:"start" doc:"a date, in place of period; included"`
	End      string   `query:"end" doc:"a date; included"`
	Metrics  []string `query:"metrics,explode" doc:"absent: all"`
	Metrics2 []string `query:"metrics[],explode"`
	GroupBy  string   `query:"group_by" doc:"day, hour, minute, team, model, project, user, key, endpoint, status or tag. and a name"`
	Teams    []string `query:"teams,explode" doc:"ids or slugs; absent: all that may be seen"`
	Teams2   []string `query:"teams[],explode"`
	Models   []string `query:"models,explode" doc:"absent: all"`
	Models2  []string `query:"models[],explode"`
}

func (q *analyticsQuery) query() (in orgs.AnalyticsQuery, err error) {
	in = orgs.AnalyticsQuery{Metrics: flat(q.Metrics, q.Metrics2), GroupBy: q.GroupBy, Teams: flat(q.Teams, q.Teams2), Models: flat(q.Models, q.Models2)}
	if q.Period == "" && q.Start == "" && q.End == "" {
		q.Period = "last_30_days"
	}
	in.Period, err = billing.ParsePeriod(q.Period, q.Start, q.End)
	return in, err
}

type analyticsView struct {
	OrganizationID string       `json:"organization_id"`
	Period         periodView   `json:"period"`
	Currency       string       `json:"currency"`
	Scope          string       `json:"scope" enum:"organization,teams,own" doc:"what of it the caller sees"`
	Metrics        metricsView  `json:"metrics"`
	GroupBy        *string      `json:"group_by,omitempty"`
	Groups         *[]groupView `json:"groups,omitempty"`
}

type periodView struct {
	Name     *string `json:"name" doc:"null for dates"`
	Start    string  `json:"start"`
	End      string  `json:"end" doc:"itself outside"`
	Timezone string  `json:"timezone"`
}

// metricsView has what was asked for; null is what is not kept in such detail.
type metricsView struct {
	TotalRequests     *int64         `json:"total_requests,omitempty"`
	TotalTokens       *int64         `json:"total_tokens,omitempty"`
	TotalCost         *decimalNumber `json:"total_cost,omitempty"`
	ActiveUsers       *nullable64    `json:"active_users,omitempty"`
	ModelDistribution *[]modelView   `json:"model_distribution,omitempty"`
	TeamUsage         *[]teamUse     `json:"team_usage,omitempty"`
	ErrorRate         *decimalNumber `json:"error_rate,omitempty"`
	AverageLatency    *maybeAmount   `json:"average_latency,omitempty" doc:"milliseconds"`
	LatencyP50        *maybeAmount   `json:"latency_p50,omitempty" doc:"milliseconds, off by less than a fifth"`
	LatencyP95        *maybeAmount   `json:"latency_p95,omitempty"`
}

type modelView struct {
	Model     *string       `json:"model"`
	Requests  int64         `json:"requests"`
	Tokens    int64         `json:"tokens"`
	Cost      decimalNumber `json:"cost"`
	Share     decimalNumber `json:"share" doc:"of the requests"`
	CostShare decimalNumber `json:"cost_share"`
}

type teamUse struct {
	TeamID   *string       `json:"team_id" doc:"null: outside of teams"`
	Slug     *string       `json:"slug" doc:"null also of a team that is gone"`
	Name     *string       `json:"name"`
	Requests int64         `json:"requests"`
	Tokens   int64         `json:"tokens"`
	Cost     decimalNumber `json:"cost"`
}

type groupView struct {
	Value          *string        `json:"value" doc:"null: what has none"`
	Requests       int64          `json:"requests"`
	Tokens         int64          `json:"tokens"`
	Cost           decimalNumber  `json:"cost"`
	Errors         int64          `json:"errors"`
	AverageLatency *decimalNumber `json:"average_latency" doc:"milliseconds"`
}

func periodOf(a orgs.Analytics) periodView {
	return periodView{Name: optional(a.Period.Name), Start: exact(a.From), End: exact(a.Below), Timezone: a.Zone.String()}
}

func renderAnalytics(a orgs.Analytics, groupBy string) analyticsView {
	v := analyticsView{OrganizationID: a.OrgID, Currency: "USD", Scope: "organization",
		Period: periodOf(a)}
	switch {
	case a.Own:
		v.Scope = "own"
	case a.OfTeams:
		v.Scope = "teams"
	}
	for _, m := range a.Metrics {
		v.Metrics.render(m, &a)
	}
	if groupBy != "" {
		groups := make([]groupView, len(a.Groups))
		for i, g := range a.Groups {
			groups[i] = groupView{optional(g.Value), g.Requests, g.Tokens, number(g.Cost), g.Errors, numberOf(g.AverageLatency)}
		}
		v.GroupBy, v.Groups = &groupBy, &groups
	}
	return v
}

func (v *metricsView) render(m billing.Metric, a *orgs.Analytics) {
	switch m {
	case billing.TotalRequests:
		v.TotalRequests = &a.Requests
	case billing.TotalTokens:
		v.TotalTokens = &a.Tokens
	case billing.TotalCost:
		v.TotalCost = numberOf(&a.Cost)
	case billing.ActiveUsers:
		v.ActiveUsers = &nullable64{a.ActiveUsers}
	case billing.ErrorRate:
		v.ErrorRate = numberOf(&a.ErrorRate)
	case billing.AverageLatency:
		v.AverageLatency, v.LatencyP50, v.LatencyP95 = &maybeAmount{a.AverageLatency}, &maybeAmount{millis(a.P50)}, &maybeAmount{millis(a.P95)}
	case billing.ModelDistribution:
		list := make([]modelView, len(a.Models))
		for i, s := range a.Models {
			list[i] = modelView{optional(s.Value), s.Requests, s.Tokens, number(s.Cost), number(s.Requested), number(s.Spent)}
		}
		v.ModelDistribution = &list
	case billing.TeamUsage:
		list := make([]teamUse, len(a.Teams))
		for i, s := range a.Teams {
			list[i] = teamUse{TeamID: optional(s.Value), Requests: s.Requests, Tokens: s.Tokens, Cost: number(s.Cost)}
			if t, there := a.TeamNames[s.Value]; there {
				list[i].Slug, list[i].Name = &t.Slug, &t.Name
			}
		}
		slices.SortStableFunc(list, func(x, y teamUse) int { return y.Cost.d.Cmp(x.Cost.d) })
		v.TeamUsage = &list
	}
}

// millis is a duration in milliseconds.
func millis(d *time.Duration) *decimal.Decimal {
	if d == nil {
		return nil
	}
	ms := decimal.New(d.Microseconds(), -3)
	return &ms
}

// ofQuery names a wrong field as a parameter of the query.
func ofQuery(err error) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	return faulty("query."+cmp.Or(field.Field, "period"), field.Code, field.Message)
}

func (a *api) analytics() {
	add[analyticsQuery, none](a, http.MethodGet, "/v1/organizations/{org}/analytics", "What an organization has used, as far as the caller may see it",
		func(ctx context.Context, in *analyticsQuery) (*answer[analyticsView], error) {
			if _, err := a.place(ctx); err != nil { // what is wrong with a query is nobody's business to whom the place does not exist
				return nil, err
			}
			q, err := in.query()
			if err != nil {
				return nil, ofQuery(err)
			}
			found, err := a.Analytics(ctx, param(ctx, "org"), q)
			if err != nil {
				return nil, ofQuery(err)
			}
			return ok(renderAnalytics(found, q.GroupBy))
		})
}
