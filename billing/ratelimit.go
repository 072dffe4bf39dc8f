package billing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// RateLimit bounds how many requests and tokens calls take within windows that are aligned to the clock, and how many
// run at once. What is nil is unlimited, 0 admits nothing. Every limit on the path of a call holds.
//
// Minutes and hours are those of UTC; a day is a calendar day in the zone of the organization. All models that the glob
// names are counted together.
type RateLimit struct {
	store.Meta
	OrgID   string    `json:"organization_id"` // "" for a user's
	Scope   ScopeKind `json:"scope"`           // org, team, project, member, user or key
	ScopeID string    `json:"scope_id"`
	TeamID  string    `json:"team_id"` // of a member limit; "" for a member of the organization
	Model   string    `json:"model"`   // glob of model ids, or an alias; "*" for all
	Name    string    `json:"name"`    // several limits of one scope and glob have different names

	RequestsPerMinute *int64 `json:"requests_per_minute"`
	RequestsPerHour   *int64 `json:"requests_per_hour"`
	RequestsPerDay    *int64 `json:"requests_per_day"`
	TokensPerMinute   *int64 `json:"tokens_per_minute"`
	TokensPerHour     *int64 `json:"tokens_per_hour"`
	TokensPerDay      *int64 `json:"tokens_per_day"`

	// Of the input alone, cached or not.
	InputTokensPerMinute *int64 `json:"input_tokens_per_minute"`
	InputTokensPerDay    *int64 `json:"input_tokens_per_day"`

	// MaxParallelRequests of an organization are its shared pool, which calls with dedicated capacity take nothing of.
	MaxParallelRequests *int64 `json:"max_parallel_requests"`

	// FailOpen admits calls that the database cannot be asked about; else they are refused.
	FailOpen bool `json:"fail_open"`
}

var rateLimits = store.Define[RateLimit]("rate_limits", "lim",
	store.Unique("org_id", "scope", "scope_id", "team_id", "model", "name"), store.Index("org_id", "scope_id"))

// OfSettings is the name of the budgets and limits that settings make; nobody else uses it.
const OfSettings = "settings"

// MaxRate is the highest limit; it keeps sums from overflowing.
const MaxRate = 1_000_000_000_000_000

// AuditResource is how the log names the limit.
func (r RateLimit) AuditResource() audit.Resource {
	return audit.Resource{Type: "rate_limit", ID: r.ID}
}

// Measure is one of the things that a [RateLimit] limits, by the name of its field.
type Measure string

// Measures that are asked for by their names; that of what runs at once is the only one that is of no window.
const (
	ParallelRequests  Measure = "max_parallel_requests"
	RequestsPerMinute Measure = "requests_per_minute"
	TokensPerMinute   Measure = "tokens_per_minute"
)

// measures are those of windows.
var measures = [...]struct {
	name   Measure
	of     counted
	window Window
	limit  func(*RateLimit) *int64
}{
	{RequestsPerMinute, requests, Window{1, "m"}, func(r *RateLimit) *int64 { return r.RequestsPerMinute }},
	{"requests_per_hour", requests, Window{1, "h"}, func(r *RateLimit) *int64 { return r.RequestsPerHour }},
	{"requests_per_day", requests, Window{1, CalendarDay}, func(r *RateLimit) *int64 { return r.RequestsPerDay }},
	{TokensPerMinute, allTokens, Window{1, "m"}, func(r *RateLimit) *int64 { return r.TokensPerMinute }},
	{"tokens_per_hour", allTokens, Window{1, "h"}, func(r *RateLimit) *int64 { return r.TokensPerHour }},
	{"tokens_per_day", allTokens, Window{1, CalendarDay}, func(r *RateLimit) *int64 { return r.TokensPerDay }},
	{"input_tokens_per_minute", inputTokens, Window{1, "m"}, func(r *RateLimit) *int64 { return r.InputTokensPerMinute }},
	{"input_tokens_per_day", inputTokens, Window{1, CalendarDay}, func(r *RateLimit) *int64 { return r.InputTokensPerDay }},
}

// counted is what a measure counts.
type counted byte

const (
	requests counted = iota
	allTokens
	inputTokens
)

// normal fills in what may be left out, and the id. It follows from what is limited, so that a limit that is taken away and
// set again goes on counting where it was.
func (r *RateLimit) normal() {
	r.Model = cmp.Or(r.Model, "*")
	sum := sha256.Sum256([]byte(strings.Join([]string{r.OrgID, string(r.Scope), r.ScopeID, r.TeamID, r.Model, r.Name}, "\x00")))
	r.ID = rateLimits.Kind().Prefix + "_" + hex.EncodeToString(sum[:12])
}

// Validate names the first field that is wrong.
func (r RateLimit) Validate() error {
	switch {
	case r.Scope == ScopeModel || scopeOrder[r.Scope] == 0 && r.Scope != ScopeKey:
		return store.Invalid("scope", "enum", "must be org, team, project, member, user or key")
	case r.ScopeID == "":
		return store.Invalid("scope_id", "required", "is required")
	case r.OrgID == "" && r.Scope != ScopeUser:
		return store.Invalid("organization_id", "required", "is required")
	case r.Scope == ScopeOrg && r.ScopeID != r.OrgID:
		return store.Invalid("scope_id", "range", "must be the organization itself")
	case r.TeamID != "" && r.Scope != ScopeMember:
		return store.Invalid("team_id", "range", "belongs to member limits only")
	}
	if err := rbac.CheckText("name", r.Name, 0, rbac.MaxName); err != nil {
		return err
	}
	if _, err := rbac.ParseResource(rbac.ModelPattern(r.Model)); err != nil {
		return store.Invalid("model", "pattern", "must be a glob of model ids")
	}
	some := r.MaxParallelRequests != nil
	check := func(m Measure, n *int64) error {
		some = some || n != nil
		if n != nil && (*n < 0 || *n > MaxRate) {
			return store.Invalid(string(m), "range", "must be from 0 to %d", int64(MaxRate))
		}
		return nil
	}
	for _, m := range measures {
		if err := check(m.name, m.limit(&r)); err != nil {
			return err
		}
	}
	if err := check(ParallelRequests, r.MaxParallelRequests); err != nil {
		return err
	}
	if !some {
		return store.Invalid("requests_per_minute", "required", "something must be limited")
	}
	return nil
}

// same says whether two limits limit the same things alike.
func (r RateLimit) same(other RateLimit) bool {
	equal := func(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	for _, m := range measures {
		if !equal(m.limit(&r), m.limit(&other)) {
			return false
		}
	}
	return equal(r.MaxParallelRequests, other.MaxParallelRequests) && r.FailOpen == other.FailOpen
}

// olderThan says whether it was read before a change that led to the other. Calls that meet may have read different ones.
func (r RateLimit) olderThan(other *RateLimit) bool {
	return r.CreatedAt.Equal(other.CreatedAt) && r.Version < other.Version
}

// covers says whether the limit lies on a path through those organizations.
func (r RateLimit) covers(p Path, orgs []string, resolve func(string) (string, bool)) bool {
	is := func(id string) bool { return id != "" && r.ScopeID == id }
	on := false
	switch r.Scope {
	case ScopeOrg:
		for _, id := range orgs {
			on = on || is(id)
		}
	case ScopeTeam:
		on = is(p.TeamID)
	case ScopeProject:
		on = is(p.ProjectID)
	case ScopeKey:
		on = is(p.KeyID)
	case ScopeUser:
		on = is(p.UserID) && r.OrgID == ""
	case ScopeMember:
		on = is(p.UserID) && r.OrgID == p.OrgID && (r.TeamID == "" || r.TeamID == p.TeamID)
	}
	if !on || r.Model == "*" {
		return on
	}
	glob := r.Model
	if resolve != nil {
		if id, known := resolve(glob); known {
			glob = id
		}
	}
	pattern, err := rbac.ParseResource(rbac.ModelPattern(glob))
	return err == nil && pattern.Match(rbac.ModelPattern(p.Model))
}
