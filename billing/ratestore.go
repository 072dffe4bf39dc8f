package billing

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// SetRateLimit makes a limit, or changes the one of the same scope, glob and name, from the next call on. What was taken in
// the windows that run stays taken. It asks for budget.modify.
func (l *Limiter) SetRateLimit(ctx context.Context, r RateLimit) (RateLimit, error) {
	op := rbac.Op{Action: "budget.modify", OrgID: r.OrgID, TeamID: r.place()}
	err := l.guard.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if r.Name == OfSettings {
			return audit.Change{}, store.Invalid("name", "reserved", "belongs to the limits that settings make")
		}
		r.normal()
		if err := r.Validate(); err != nil {
			return audit.Change{}, err
		}
		if err := r.stir(ctx, tx); err != nil {
			return audit.Change{}, err
		}
		before, err := rateLimits.Lock(ctx, tx, r.ID)
		if errors.Is(err, store.ErrNotFound) {
			r.Meta = store.Meta{ID: r.ID}
			return audit.Created(&r).In(op.TeamID), rateLimits.Insert(ctx, tx, &r)
		} else if err != nil {
			return audit.Change{}, err
		}
		r.Meta = before.Meta
		return audit.Updated(before, &r).In(op.TeamID), rateLimits.Update(ctx, tx, &r)
	})
	return r, err
}

// stir has the organizations look at their limits again that a limit of the platform concerns.
func (r RateLimit) stir(ctx context.Context, tx *store.Tx) error {
	if r.OrgID != "" { // whose own change tells them
		return nil
	}
	_, err := rbac.Stir(ctx, tx, r.ScopeID)
	return err
}

// place is the team or project in whose context the limit is.
func (r RateLimit) place() string {
	if r.Scope == ScopeTeam || r.Scope == ScopeProject {
		return r.ScopeID
	}
	return r.TeamID
}

// DeleteRateLimit takes a limit away. One that settings make goes with them alone: it is a *store.ConflictError. It asks for
// budget.modify.
func (l *Limiter) DeleteRateLimit(ctx context.Context, orgID, id string) (r RateLimit, err error) {
	op := rbac.Op{Action: "budget.modify", OrgID: orgID, Resource: "rate_limit:" + id}
	err = l.guard.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if r, err = own(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		if r.Name == OfSettings {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "settings make this limit; change them"}
		}
		if err := r.stir(ctx, tx); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(r).In(r.place()), rateLimits.Delete(ctx, tx, r.ID)
	})
	return r, err
}

// own is a limit of that organization: another's does not exist.
func own(ctx context.Context, tx *store.Tx, orgID, id string) (RateLimit, error) {
	r, err := rateLimits.Get(ctx, tx, id)
	if err == nil && r.OrgID != orgID {
		return RateLimit{}, store.ErrNotFound
	}
	return r, err
}

// RateLimit returns a limit of an organization and where it stands. It needs billing.read.
func (l *Limiter) RateLimit(ctx context.Context, orgID, id string) (s RateLimitState, err error) {
	op := rbac.Op{Action: "billing.read", OrgID: orgID, Resource: "rate_limit:" + id, Answer: id}
	err = l.guard.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		r, err := own(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		states, err := l.states(ctx, tx, orgID, []RateLimit{r})
		if err == nil {
			s = states[0]
		}
		return err
	})
	return s, err
}

// RateLimits lists the limits of an organization and where they stand. It needs billing.read.
func (l *Limiter) RateLimits(ctx context.Context, orgID string, limit int, after string) (page store.Page[RateLimitState], err error) {
	err = l.guard.Read(ctx, rbac.Op{Action: "billing.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		found, err := rateLimits.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}, Limit: limit, After: after})
		if err != nil {
			return err
		}
		page.Next = found.Next
		page.Items, err = l.states(ctx, tx, orgID, found.Items)
		return err
	})
	return page, err
}

// ApplyRateLimits makes the limits that settings ask for those of the scope by the name [OfSettings]: what is new is made,
// what differs is changed, the rest goes. It runs inside the unit of its caller, who has asked for permission.
func (l *Limiter) ApplyRateLimits(ctx context.Context, tx *store.Tx, orgID string, scope ScopeKind, scopeID string, wanted []RateLimit) error {
	byID := make(map[string]RateLimit, len(wanted))
	for _, r := range wanted {
		r.OrgID, r.Scope, r.ScopeID, r.Name = orgID, scope, scopeID, OfSettings
		r.normal()
		if err := r.Validate(); err != nil {
			return err
		}
		byID[r.ID] = r
	}
	var old []RateLimit
	q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("scope", scope), store.Eq("scope_id", scopeID), store.Eq("name", OfSettings)}}
	for r, err := range rateLimits.All(ctx, tx, q) {
		if err != nil {
			return err
		}
		old = append(old, r)
	}
	for _, before := range old {
		r, stays := byID[before.ID]
		delete(byID, before.ID)
		var err error
		switch {
		case !stays:
			err = rateLimits.Delete(ctx, tx, before.ID)
		case !r.same(before):
			r.Meta = before.Meta
			err = rateLimits.Update(ctx, tx, &r)
		}
		if err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		r := byID[id]
		if err := rateLimits.Insert(ctx, tx, &r); err != nil {
			return err
		}
	}
	return nil
}

// DropRateLimits removes every limit of something that goes: of the organization's team, project, key or user.
func (l *Limiter) DropRateLimits(ctx context.Context, tx *store.Tx, orgID, id string) error {
	for _, column := range []string{"scope_id", "team_id"} {
		var gone []string
		for r, err := range rateLimits.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq(column, id)}}) {
			if err != nil {
				return err
			}
			gone = append(gone, r.ID)
		}
		for _, id := range gone {
			if err := rateLimits.Delete(ctx, tx, id); err != nil {
				return err
			}
		}
	}
	return nil
}
