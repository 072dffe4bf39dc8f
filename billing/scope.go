package billing

import (
	"context"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ScopeKind says whose spending a budget limits.
type ScopeKind string

// The kinds of scope, in the order in which a call takes from them.
const (
	ScopeKey     ScopeKind = "key"     // one API key
	ScopeModel   ScopeKind = "model"   // the models that a glob names, in one organization
	ScopeMember  ScopeKind = "member"  // one user in one team, or in the organization
	ScopeUser    ScopeKind = "user"    // one user, in all organizations; set by the platform
	ScopeProject ScopeKind = "project" // what the keys of a project spend
	ScopeTeam    ScopeKind = "team"
	ScopeOrg     ScopeKind = "org" // the organization with everything below it
)

var scopeOrder = map[ScopeKind]int{ScopeKey: 0, ScopeModel: 1, ScopeMember: 2, ScopeUser: 3, ScopeProject: 4, ScopeTeam: 5, ScopeOrg: 6}

// place is the team or project in whose context the budget is changed and decided on, "" for the organization's.
func (b Budget) place() string {
	if b.Scope == ScopeTeam || b.Scope == ScopeProject {
		return b.ScopeID
	}
	return b.TeamID
}

// belongs answers store.ErrNotFound where what the budget limits is not of its organization. That its team or project is
// has been asked with the permission; users of budgets without an organization are the platform's to know.
func (b Budget) belongs(ctx context.Context, tx *store.Tx) error {
	of := func(fits func(rbac.Assignment) bool) error {
		held, err := rbac.Held(ctx, tx, b.OrgID, b.ScopeID)
		if err == nil && !slices.ContainsFunc(held, fits) {
			err = store.ErrNotFound
		}
		return err
	}
	switch {
	case b.ScopeID == Each: // whoever they are
	case b.Scope == ScopeTeam || b.Scope == ScopeProject:
		if strings.HasPrefix(b.ScopeID, projectPrefix) != (b.Scope == ScopeProject) {
			return store.ErrNotFound
		}
	case b.Scope == ScopeKey:
		return of(func(a rbac.Assignment) bool { return a.Kind == rbac.Key })
	case b.Scope == ScopeMember || b.Scope == ScopeUser && b.OrgID != "":
		return of(func(a rbac.Assignment) bool { return a.Kind == rbac.Member && (b.TeamID == "" || a.TeamID == b.TeamID) })
	}
	return nil
}

// projectPrefix tells the ids of projects from those of teams.
const projectPrefix = "proj_"
