package rest

import (
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

// effectiveView is a team's settings with the defaults of what is absent (F327). What the organization and
// those above forbid comes on top of it, for each call.
type effectiveView struct {
	Budget        effectiveBudget        `json:"budget"`
	Models        effectiveModels        `json:"models"`
	Features      effectiveFeatures      `json:"features"`
	Notifications effectiveNotifications `json:"notifications"`
	Resources     effectiveResources     `json:"resources"`
}

type effectiveBudget struct {
	MonthlyLimit      *billing.Amount `json:"monthly_limit"`   // null: unlimited
	AlertThreshold    *billing.Amount `json:"alert_threshold"` // null: at the limit only
	HardLimit         bool            `json:"hard_limit"`
	Rollover          bool            `json:"rollover"`
	RequireProjectTag bool            `json:"require_project_tag"`
}

type effectiveModels struct {
	Allowed            []string                   `json:"allowed"`
	Blocked            []string                   `json:"blocked"`
	RequireApproval    []string                   `json:"require_approval"`
	RateLimits         map[string]orgs.RateLimits `json:"rate_limits"`
	PreferredProviders []string                   `json:"preferred_providers"`
	AllowFineTuning    bool                       `json:"allow_fine_tuning"`
	AllowEmbeddings    bool                       `json:"allow_embeddings"`
}

type effectiveFeatures struct {
	FunctionCalling   bool `json:"function_calling"`
	Vision            bool `json:"vision"`
	WebSearch         bool `json:"web_search"`
	FineTuning        bool `json:"fine_tuning"`
	StructuredOutputs bool `json:"structured_outputs"`
	ImageGeneration   bool `json:"image_generation"`
}

type effectiveNotifications struct {
	UsageAlerts      []string `json:"usage_alerts"`
	ApprovalRequests []string `json:"approval_requests"`
}

type effectiveResources struct {
	MaxParallelRequests *int64 `json:"max_parallel_requests"` // null: unlimited
	PriorityQueue       bool   `json:"priority_queue"`
	DedicatedCapacity   bool   `json:"dedicated_capacity"`
}

func effectiveOf(s orgs.TeamSettings) effectiveView {
	b, m, f, n, r := orZero(s.Budget), orZero(s.Models), orZero(s.Features), orZero(s.Notifications), orZero(s.Resources)
	v := effectiveView{
		Budget: effectiveBudget{b.MonthlyLimit, b.AlertThreshold, or(b.HardLimit, false), or(b.Rollover, false), or(b.RequireProjectTag, false)},
		Models: effectiveModels{m.Allowed, filled(m.Blocked), filled(m.RequireApproval), m.RateLimits, filled(m.PreferredProviders),
			or(m.AllowFineTuning, true), or(m.AllowEmbeddings, true)},
		Features: effectiveFeatures{or(f.FunctionCalling, true), or(f.Vision, true), or(f.WebSearch, true), or(f.FineTuning, true),
			or(f.StructuredOutputs, true), or(f.ImageGeneration, true)},
		Notifications: effectiveNotifications{filled(n.UsageAlerts), filled(n.ApprovalRequests)},
		Resources:     effectiveResources{r.MaxParallelRequests, or(r.PriorityQueue, false), or(r.DedicatedCapacity, false)},
	}
	if v.Models.Allowed == nil {
		v.Models.Allowed = []string{"*"}
	}
	if v.Models.RateLimits == nil {
		v.Models.RateLimits = map[string]orgs.RateLimits{}
	}
	// Two settings say one thing: a no wins (F103).
	v.Models.AllowFineTuning = v.Models.AllowFineTuning && v.Features.FineTuning
	v.Features.FineTuning = v.Models.AllowFineTuning
	return v
}

func or[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

func orZero[T any](p *T) (v T) { return or(p, v) }
