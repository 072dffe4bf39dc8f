package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Project is a piece of work of an organization with members, keys and a budget of its own, across teams.
// Its id is a context of permissions as a team's is: a role held in it acts in it alone.
type Project struct {
	store.Meta
	OrgID       string          `json:"organization_id"`
	Name        string          `json:"name"`
	Slug        string          `json:"slug"` // as first written; unique in the organization by its key
	SlugKey     string          `json:"-"`
	Description string          `json:"description"`
	Settings    ProjectSettings `json:"settings"`
	Metadata    json.RawMessage `json:"metadata"`
	Tags        []string        `json:"tags"`
	State       rbac.State      `json:"status"` // active or archived
}

// ProjectSettings are a project's settings as they were given.
type ProjectSettings struct {
	Budget     *BudgetSettings       `json:"budget,omitempty"`      // beside those of the teams and the organization
	RateLimits map[string]RateLimits `json:"rate_limits,omitempty"` // by globs of model ids, of all calls of its keys together
}

var projects = store.Define[Project]("projects", "proj",
	store.Unique("org_id", "slug_key"), store.Index("created_at"))

// AuditResource is how the log names the project.
func (p Project) AuditResource() audit.Resource {
	return audit.Resource{Type: "project", ID: p.ID, Slug: p.Slug}
}

// NewProject is the input of [Manager.CreateProject].
type NewProject struct {
	Name        string
	Slug        string // "" takes it from the name
	Description string
	Settings    ProjectSettings
	Metadata    json.RawMessage
	Tags        []string
}

func (p *Project) validate() error {
	if err := checkNamed(&p.Name, &p.Slug, p.Description); err != nil {
		return err
	}
	p.SlugKey = store.SlugKey(p.Slug)
	if err := p.Settings.Budget.validate(); err != nil {
		return err
	}
	if err := checkRateLimits("settings.rate_limits", p.Settings.RateLimits); err != nil {
		return err
	}
	if err := checkTags("tags", p.Tags); err != nil {
		return err
	}
	return checkObject("metadata", &p.Metadata)
}

// CreateProject makes a project.
func (m *Manager) CreateProject(ctx context.Context, org string, in NewProject) (p Project, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return p, err
	}
	err = m.Change(ctx, rbac.Op{Action: "projects.create", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		p = Project{OrgID: orgID, Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings,
			Metadata: in.Metadata, Tags: in.Tags, State: rbac.Active}
		if err := p.validate(); err != nil {
			return audit.Change{}, err
		}
		if err := slugTaken(projects.Insert(ctx, tx, &p), "project"); err != nil {
			return audit.Change{}, err
		}
		part := rbac.Restriction{OrgID: p.OrgID, State: p.State}
		part.ID = p.ID
		if err := rbac.Restrictions.Insert(ctx, tx, &part); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&p), m.applyProject(ctx, tx, p)
	})
	return p, err
}

// MayUse says whether keys of the project may use a model at all: a limit of 0 lets nothing through, and is a *rbac.Denied
// model_not_allowed instead of one that could be waited for.
func (p Project) MayUse(model string) error {
	r, named := p.Settings.RateLimits[model]
	if !named || !r.closed() {
		return nil
	}
	return modelDenied("model_not_allowed", model, p.ID, "the project does not let its keys use this model")
}

// closed says whether a limit lets nothing through.
func (r RateLimits) closed() bool {
	for _, n := range []*int64{r.RequestsPerMinute, r.RequestsPerHour, r.RequestsPerDay, r.TokensPerMinute, r.TokensPerHour, r.TokensPerDay,
		r.InputTokensPerMinute, r.InputTokensPerDay} {
		if n != nil && *n == 0 {
			return true
		}
	}
	return false
}

// applyProject writes the budget and the rate limits that the settings ask for.
func (m *Manager) applyProject(ctx context.Context, tx *store.Tx, p Project) error {
	if err := m.ApplyRateLimits(ctx, tx, p.OrgID, billing.ScopeProject, p.ID, limitsOf(p.Settings.RateLimits)); err != nil {
		return err
	}
	return m.applyBudget(ctx, tx, Place{p.OrgID, p.ID}, p.Settings.Budget)
}

func findProject(ctx context.Context, tx *store.Tx, orgID, ref string) (Project, error) {
	if strings.HasPrefix(ref, projects.Kind().Prefix+"_") {
		p, err := projects.Get(ctx, tx, ref)
		if err == nil && p.OrgID != orgID {
			return Project{}, store.ErrNotFound
		}
		return p, err
	}
	return projects.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("slug_key", store.SlugKey(ref)))
}

// ProjectUpdate changes a project; nil leaves as it is.
type ProjectUpdate struct {
	Name        *string
	Slug        *string
	Description *string
	Settings    *ProjectSettings
	Metadata    *json.RawMessage
	Tags        *[]string
	Status      *rbac.State // active or archived; an archived project refuses its keys
}

// UpdateProject changes a project. Changing its budget needs budget.modify too.
func (m *Manager) UpdateProject(ctx context.Context, org, ref string, in ProjectUpdate) (p Project, err error) {
	at, err := m.ProjectPlace(ctx, org, ref)
	if err != nil {
		return p, err
	}
	op := rbac.Op{Action: "projects.update", OrgID: at.OrgID, TeamID: at.TeamID, Resource: "project:" + at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if p, err = projects.Lock(ctx, tx, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		before := p
		set(&p.Name, in.Name)
		set(&p.Slug, in.Slug)
		set(&p.Description, in.Description)
		set(&p.Settings, in.Settings)
		set(&p.Metadata, in.Metadata)
		set(&p.Tags, in.Tags)
		set(&p.State, in.Status)
		if err := oneOf("status", string(p.State), string(rbac.Active), string(rbac.Archived)); err != nil {
			return audit.Change{}, err
		}
		if err := p.validate(); err != nil {
			return audit.Change{}, err
		}
		if err := m.mayBudget(ctx, tx, at, before.Settings.Budget, p.Settings.Budget); err != nil {
			return audit.Change{}, err
		}
		if err := slugTaken(projects.Update(ctx, tx, &p), "project"); err != nil {
			return audit.Change{}, err
		}
		part, err := rbac.Restrictions.Get(ctx, tx, p.ID)
		if err != nil {
			return audit.Change{}, err
		}
		part.State = p.State
		if err := rbac.Restrictions.Update(ctx, tx, &part); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &p), m.applyProject(ctx, tx, p)
	})
	return p, err
}

// DeleteProject deletes a project for good, with its memberships and budgets. One with keys that work is a
// *store.ConflictError not_empty, unless cascade revokes them.
func (m *Manager) DeleteProject(ctx context.Context, org, ref string, cascade bool) (p Project, err error) {
	at, err := m.ProjectPlace(ctx, org, ref)
	if err != nil {
		return p, err
	}
	op := rbac.Op{Action: "projects.delete", OrgID: at.OrgID, TeamID: at.TeamID, Resource: "project:" + at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if p, err = projects.Lock(ctx, tx, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		keys := []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("project_id", at.TeamID)}
		if err := m.endPlace(ctx, tx, at, keys, cascade); err != nil {
			return audit.Change{}, err
		}
		if err := m.DropAll(ctx, tx, at.OrgID, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		if err := m.DropRateLimits(ctx, tx, at.OrgID, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(p), projects.Delete(ctx, tx, p.ID)
	})
	return p, err
}

// Project returns a project by id or slug. It needs projects.read there; to others it does not exist.
func (m *Manager) Project(ctx context.Context, org, ref string) (p Project, err error) {
	at, err := m.ProjectPlace(ctx, org, ref)
	if err != nil {
		return p, err
	}
	op := rbac.Op{Action: "projects.read", OrgID: at.OrgID, TeamID: at.TeamID, Resource: "project:" + at.TeamID}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		p, err = projects.Get(ctx, tx, at.TeamID)
		return err
	})
	return p, err
}

// EveryProject lists the projects of all organizations that are not deleted, newest first. It is the platform's.
func (m *Manager) EveryProject(ctx context.Context, limit int, after string) (page store.Page[Project], err error) {
	err = m.Read(ctx, rbac.Op{Action: "projects.read"}, func(ctx context.Context, tx *store.Tx) error {
		gone := map[string]bool{}
		var failed error
		page, err = projects.Filter(ctx, tx, store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after}, func(p *Project) bool {
			is, known := gone[p.OrgID]
			if !known {
				if is, err = isGone(ctx, tx, p.OrgID); err != nil {
					failed = err
				}
				gone[p.OrgID] = is
			}
			return !is
		})
		return errors.Join(err, failed)
	})
	return page, err
}

// LivingProjects returns those of some projects whose organization is not deleted, by their ids. It asks no permission: it serves
// the floors above.
func LivingProjects(ctx context.Context, tx *store.Tx, ids []string) (map[string]Project, error) {
	living := make(map[string]Project, len(ids))
	for p, err := range projects.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}}) {
		if err != nil {
			return nil, err
		}
		if gone, err := isGone(ctx, tx, p.OrgID); err != nil {
			return nil, err
		} else if !gone {
			living[p.ID] = p
		}
	}
	return living, nil
}

// Projects lists the projects of an organization by their slugs: all, or, for projects.read:own, the
// caller's.
func (m *Manager) Projects(ctx context.Context, org string, f PartFilter) (page store.Page[Project], err error) {
	orgID, err := m.partsOf(ctx, org, f)
	if err != nil {
		return page, err
	}
	err = m.Visible(ctx, rbac.Op{Action: "projects.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx, all bool) error {
		q, err := f.query(ctx, tx, orgID, all)
		if err != nil {
			return err
		}
		page, err = projects.Filter(ctx, tx, q, func(p *Project) bool { return f.keeps(p.State) })
		return err
	})
	return page, err
}
