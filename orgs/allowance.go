package orgs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Allowance is a set of limits that organizations can share. It keeps no spending: each organization spends by itself, as
// much as it says. What is nil is unlimited, 0 is nothing.
type Allowance struct {
	store.Meta
	Limit     *decimal.Decimal `json:"limit"`      // USD within each period; calls beyond it are refused
	SoftLimit *decimal.Decimal `json:"soft_limit"` // USD; spending of so much is told, once per period
	Window    string           `json:"window"`     // see billing.ParseWindow; "" is billing.Lifetime
	Anchor    time.Time        `json:"anchor"`     // where windows of a fixed length begin
	Duration  string           `json:"duration"`   // the window as its maker wrote it

	TokensPerMinute     *int64 `json:"tokens_per_minute"`
	RequestsPerMinute   *int64 `json:"requests_per_minute"`
	MaxParallelRequests *int64 `json:"max_parallel_requests"`

	Models map[string]ModelAllowance `json:"models"` // by globs of model ids

	// What becomes of calls of which no price is known; see billing.Budget.
	UnknownPrice   billing.UnknownPrice `json:"unknown_price"`
	UnknownMinimum *decimal.Decimal     `json:"unknown_minimum"`

	FailOpen bool `json:"fail_open"` // of rate limits: admit what the database cannot be asked about

	CreatedBy string `json:"created_by"`
	UpdatedBy string `json:"updated_by"`
}

// ModelAllowance limits one model, or all that a glob names together.
type ModelAllowance struct {
	Limit             *decimal.Decimal `json:"limit,omitempty"`
	Window            string           `json:"window,omitempty"`
	Anchor            time.Time        `json:"anchor,omitzero"` // zero is that of the allowance
	Duration          string           `json:"duration,omitempty"`
	TokensPerMinute   *int64           `json:"tokens_per_minute,omitempty"`
	RequestsPerMinute *int64           `json:"requests_per_minute,omitempty"`
}

var allowances = store.Define[Allowance]("allowances", "allow", store.Index("created_at"))

// AuditResource is how the log names the allowance.
func (a Allowance) AuditResource() audit.Resource {
	return audit.Resource{Type: "allowance", ID: a.ID}
}

// NewAllowance is the input of [Manager.CreateAllowance]. Its ID may be chosen; "" makes one.
type NewAllowance struct {
	ID string
	AllowanceLimits
}

// AllowanceLimits are what is said of an allowance.
type AllowanceLimits struct {
	Limit, SoftLimit *decimal.Decimal
	Window, Duration string
	Anchor           time.Time // zero: now

	TokensPerMinute, RequestsPerMinute, MaxParallelRequests *int64

	Models map[string]ModelAllowance

	UnknownPrice   billing.UnknownPrice
	UnknownMinimum *decimal.Decimal // USD
	FailOpen       bool
}

// Limits are those of the allowance.
func (a Allowance) Limits() AllowanceLimits {
	return AllowanceLimits{a.Limit, a.SoftLimit, a.Window, a.Duration, a.Anchor, a.TokensPerMinute, a.RequestsPerMinute, a.MaxParallelRequests, a.Models,
		a.UnknownPrice, a.UnknownMinimum, a.FailOpen}
}

func (a *Allowance) take(in AllowanceLimits, now time.Time) {
	a.Limit, a.SoftLimit, a.Window, a.Duration, a.Anchor = in.Limit, in.SoftLimit, in.Window, in.Duration, in.Anchor.UTC().Truncate(time.Microsecond)
	a.TokensPerMinute, a.RequestsPerMinute, a.MaxParallelRequests, a.Models = in.TokensPerMinute, in.RequestsPerMinute, in.MaxParallelRequests, in.Models
	a.UnknownPrice, a.UnknownMinimum, a.FailOpen = in.UnknownPrice, in.UnknownMinimum, in.FailOpen
	if in.Anchor.IsZero() {
		a.Anchor = now
	}
}

// validate names the first field that is wrong. It tries every record that the allowance would make.
func (a *Allowance) validate() error {
	if a.ID != "" {
		if err := rbac.CheckText("id", a.ID, 1, MaxAlias); err != nil {
			return err
		}
	}
	if len(a.Models) > MaxModelEntries {
		return store.Invalid("models", "range", "must have at most %d entries", MaxModelEntries)
	}
	if err := rbac.CheckText("duration", a.Duration, 0, MaxTag); err != nil {
		return err
	}
	if l, s := a.Limit, a.SoftLimit; l != nil && l.IsNegative() {
		return store.Invalid("limit", "range", "must not be negative")
	} else if s != nil && s.IsNegative() {
		return store.Invalid("soft_limit", "range", "must not be negative")
	}
	for _, b := range a.budgets("org_0", "UTC") {
		if err := b.Validate(); err != nil {
			return err
		}
	}
	for _, r := range a.rates() {
		r.OrgID, r.Scope, r.ScopeID, r.Name = "org_0", billing.ScopeOrg, "org_0", billing.OfSettings
		if r.Model == "" {
			r.Model = "*"
		}
		if err := r.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// budgets are those that an organization has by the allowance.
func (a *Allowance) budgets(orgID, zone string) (list []billing.Budget) {
	window := func(w string) string {
		if w == "" {
			return billing.Lifetime
		}
		return w
	}
	if a.Limit != nil || a.SoftLimit != nil {
		b := billing.Budget{OrgID: orgID, Scope: billing.ScopeOrg, ScopeID: orgID, Name: billing.OfSettings, Window: window(a.Window), Zone: zone, Anchor: a.Anchor,
			Hard: a.Limit != nil, SoftLimit: a.SoftLimit}
		if b.Hard {
			b.Limit = *a.Limit
		} else {
			b.Limit = *a.SoftLimit
		}
		list = append(list, b)
	}
	for _, glob := range sortedNames(a.Models) {
		if m := a.Models[glob]; m.Limit != nil {
			b := billing.Budget{OrgID: orgID, Scope: billing.ScopeModel, ScopeID: glob, Name: billing.OfSettings,
				Limit: *m.Limit, Window: window(m.Window), Zone: zone, Anchor: m.Anchor, Hard: true}
			if b.Anchor.IsZero() {
				b.Anchor = a.Anchor
			}
			list = append(list, b)
		}
	}
	for i := range list {
		list[i].UnknownPrice, list[i].UnknownMinimum = a.UnknownPrice, a.UnknownMinimum
	}
	return list
}

// rates are the rate limits that an organization has by the allowance.
func (a *Allowance) rates() (list []billing.RateLimit) {
	if a.TokensPerMinute != nil || a.RequestsPerMinute != nil || a.MaxParallelRequests != nil {
		list = append(list, billing.RateLimit{TokensPerMinute: a.TokensPerMinute, RequestsPerMinute: a.RequestsPerMinute, MaxParallelRequests: a.MaxParallelRequests})
	}
	for _, glob := range sortedNames(a.Models) {
		if m := a.Models[glob]; m.TokensPerMinute != nil || m.RequestsPerMinute != nil {
			list = append(list, billing.RateLimit{Model: glob, TokensPerMinute: m.TokensPerMinute, RequestsPerMinute: m.RequestsPerMinute})
		}
	}
	for i := range list {
		list[i].FailOpen = a.FailOpen
	}
	return list
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CreateAllowance makes an allowance; only the platform can. An id that is taken is a *store.ConflictError.
func (m *Manager) CreateAllowance(ctx context.Context, in NewAllowance) (a Allowance, err error) {
	err = m.Change(ctx, rbac.Op{Action: "allowances.create"}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		by := actor(ctx).String()
		a = Allowance{Meta: store.Meta{ID: in.ID}, CreatedBy: by, UpdatedBy: by}
		a.take(in.AllowanceLimits, tx.Now())
		if err := a.validate(); err != nil {
			return audit.Change{}, err
		}
		if in.ID != "" {
			if _, err := allowances.Get(ctx, tx, in.ID); err == nil {
				return audit.Change{}, errAllowanceThere
			} else if !errors.Is(err, store.ErrNotFound) {
				return audit.Change{}, err
			}
		}
		err := allowances.Insert(ctx, tx, &a)
		return audit.Created(&a), err
	})
	if errors.Is(err, store.ErrExists) { // lost the race to another call
		err = errAllowanceThere
	}
	return a, err
}

var errAllowanceThere = &store.ConflictError{Code: "conflict", Message: "an allowance with this id exists"}

// UpdateAllowance gives an allowance other limits, which bind every organization that has it from the next call on; each
// has an event of its own beside that of the allowance. Another window begins anew: what was spent before does not count
// in it, but where there is none, which counts whatever the organization has ever spent. Only the platform can.
func (m *Manager) UpdateAllowance(ctx context.Context, id string, in AllowanceLimits) (a Allowance, err error) {
	err = m.Change(ctx, rbac.Op{Action: "allowances.update", Resource: "allowance:" + id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if a, err = allowances.Lock(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		before := a
		a.take(in, tx.Now())
		a.UpdatedBy = actor(ctx).String()
		if err := a.validate(); err != nil {
			return audit.Change{}, err
		}
		if err := allowances.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		owners, err := owning(ctx, tx, id)
		if err != nil {
			return audit.Change{}, err
		}
		var ids []string
		for _, o := range owners {
			ids = append(ids, o.ID)
			if err := m.reallow(ctx, o.ID); err != nil {
				return audit.Change{}, err
			}
		}
		change := audit.Updated(before, &a)
		change.Data = map[string][]string{"organizations": ids}
		return change, nil
	})
	return a, err
}

// reallow brings one organization under its allowance as it is now, in the unit of its caller.
func (m *Manager) reallow(ctx context.Context, orgID string) error {
	op := rbac.Op{Action: "allowances.update", OrgID: orgID, Platform: true, Gone: true}
	return m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		o, err := organizations.Get(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(*o.masked(), o.masked()).As("organization.updated"), m.restrict(ctx, tx, o)
	})
}

// owning are the organizations that have the allowance, deleted ones too, in the order in which they are locked.
func owning(ctx context.Context, tx *store.Tx, id string) (list []Organization, err error) {
	q := store.Query{Where: []store.Cond{store.Eq("allowance_id", id)}, Order: []store.Order{store.Asc("id")}}
	for o, err := range organizations.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// AllowanceShared says whether several organizations have the allowance. It asks no permission: it serves the floors above, which
// have read it.
func AllowanceShared(ctx context.Context, tx *store.Tx, id string) (bool, error) {
	n := 0
	for o, err := range organizations.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("allowance_id", id)}}) {
		if err != nil {
			return false, err
		}
		if o.DeletedAt == nil {
			n++
		}
		if n > 1 {
			break
		}
	}
	return n > 1, nil
}

// Allowance returns an allowance; only the platform can. What an organization has of its own it reads by
// [Manager.AllowanceOf].
func (m *Manager) Allowance(ctx context.Context, id string) (a Allowance, err error) {
	err = m.Read(ctx, rbac.Op{Action: "allowances.read"}, func(ctx context.Context, tx *store.Tx) error {
		a, err = allowances.Get(ctx, tx, id)
		return err
	})
	return a, err
}

// Allowances lists all of them, newest first; only the platform can.
func (m *Manager) Allowances(ctx context.Context, limit int, after string) (page store.Page[Allowance], err error) {
	err = m.Read(ctx, rbac.Op{Action: "allowances.read"}, func(ctx context.Context, tx *store.Tx) error {
		page, err = allowances.List(ctx, tx, store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}
