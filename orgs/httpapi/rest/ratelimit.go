package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

type rateLimitBody struct {
	Scope   string `json:"scope" enum:"org,team,project,member,user,key"`
	ScopeID string `json:"scope_id,omitempty" doc:"absent: the organization"`
	TeamID  string `json:"team_id,omitempty" doc:"of the scope member: only in this team"`
	Model   string `json:"model,omitempty" doc:"glob of model ids; absent: all"`
	Name    string `json:"name,omitempty" doc:"tells limits of one scope and glob apart"`
	RateLimitFigures
}

// RateLimitFigures are what a rate limit limits; what is absent is unlimited.
type RateLimitFigures struct {
	RequestsPerMinute    *int64 `json:"requests_per_minute,omitempty"`
	RequestsPerHour      *int64 `json:"requests_per_hour,omitempty"`
	RequestsPerDay       *int64 `json:"requests_per_day,omitempty" doc:"a calendar day of the organization"`
	TokensPerMinute      *int64 `json:"tokens_per_minute,omitempty"`
	TokensPerHour        *int64 `json:"tokens_per_hour,omitempty"`
	TokensPerDay         *int64 `json:"tokens_per_day,omitempty"`
	InputTokensPerMinute *int64 `json:"input_tokens_per_minute,omitempty" doc:"of the input alone"`
	InputTokensPerDay    *int64 `json:"input_tokens_per_day,omitempty"`
	MaxParallelRequests  *int64 `json:"max_parallel_requests,omitempty"`
	FailOpen             *bool  `json:"fail_open,omitempty" doc:"admit what the database cannot be asked about"`
}

// input is the limit that the body asks for, of that organization.
func (b rateLimitBody) input(orgID string) billing.RateLimit {
	r := billing.RateLimit{OrgID: orgID, Scope: billing.ScopeKind(b.Scope), ScopeID: b.ScopeID, TeamID: b.TeamID, Model: b.Model, Name: b.Name,
		RequestsPerMinute: b.RequestsPerMinute, RequestsPerHour: b.RequestsPerHour, RequestsPerDay: b.RequestsPerDay,
		TokensPerMinute: b.TokensPerMinute, TokensPerHour: b.TokensPerHour, TokensPerDay: b.TokensPerDay,
		InputTokensPerMinute: b.InputTokensPerMinute, InputTokensPerDay: b.InputTokensPerDay,
		MaxParallelRequests: b.MaxParallelRequests, FailOpen: or(b.FailOpen, false)}
	if r.Scope == billing.ScopeOrg && r.ScopeID == "" {
		r.ScopeID = orgID
	}
	return r
}

type rateLimitView struct {
	Base
	OrganizationID string `json:"organization_id"`
	Scope          string `json:"scope"`
	ScopeID        string `json:"scope_id"`
	TeamID         string `json:"team_id,omitempty"`
	Model          string `json:"model"`
	Name           string `json:"name,omitempty"`
	RateLimitFigures
	State []rateView `json:"state"`
}

// rateView is where one measure of a limit stands.
type rateView struct {
	Measure    string  `json:"measure"`
	Limit      int64   `json:"limit"`
	Remaining  int64   `json:"remaining" doc:"what processes have claimed and not used yet is not in it"`
	ResetAt    *string `json:"reset_at" doc:"null: it is no window"`
	ResetAfter int64   `json:"reset_after"`
	Waiting    int     `json:"waiting,omitempty" doc:"calls of the process that answers which wait for a slot"`
}

func renderRateLimit(r billing.RateLimitState) rateLimitView {
	v := rateLimitView{Base: baseOf(r.Meta), OrganizationID: r.OrgID, Scope: string(r.Scope), ScopeID: r.ScopeID, TeamID: r.TeamID, Model: r.Model, Name: r.Name,
		RateLimitFigures: RateLimitFigures{r.RequestsPerMinute, r.RequestsPerHour, r.RequestsPerDay, r.TokensPerMinute, r.TokensPerHour, r.TokensPerDay,
			r.InputTokensPerMinute, r.InputTokensPerDay, r.MaxParallelRequests, &r.FailOpen}, State: []rateView{}}
	for _, rate := range r.Rates {
		s := rateView{Measure: string(rate.Measure), Limit: rate.Limit, Remaining: rate.Remaining, ResetAfter: httpapi.Seconds(rate.Reset), Waiting: rate.Waiting}
		if rate.Window > 0 {
			s.ResetAt = optional(httpapi.Stamp(rate.ResetAt))
		}
		v.State = append(v.State, s)
	}
	return v
}

func (a *api) rateLimits() {
	const path = "/v1/organizations/{org}/limits"
	add[paging, none](a, http.MethodGet, path, "List rate limits and where they stand", func(ctx context.Context, q *paging) (*answer[list[rateLimitView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.RateLimits(ctx, at.OrgID, q.Limit, q.After)
		return listOf(page, err, always(renderRateLimit))
	})
	add[none, rateLimitBody](a, http.MethodPut, path, "Make a rate limit, or replace that of the same scope, model and name", func(ctx context.Context, _ *none) (*answer[rateLimitView], error) {
		at, in, err := placed[rateLimitBody](ctx, a)
		if err != nil {
			return nil, err
		}
		r, err := a.SetRateLimit(ctx, in.input(at.OrgID))
		if err != nil {
			return nil, err
		}
		return a.rateLimit(ctx, at.OrgID, r.ID)
	})
	add[none, none](a, http.MethodGet, path+"/{limit}", "Get a rate limit and where it stands", func(ctx context.Context, _ *none) (*answer[rateLimitView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		return a.rateLimit(ctx, at.OrgID, param(ctx, "limit"))
	})
	add[none, none](a, http.MethodDelete, path+"/{limit}", "Delete a rate limit", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		r, err := a.DeleteRateLimit(ctx, at.OrgID, param(ctx, "limit"))
		return deleted(r.ID, err)
	})
}

func (a *api) rateLimit(ctx context.Context, orgID, id string) (*answer[rateLimitView], error) {
	r, err := a.RateLimit(ctx, orgID, id)
	return one(r.Version, renderRateLimit(r), err)
}
