package rbac

import (
	"context"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// standing is a subject in an organization, with the rules there.
type standing struct {
	chain []Scope      // the organization, then those above it
	held  []Assignment // there, suspended included, and what inherited roles give from above
	snap  *snapshot
}

// stand returns where a subject stands, or store.ErrNotFound for one that holds nothing: strangers cost no
// more than this. locked says that the organization is locked by the unit.
func (g *Guard) stand(ctx context.Context, tx *store.Tx, chain []Scope, subject string, locked bool) (standing, error) {
	st := standing{chain: chain}
	orgID, ids := chain[0].ID, make([]string, len(chain))
	for i, s := range chain {
		ids[i] = s.ID
	}
	var above []Assignment
	for a, err := range Assignments.All(ctx, tx, store.Query{
		Where: []store.Cond{store.Eq("subject", subject), store.In("org_id", ids)},
	}) {
		switch {
		case err != nil:
			return st, err
		case a.OrgID == orgID:
			st.held = append(st.held, a)
		case a.TeamID == "" && a.State == Active && a.Kind == Member:
			above = append(above, a)
		}
	}
	if len(st.held)+len(above) == 0 {
		return st, store.ErrNotFound
	}
	var err error
	if st.snap, err = g.memory.of(ctx, tx, chain, locked); err != nil {
		return st, err
	}
	for _, a := range above {
		if st.snap.role(a.RoleID).Inherited {
			st.held = append(st.held, a)
		}
	}
	if len(st.held) == 0 {
		return st, store.ErrNotFound
	}
	return st, nil
}

// standingOf is stand for an organization by its id.
func (g *Guard) standingOf(ctx context.Context, tx *store.Tx, orgID, subject string) (standing, error) {
	chain, err := Lineage(ctx, tx, orgID)
	if err != nil {
		return standing{}, err
	}
	return g.stand(ctx, tx, chain, subject, false)
}

// Belongs answers store.ErrNotFound unless the subject holds something in the organization, there or by an
// inherited role from above. To a subject of a deleted organization it does not exist.
func (g *Guard) Belongs(ctx context.Context, tx *store.Tx, orgID, subject string) error {
	chain, err := Lineage(ctx, tx, orgID)
	if err != nil {
		return err
	}
	if Effective(chain) == Gone {
		return store.ErrNotFound
	}
	_, err = g.stand(ctx, tx, chain, subject, false)
	return err
}

func (st standing) org() string { return st.chain[0].ID }

// key is the assignment of an API key, if the subject is one.
func (st standing) key() (Assignment, bool) { return st.held[0], st.held[0].Kind == Key }

// rulesApply are the scopes whose rules for signed-in people bind the subject: the organization itself, and
// those above in which it holds what acts here.
func (st standing) rulesApply() []Scope {
	bound := st.chain[:1:1]
	for _, s := range st.chain[1:] {
		if slices.ContainsFunc(st.held, func(a Assignment) bool { return a.OrgID == s.ID }) {
			bound = append(bound, s)
		}
	}
	return bound
}

// profile is what selects the statements of a decision. Two subjects with equal profiles share a
// ruleset.
type profile struct {
	Team    string
	Grants  []grant  // by role, or of the member or key itself
	Removed []string // of the person in this context, whatever role of the organization grants it (F469)

	// Skip leaves out the attached policies of the organization and those above it, as many: an owner
	// edits policies.
	Skip int
}

// grant is what one assignment gives.
type grant struct {
	Role  string // id, "" for a key
	Add   []string
	Key   bool
	Above bool     // by an inherited role; what the organization removes does not concern it
	Less  []string // removed from this grant alone
}

func (st standing) profile(team string) profile {
	p := profile{Team: team}
	for _, a := range in(st.held, team) {
		if a.OrgID != st.org() {
			p.Grants = append(p.Grants, grant{Role: a.RoleID, Above: true, Less: a.Remove})
			continue
		}
		p.Grants = append(p.Grants, grant{Role: a.RoleID, Add: a.Add})
		p.Removed = append(p.Removed, a.Remove...)
	}
	return p
}

// ownerOf is how many organizations, from this one upwards, the subject owns by one of its roles.
func (st standing) ownerOf() (levels int) {
	for _, a := range in(st.held, "") {
		if a.Kind != Member || st.snap.role(a.RoleID).Slug != OwnerRole {
			continue
		}
		for i, s := range st.chain {
			if s.ID == a.OrgID {
				levels = max(levels, i+1)
			}
		}
	}
	return levels
}
