package orgs

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// TeamSettings are a team's settings as they were given. What is absent has its default (F327): no
// limit, everything allowed. In lists absent means no setting, and an empty list means nothing.
type TeamSettings struct {
	Budget        *BudgetSettings       `json:"budget,omitempty"`
	Models        *ModelSettings        `json:"models,omitempty"`
	Objects       *ObjectSettings       `json:"objects,omitempty"`
	Features      *FeatureSettings      `json:"features,omitempty"`
	Notifications *NotificationSettings `json:"notifications,omitempty"`
	Resources     *ResourceSettings     `json:"resources,omitempty"`
	Billing       *TeamBilling          `json:"billing,omitempty"`
}

// BudgetSettings limit what the team spends in a calendar month of the organization's zone.
type BudgetSettings struct {
	MonthlyLimit      *billing.Amount `json:"monthly_limit,omitempty"`   // USD; 0 is nothing, absent unlimited
	AlertThreshold    *billing.Amount `json:"alert_threshold,omitempty"` // share of the limit, 0 < x <= 1
	HardLimit         *bool           `json:"hard_limit,omitempty"`
	Rollover          *bool           `json:"rollover,omitempty"`
	RequireProjectTag *bool           `json:"require_project_tag,omitempty"`
}

func (b *BudgetSettings) threshold() *decimal.Decimal {
	if b == nil || b.AlertThreshold == nil {
		return nil
	}
	d := b.AlertThreshold.Decimal()
	return &d
}

func (b *BudgetSettings) equal(other *BudgetSettings) bool {
	same := func(x, y *decimal.Decimal) bool {
		return x == nil && y == nil || x != nil && y != nil && x.Equal(*y)
	}
	limit := func(s *BudgetSettings) *decimal.Decimal {
		if s == nil || s.MonthlyLimit == nil {
			return nil
		}
		d := s.MonthlyLimit.Decimal()
		return &d
	}
	flags := func(s *BudgetSettings) [3]bool {
		if s == nil {
			return [3]bool{}
		}
		return [3]bool{is(s.HardLimit), is(s.Rollover), is(s.RequireProjectTag)}
	}
	return same(limit(b), limit(other)) && same(b.threshold(), other.threshold()) && flags(b) == flags(other)
}

// ModelSettings say which models the team may use. Entries are globs of model ids.
type ModelSettings struct {
	Allowed            []string              `json:"allowed,omitzero"`
	Blocked            []string              `json:"blocked,omitzero"`
	RequireApproval    []string              `json:"require_approval,omitzero"`
	Aliases            map[string]string     `json:"aliases,omitempty"` // models by other names, which calls may have for them
	RateLimits         map[string]RateLimits `json:"rate_limits,omitempty"`
	PreferredProviders []string              `json:"preferred_providers,omitzero"`
	AllowFineTuning    *bool                 `json:"allow_fine_tuning,omitempty"`
	AllowEmbeddings    *bool                 `json:"allow_embeddings,omitempty"`
}

// RateLimits of one model, or of all that a glob names together; every window that is given holds.
type RateLimits struct {
	RequestsPerMinute *int64 `json:"requests_per_minute,omitempty"`
	RequestsPerHour   *int64 `json:"requests_per_hour,omitempty"`
	RequestsPerDay    *int64 `json:"requests_per_day,omitempty"`
	TokensPerMinute   *int64 `json:"tokens_per_minute,omitempty"`
	TokensPerHour     *int64 `json:"tokens_per_hour,omitempty"`
	TokensPerDay      *int64 `json:"tokens_per_day,omitempty"`

	InputTokensPerMinute *int64 `json:"input_tokens_per_minute,omitempty"` // of the input alone
	InputTokensPerDay    *int64 `json:"input_tokens_per_day,omitempty"`

	FailOpen bool `json:"fail_open,omitempty"` // admit what the database cannot be asked about
}

// limited says whether anything is limited.
func (r RateLimits) limited() bool {
	r.FailOpen = false
	return r != RateLimits{}
}

// FeatureSettings refuse what is set to false.
type FeatureSettings struct {
	FunctionCalling   *bool `json:"function_calling,omitempty"`
	Vision            *bool `json:"vision,omitempty"`
	WebSearch         *bool `json:"web_search,omitempty"`
	FineTuning        *bool `json:"fine_tuning,omitempty"`
	StructuredOutputs *bool `json:"structured_outputs,omitempty"`
	ImageGeneration   *bool `json:"image_generation,omitempty"`
}

// NotificationSettings say who is told: e-mail addresses or slugs of roles.
type NotificationSettings struct {
	UsageAlerts      []string `json:"usage_alerts,omitzero"`
	ApprovalRequests []string `json:"approval_requests,omitzero"`
}

// ResourceSettings say how many of the team's calls run at once, whether they are served before others that wait, and whether
// they leave the slots alone that the organization shares.
type ResourceSettings struct {
	MaxParallelRequests *int64 `json:"max_parallel_requests,omitempty"`
	PriorityQueue       *bool  `json:"priority_queue,omitempty"`
	DedicatedCapacity   *bool  `json:"dedicated_capacity,omitempty"`
}

// MaxModelEntries is the most entries of a list of models.
const MaxModelEntries = 1000

// Validate names the first field that is wrong.
func (s TeamSettings) Validate() error {
	if err := s.Budget.validate(); err != nil {
		return err
	}
	if err := s.Models.validate(); err != nil {
		return err
	}
	if err := s.Objects.validate("settings.objects"); err != nil {
		return err
	}
	if err := s.Billing.validate(); err != nil {
		return err
	}
	if n := s.Notifications; n != nil {
		if err := checkNotify("settings.notifications.usage_alerts", n.UsageAlerts); err != nil {
			return err
		}
		if err := checkNotify("settings.notifications.approval_requests", n.ApprovalRequests); err != nil {
			return err
		}
	}
	if r := s.Resources; r != nil && r.MaxParallelRequests != nil && (*r.MaxParallelRequests < 1 || *r.MaxParallelRequests > billing.MaxRate) {
		return store.Invalid("settings.resources.max_parallel_requests", "range", "must be from 1 to %d", int64(billing.MaxRate))
	}
	return nil
}

func (b *BudgetSettings) validate() error {
	if b == nil {
		return nil
	}
	if b.MonthlyLimit != nil && b.MonthlyLimit.Decimal().IsNegative() {
		return store.Invalid("settings.budget.monthly_limit", "range", "must not be negative")
	}
	if b.AlertThreshold != nil {
		if t := b.AlertThreshold.Decimal(); !t.IsPositive() || t.GreaterThan(decimal.NewFromInt(1)) {
			return store.Invalid("settings.budget.alert_threshold", "range", "must be above 0 and at most 1")
		}
	}
	return nil
}

func (m *ModelSettings) validate() error {
	if m == nil {
		return nil
	}
	for _, list := range []struct {
		name  string
		globs []string
	}{{"allowed", m.Allowed}, {"blocked", m.Blocked}, {"require_approval", m.RequireApproval}} {
		if err := checkModels("settings.models."+list.name, list.globs); err != nil {
			return err
		}
	}
	if err := checkAliases("settings.models.aliases", m.Aliases); err != nil {
		return err
	}
	return checkRateLimits("settings.models.rate_limits", m.RateLimits)
}

func checkRateLimits(field string, byModel map[string]RateLimits) error {
	if len(byModel) > MaxModelEntries {
		return store.Invalid(field, "range", "must have at most %d entries", MaxModelEntries)
	}
	for glob, limits := range byModel {
		at := field + "." + glob
		if err := checkModels(field, []string{glob}); err != nil {
			return err
		}
		for name, n := range map[string]*int64{"requests_per_minute": limits.RequestsPerMinute, "requests_per_hour": limits.RequestsPerHour,
			"requests_per_day": limits.RequestsPerDay, "tokens_per_minute": limits.TokensPerMinute, "tokens_per_hour": limits.TokensPerHour,
			"tokens_per_day": limits.TokensPerDay, "input_tokens_per_minute": limits.InputTokensPerMinute, "input_tokens_per_day": limits.InputTokensPerDay} {
			if n != nil && (*n < 0 || *n > billing.MaxRate) {
				return store.Invalid(at+"."+name, "range", "must be from 0 to %d", int64(billing.MaxRate))
			}
		}
	}
	return nil
}

// checkAliases takes any names: whether there is such a model, calls are told.
func checkAliases(at string, aliases map[string]string) error {
	if len(aliases) > MaxModelEntries {
		return store.Invalid(at, "range", "must have at most %d entries", MaxModelEntries)
	}
	for _, name := range sortedNames(aliases) {
		if err := rbac.CheckText(at, name, 1, rbac.MaxName); err != nil {
			return err
		}
		if err := rbac.CheckText(at, aliases[name], 1, rbac.MaxName); err != nil {
			return err
		}
	}
	return nil
}

func checkModels(field string, globs []string) error {
	if len(globs) > MaxModelEntries {
		return store.Invalid(field, "range", "must have at most %d entries", MaxModelEntries)
	}
	for i, g := range globs {
		if _, err := rbac.ParseResource(rbac.ModelPattern(g)); err != nil || g == "" {
			return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "pattern", "must be a model id, * for any run of characters")
		}
	}
	return nil
}

// restriction is what decisions have to know of the settings.
func (s TeamSettings) restriction() rbac.Restriction {
	var r rbac.Restriction
	if m := s.Models; m != nil {
		r.Limited, r.Allowed = m.Allowed != nil, m.Allowed
		r.Blocked, r.RequireApproval = m.Blocked, m.RequireApproval
		off(&r, "fine_tuning", m.AllowFineTuning)
		off(&r, "embeddings", m.AllowEmbeddings)
	}
	r.Objects = s.Objects.rules()
	if f := s.Features; f != nil {
		off(&r, "function_calling", f.FunctionCalling)
		off(&r, "vision", f.Vision)
		off(&r, "web_search", f.WebSearch)
		off(&r, "structured_outputs", f.StructuredOutputs)
		off(&r, "image_generation", f.ImageGeneration)
		if s.Models == nil || s.Models.AllowFineTuning == nil || *s.Models.AllowFineTuning { // else it is off already
			off(&r, "fine_tuning", f.FineTuning)
		}
	}
	return r
}

func off(r *rbac.Restriction, feature string, on *bool) {
	if on != nil && !*on {
		r.FeaturesOff = append(r.FeaturesOff, feature)
	}
}

func is(b *bool) bool { return b != nil && *b }
