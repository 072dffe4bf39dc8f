package orgs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// KeyRestrictions narrow what a key may do. They intersect with its rights and never widen them. What is absent restricts
// nothing.
type KeyRestrictions struct {
	AllowedIPs           []string          `json:"allowed_ips,omitempty"` // none is no limit
	MaxRequestsPerMinute *int64            `json:"max_requests_per_minute,omitempty"`
	MaxRequestsPerHour   *int64            `json:"max_requests_per_hour,omitempty"`
	MaxRequestsPerDay    *int64            `json:"max_requests_per_day,omitempty"`
	MaxCostPerDay        *billing.Amount   `json:"max_cost_per_day,omitempty"` // USD, in a day of the organization's zone; 0 is nothing
	Models               *KeyModels        `json:"models,omitempty"`
	ModelAliases         map[string]string `json:"model_aliases,omitempty"` // models by other names, before those of team and organization
	Objects              *ObjectSettings   `json:"objects,omitempty"`       // what calls may use beside models
	Features             []string          `json:"features,omitzero"`       // of [KeyFeatures]; an empty list is none of them
	Operations           []string          `json:"operations,omitzero"`     // of [KeyOperations]; an empty list is none of them
	Domains              []string          `json:"domains,omitempty"`       // globs of the host of Origin
	Referrers            []string          `json:"referrers,omitempty"`     // globs of Referer, with its scheme or without
	UserAgents           []string          `json:"user_agents,omitempty"`   // beginnings of User-Agent
}

// KeyModels say which models a key may use, by globs of ids and aliases.
type KeyModels struct {
	Allowed []string `json:"allowed,omitzero"` // absent is all, an empty list none
	Blocked []string `json:"blocked,omitzero"` // wins
}

// KeyFeatures are what a key can be restricted to. A call that makes use of none of the endpoints among them is a chat
// completion.
var KeyFeatures = []string{ChatFeature, "embeddings", "structured_outputs", "function_calling", "vision", "web_search", "fine_tuning", "image_generation"}

// ChatFeature is what a call makes use of that is for no other endpoint.
const ChatFeature = "chat_completion"

var endpointFeatures = []string{"embeddings", "fine_tuning", "image_generation"}

// KeyOperations are what a key can be restricted to: to list models and read usage, and to use models.
var KeyOperations = []string{ReadOperation, WriteOperation}

// The operations.
const (
	ReadOperation  = "read"
	WriteOperation = "write"
)

const maxKeyEntries = 100

func (r KeyRestrictions) validate() error {
	const at = "additional_restrictions."
	if err := checkRanges(at+"allowed_ips", r.AllowedIPs); err != nil {
		return err
	}
	for _, n := range []struct {
		name string
		most *int64
	}{{"minute", r.MaxRequestsPerMinute}, {"hour", r.MaxRequestsPerHour}, {"day", r.MaxRequestsPerDay}} {
		if n.most != nil && (*n.most < 0 || *n.most > billing.MaxRate) {
			return store.Invalid(at+"max_requests_per_"+n.name, "range", "must be from 0 to %d", int64(billing.MaxRate))
		}
	}
	if c := r.MaxCostPerDay; c != nil && c.Decimal().IsNegative() {
		return store.Invalid(at+"max_cost_per_day", "range", "must not be negative")
	}
	if m := r.Models; m != nil {
		if err := checkModels(at+"models.allowed", m.Allowed); err != nil {
			return err
		}
		if err := checkModels(at+"models.blocked", m.Blocked); err != nil {
			return err
		}
	}
	if err := checkAliases(at+"model_aliases", r.ModelAliases); err != nil {
		return err
	}
	if err := r.Objects.validate(at + "objects"); err != nil {
		return err
	}
	for _, list := range []struct {
		name   string
		values []string
		known  []string
	}{{"features", r.Features, KeyFeatures}, {"operations", r.Operations, KeyOperations}} {
		for i, v := range list.values {
			if !slices.Contains(list.known, v) {
				return store.Invalid(fmt.Sprintf("%s%s[%d]", at, list.name, i), "enum", "must be one of %s", strings.Join(list.known, ", "))
			}
			if slices.Contains(list.values[:i], v) {
				return store.Invalid(fmt.Sprintf("%s%s[%d]", at, list.name, i), "unique", "is there twice")
			}
		}
	}
	for i, host := range r.Domains {
		if strings.ContainsAny(host, "/: ") {
			return store.Invalid(fmt.Sprintf("%sdomains[%d]", at, i), "pattern", "must be a host, * for any run of characters")
		}
	}
	return cmp.Or(checkClients(at+"domains", r.Domains), checkClients(at+"referrers", r.Referrers), checkClients(at+"user_agents", r.UserAgents))
}

func checkClients(field string, list []string) error {
	if len(list) > maxKeyEntries {
		return store.Invalid(field, "range", "must have at most %d entries", maxKeyEntries)
	}
	for i, v := range list {
		if err := rbac.CheckText(fmt.Sprintf("%s[%d]", field, i), v, 1, 300); err != nil {
			return err
		}
	}
	return nil
}

// ErrKeyRestricted: the key itself is not for this. Whoever refuses a client for it tells [Manager.Refused] so.
var ErrKeyRestricted = errors.New("the key is restricted")

// NameClients says whether the key is for some clients only.
func (r *KeyRestrictions) NameClients() bool {
	return len(r.AllowedIPs)+len(r.Domains)+len(r.Referrers)+len(r.UserAgents) > 0
}

// NameUses says whether the key is for some uses only.
func (r *KeyRestrictions) NameUses() bool {
	return r.Models != nil || r.Objects != nil || r.Features != nil || r.Operations != nil
}

// AdmitsClient says whether a client that sends these headers may use the key. What it does not say is no such client.
func (r *KeyRestrictions) AdmitsClient(origin, referrer, userAgent string) bool {
	if len(r.Domains) > 0 {
		u, err := url.Parse(origin)
		if err != nil || u.Hostname() == "" || !matchesAny(r.Domains, strings.ToLower(u.Hostname()), strings.ToLower) {
			return false
		}
	}
	if len(r.Referrers) > 0 {
		_, bare, _ := strings.Cut(referrer, "://")
		as := func(s string) string { return s }
		if referrer == "" || !matchesAny(r.Referrers, referrer, as) && (bare == "" || !matchesAny(r.Referrers, bare, as)) {
			return false
		}
	}
	return len(r.UserAgents) == 0 || slices.ContainsFunc(r.UserAgents, func(begin string) bool { return strings.HasPrefix(userAgent, begin) })
}

func matchesAny(globs []string, s string, as func(string) string) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		p, err := rbac.ParseResource(as(g))
		return err == nil && p.Match(s)
	})
}

// AdmitsModel says whether the key may use a model that was asked for by that name, its id or an alias.
func (r *KeyRestrictions) AdmitsModel(id, asked string) bool {
	m := r.Models
	if m == nil {
		return true
	}
	same := func(s string) string { return s }
	matches := func(globs []string) bool { return matchesAny(globs, id, same) || matchesAny(globs, asked, same) }
	return !matches(m.Blocked) && (m.Allowed == nil || matches(m.Allowed))
}

// AdmitsObjects returns the first object of a call that the key is not for, such as vector_store:vs_1, "" where it is for all.
func (r *KeyRestrictions) AdmitsObjects(used []string) string {
	if r.Objects != nil {
		for _, o := range used {
			if !r.Objects.admits(o) {
				return o
			}
		}
	}
	return ""
}

// AdmitsFeatures returns the first feature of a call that the key is not for, "" where it is for all.
func (r *KeyRestrictions) AdmitsFeatures(used []string) string {
	if r.Features == nil {
		return ""
	}
	if !slices.ContainsFunc(used, func(f string) bool { return slices.Contains(endpointFeatures, f) }) && !slices.Contains(r.Features, ChatFeature) {
		return ChatFeature
	}
	for _, f := range used {
		if !slices.Contains(r.Features, f) {
			return f
		}
	}
	return ""
}

// AdmitsOperation says whether the key is for one of the [KeyOperations].
func (r *KeyRestrictions) AdmitsOperation(op string) bool {
	return r.Operations == nil || slices.Contains(r.Operations, op)
}

// applyLimit writes the rate limit and the budget that the restrictions of a key ask for.
func (m *Manager) applyLimit(ctx context.Context, tx *store.Tx, k APIKey) error {
	var limits []billing.RateLimit
	r := k.Restrictions
	if r.MaxRequestsPerMinute != nil || r.MaxRequestsPerHour != nil || r.MaxRequestsPerDay != nil {
		limits = []billing.RateLimit{{RequestsPerMinute: r.MaxRequestsPerMinute, RequestsPerHour: r.MaxRequestsPerHour, RequestsPerDay: r.MaxRequestsPerDay}}
	}
	if err := m.ApplyRateLimits(ctx, tx, k.OrgID, billing.ScopeKey, k.ID, limits); err != nil {
		return err
	}
	if r.MaxCostPerDay == nil {
		return m.Drop(ctx, tx, k.OrgID, billing.ScopeKey, k.ID, billing.OfSettings)
	}
	scope, err := rbac.Scopes.Get(ctx, tx, k.OrgID)
	if err != nil {
		return err
	}
	return m.Put(ctx, tx, &billing.Budget{OrgID: k.OrgID, Scope: billing.ScopeKey, ScopeID: k.ID, Name: billing.OfSettings,
		Limit: r.MaxCostPerDay.Decimal(), Window: billing.CalendarDay, Zone: scope.Zone, Hard: true})
}
