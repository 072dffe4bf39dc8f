package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Organization returns an organization by id or slug, also by one that it had not long ago. It needs
// organizations.read there.
func (m *Manager) Organization(ctx context.Context, ref string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	err = m.Read(ctx, rbac.Op{Action: "organizations.read", OrgID: id}, func(ctx context.Context, tx *store.Tx) error {
		o, err = organizations.Get(ctx, tx, id)
		return err
	})
	return o, err
}

// OrganizationFigures is what an organization comes to by others: its state by those above it, and what it
// consists of.
type OrganizationFigures struct {
	State   rbac.State // deleted or suspended where one above is
	RootID  string
	Members int
	Teams   int
	SSO     SSOStatus
}

// OrganizationFigures returns them to everybody who holds something in the organization.
func (m *Manager) OrganizationFigures(ctx context.Context, orgID string) (f OrganizationFigures, err error) {
	err = m.Read(ctx, rbac.Op{Action: "organizations.read", OrgID: orgID, Answer: orgID, Self: true}, func(ctx context.Context, tx *store.Tx) error {
		chain, err := rbac.Lineage(ctx, tx, orgID)
		if err != nil {
			return err
		}
		f.State, f.RootID = rbac.Effective(chain), chain[len(chain)-1].ID
		if f.Members, err = rbac.Assignments.Count(ctx, tx, store.Eq("org_id", orgID), store.Eq("team_id", ""), store.Eq("kind", rbac.Member)); err != nil {
			return err
		}
		if f.Teams, err = teams.Count(ctx, tx, store.Eq("org_id", orgID)); err != nil {
			return err
		}
		f.SSO, err = m.ssoStatus(ctx, tx, orgID)
		return err
	})
	return f, err
}

// OrgID resolves a reference, an id or slug, to an id. It answers store.ErrNotFound alike for what
// does not exist and for where the actor holds nothing.
func (m *Manager) OrgID(ctx context.Context, ref string) (id string, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return "", rbac.ErrNoActor
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		o, err := findOrganization(ctx, tx, ref)
		if err != nil {
			return err
		}
		id = o.ID
		return m.mustBelong(ctx, tx, by, o.ID)
	})
	return id, err
}

// mustBelong answers store.ErrNotFound unless the actor holds something in the organization.
func (m *Manager) mustBelong(ctx context.Context, tx *store.Tx, by audit.Actor, orgID string) error {
	if by.Sovereign() {
		return nil
	}
	return m.Belongs(ctx, tx, orgID, by.ID)
}

// OrganizationFilter says which organizations to list; what is empty does not matter.
type OrganizationFilter struct {
	Slug     string
	Name     string     // a part of it, in any case
	Parent   string     // id or slug
	Status   rbac.State // as OrganizationFigures have it
	Metadata map[string]string
	Limit    int
	After    string
}

// Validate names the first field that is wrong.
func (f OrganizationFilter) Validate() error {
	return oneOf("status", string(f.Status), "", string(rbac.Active), string(rbac.Suspended), string(rbac.Gone))
}

// Organizations lists those in which the actor is a member, or, with a parent, those directly below it to
// everybody who may read them; the platform sees all, newest first. Deleted ones are only listed to the
// platform, where it asks for them.
func (m *Manager) Organizations(ctx context.Context, f OrganizationFilter) (page store.Page[Organization], err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return page, rbac.ErrNoActor
	}
	if err := f.Validate(); err != nil {
		return page, err
	}
	q := store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: f.Limit, After: f.After}
	if f.Parent != "" {
		parent, err := m.OrgID(ctx, f.Parent)
		if err != nil {
			return page, err
		}
		q.Where = []store.Cond{store.Eq("parent_id", parent)}
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if !by.Sovereign() && f.Parent == "" {
			ids := map[string]bool{}
			for a, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", by.ID)}}) {
				if err != nil {
					return err
				}
				ids[a.OrgID] = true
			}
			q.Where = []store.Cond{store.In("id", sortedKeys(ids))}
		}
		var failed error
		page, err = organizations.Filter(ctx, tx, q, func(o *Organization) bool {
			keep, err := f.keeps(ctx, tx, *o)
			if err == nil && keep && !by.Sovereign() {
				err = m.Belongs(ctx, tx, o.ID, by.ID)
				keep = err == nil
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				failed = err
			}
			return keep
		})
		return errors.Join(err, failed)
	})
	return page, err
}

func (f OrganizationFilter) keeps(ctx context.Context, tx *store.Tx, o Organization) (bool, error) {
	if f.Slug != "" && store.SlugKey(f.Slug) != o.Slug || !strings.Contains(strings.ToLower(o.Name), strings.ToLower(f.Name)) {
		return false, nil
	}
	if len(f.Metadata) > 0 {
		var has map[string]any
		if err := json.Unmarshal(o.Metadata, &has); err != nil {
			return false, err
		}
		for key, want := range f.Metadata {
			if value, ok := has[key]; !ok || fmt.Sprint(value) != want {
				return false, nil
			}
		}
	}
	chain, err := rbac.Lineage(ctx, tx, o.ID)
	if err != nil {
		return false, err
	}
	state := rbac.Effective(chain)
	return state == f.Status || f.Status == "" && state != rbac.Gone, nil
}

// LivingOrganizations returns those of some organizations that are not deleted, by their ids. It asks no permission: it serves
// the floors above.
func LivingOrganizations(ctx context.Context, tx *store.Tx, ids []string) (map[string]Organization, error) {
	return livingOrganizations(ctx, tx, store.In("id", ids))
}

// OrganizationsNamed returns those that are not deleted and have exactly that name, by their ids. It asks no permission: it serves
// the floors above.
func OrganizationsNamed(ctx context.Context, tx *store.Tx, name string) (map[string]Organization, error) {
	return livingOrganizations(ctx, tx, store.Eq("name", name))
}

func livingOrganizations(ctx context.Context, tx *store.Tx, where store.Cond) (map[string]Organization, error) {
	living := map[string]Organization{}
	for o, err := range organizations.All(ctx, tx, store.Query{Where: []store.Cond{where}}) {
		if err != nil {
			return nil, err
		}
		if gone, err := isGone(ctx, tx, o.ID); err != nil {
			return nil, err
		} else if !gone {
			living[o.ID] = o
		}
	}
	return living, nil
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
