package opengatellm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// projectNoun is of what projects are numbered.
const projectNoun = "proj"

// projectView is a project: what others know as /v1/organizations/{org}/projects. That system has announced them.
type projectView struct {
	Object         string       `json:"object"`
	ID             int64        `json:"id"`
	Name           string       `json:"name"`
	Organization   *int64       `json:"organization,omitempty"`
	OrganizationID *int64       `json:"organization_id,omitempty"`
	Description    *string      `json:"description"`
	Budget         *json.Number `json:"budget"` // what is left
	Limits         []limitView  `json:"limits"`
	Users          int          `json:"users"`
	Keys           int          `json:"keys"` // that work
	Created        int64        `json:"created"`
	Updated        int64        `json:"updated"`
}

func (a *api) renderProject(ctx context.Context, p orgs.Project, id int64) (any, error) {
	v := projectView{Object: "project", ID: id, Name: p.Name, Created: p.CreatedAt.Unix(), Updated: p.UpdatedAt.Unix()}
	if p.Description != "" {
		v.Description = &p.Description
	}
	org, err := a.numberOf(ctx, orgNoun, p.OrgID)
	if err != nil {
		return nil, err
	}
	if v.Organization = &org; a.opt.Generation == GenerationC {
		v.Organization, v.OrganizationID = nil, &org
	}
	left, err := a.balance(ctx, projectPurse(p))
	if err != nil {
		return nil, err
	}
	if left != nil {
		n := money(*left)
		v.Budget = &n
	}
	if v.Limits, err = a.renderLimits(ctx, projectLimits(p.Settings.RateLimits), false); err != nil {
		return nil, err
	}
	f, err := a.PlaceFigures(ctx, orgs.Place{OrgID: p.OrgID, TeamID: p.ID})
	if err != nil {
		return nil, err
	}
	v.Users = f.Members
	keys, err := every(func(after string) (store.Page[orgs.APIKey], error) {
		return a.APIKeys(ctx, orgs.Place{OrgID: p.OrgID, TeamID: p.ID}, orgs.KeyFilter{Status: orgs.KeyActive, Limit: store.MaxLimit, After: after})
	})
	v.Keys = len(keys)
	return v, err
}

// projectLimits are the limits of a project by models.
func projectLimits(byModel map[string]orgs.RateLimits) (limits []orgs.RoleLimit) {
	for model, l := range byModel {
		for typ, n := range map[string]*int64{"tpm": l.InputTokensPerMinute, "tpd": l.InputTokensPerDay, "rpm": l.RequestsPerMinute, "rpd": l.RequestsPerDay} {
			if n != nil {
				limits = append(limits, orgs.RoleLimit{Model: model, Type: typ, Value: n})
			}
		}
	}
	slices.SortFunc(limits, func(a, b orgs.RoleLimit) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(slices.Index(limitTypes, a.Type), slices.Index(limitTypes, b.Type)))
	})
	return limits
}

// projectRates has these limits take the place of those that a project has. A limit that is null is none.
func projectRates(had map[string]orgs.RateLimits, limits []orgs.RoleLimit) map[string]orgs.RateLimits {
	rates := map[string]orgs.RateLimits{}
	for model, l := range had { // what is limited elsewhere stays
		l.InputTokensPerMinute, l.InputTokensPerDay, l.RequestsPerMinute, l.RequestsPerDay = nil, nil, nil, nil
		rates[model] = l
	}
	for _, l := range limits {
		r := rates[l.Model]
		*map[string]**int64{"tpm": &r.InputTokensPerMinute, "tpd": &r.InputTokensPerDay, "rpm": &r.RequestsPerMinute, "rpd": &r.RequestsPerDay}[l.Type] = l.Value
		rates[l.Model] = r
	}
	for model, r := range rates {
		if r == (orgs.RateLimits{}) {
			delete(rates, model)
		}
	}
	return rates
}

// projectForm is what a body says of a project; nil is what is absent or null.
type projectForm struct {
	name, description *string
	budget            *decimal.Decimal
	limits            *[]limitForm
}

func readProject(in *form) projectForm {
	return projectForm{in.text("name", 1, maxName), in.text("description", 0, maxDescription), in.amount("budget"), in.limits("limits")}
}

// projectNumbered finds a project of an organization that is not deleted by its number.
func (a *api) projectNumbered(ctx context.Context, n int64) (p orgs.Project, err error) {
	var at orgs.Place
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err := orgs.Numbered(ctx, tx, projectNoun, n)
		if err == nil {
			at, err = orgs.PlaceOfProject(ctx, tx, id)
		}
		if err == nil {
			err = a.mustBeWithin(ctx, tx, at.OrgID)
		}
		return err
	})
	if err == nil {
		p, err = a.Project(ctx, at.OrgID, at.TeamID)
	}
	return p, a.orMissing(err, "Project", n)
}

func (a *api) projectAt(r *http.Request) (p orgs.Project, n int64, err error) {
	if n, err = a.pathID(r, "project"); err == nil {
		p, err = a.projectNumbered(r.Context(), n)
	}
	return p, n, err
}

func (a *api) createProject(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.alias("organization", "organization_id")
	for _, name := range []string{"name", "organization"} {
		in.required(name)
	}
	in.notNull("name", "string_type", "Input should be a valid string")
	in.notNull("organization", "int_type", intType)
	organization, users := in.integer("organization", 0), in.integers("users")
	f := readProject(in)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	o, err := a.organizationNumbered(ctx, *organization)
	if err != nil {
		return answer{}, err
	}
	people, err := a.insiders(ctx, o.ID, users)
	if err != nil {
		return answer{}, err
	}
	limits, err := a.lookUp(ctx, f.limits)
	if err != nil {
		return answer{}, err
	}
	var made orgs.NewProject
	made.Name = *f.name
	if f.description != nil {
		made.Description = *f.description
	}
	if limits != nil {
		made.Settings.RateLimits = projectRates(nil, *limits)
	}
	var p orgs.Project
	err = a.projectNamed(ctx, o.ID, *f.name, "", func(ctx context.Context, slug string) error {
		made.Slug = slug
		if p, err = a.CreateProject(ctx, o.ID, made); err != nil {
			return err
		}
		for _, u := range people {
			if err := a.join(ctx, orgs.Place{OrgID: o.ID, TeamID: p.ID}, u); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && f.budget != nil {
		if err = a.setBalance(ctx, projectPurse(p), f.budget); err != nil { // nobody has a key of it yet to spend with
			_, undone := a.DeleteProject(ctx, o.ID, p.ID, true)
			err = errors.Join(err, undone)
		}
	}
	if err != nil {
		return answer{}, err
	}
	n, err := a.numberOf(ctx, projectNoun, p.ID)
	if err != nil {
		return answer{}, err
	}
	return a.created(n, func() (any, error) { return a.renderProject(ctx, p, n) })
}

// projectNamed does something in a unit that gives a project its name, and a slug that is free, in its organization, in which no
// other one than that of the id may have that name.
func (a *api) projectNamed(ctx context.Context, orgID, name, id string, fn func(ctx context.Context, slug string) error) error {
	return a.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := orgs.LockNumbers(ctx, tx, projectNoun); err != nil {
			return err
		}
		all, err := a.projectsOf(ctx, orgID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(p orgs.Project) bool { return p.Name == name && p.ID != id }) {
			return &refusal{http.StatusConflict, a.text("Project already exists.", fmt.Sprintf("Project %s already exists.", name))}
		}
		base := cmp.Or(store.SlugFrom(name), "project")
		slug := base
		for n := 2; slices.ContainsFunc(all, func(p orgs.Project) bool { return p.SlugKey == store.SlugKey(slug) }); n++ {
			end := fmt.Sprint("-", n)
			slug = base[:min(len(base), 63-len(end))] + end
		}
		return fn(ctx, slug)
	})
}

func (a *api) projectsOf(ctx context.Context, orgID string) ([]orgs.Project, error) {
	return every(func(after string) (store.Page[orgs.Project], error) {
		return a.Projects(ctx, orgID, orgs.PartFilter{Limit: store.MaxLimit, After: after})
	})
}

// everyProject reads all there are; below a root those there.
func (a *api) everyProject(ctx context.Context) (all []orgs.Project, err error) {
	if a.root == "" {
		return every(func(after string) (store.Page[orgs.Project], error) {
			return a.EveryProject(ctx, store.MaxLimit, after)
		})
	}
	below, err := a.organizationsBelow(ctx)
	for _, o := range below {
		some, err := a.projectsOf(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, err
}

func (a *api) projects(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	p := in.paging(columns...)
	organization := in.wanted("organization", "organization_id")
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	entryOf := func(n map[string]int64) func(orgs.Project) entry {
		return func(p orgs.Project) entry { return entry{n[p.ID], p.Name, p.CreatedAt.Unix(), p.UpdatedAt.Unix()} }
	}
	if organization == nil {
		part, n, enough, err := beginning(ctx, a, projectNoun, p, orgs.LivingProjects)
		if err != nil {
			return answer{}, err
		}
		if enough {
			p.offset = 0
			return listed(a, p, part, entryOf(n), func(p orgs.Project) (any, error) { return a.renderProject(ctx, p, n[p.ID]) })
		}
	}
	var all []orgs.Project
	if organization == nil {
		all, err = a.everyProject(ctx)
	} else if o, missing := a.organizationNumbered(ctx, *organization); missing == nil {
		all, err = a.projectsOf(ctx, o.ID)
	} else if refused := (*refusal)(nil); !errors.As(missing, &refused) {
		err = missing
	}
	if err != nil {
		return answer{}, err
	}
	slices.SortFunc(all, func(a, b orgs.Project) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	ids := make([]string, len(all))
	for i, p := range all {
		ids[i] = p.ID
	}
	n, err := a.numbersOf(ctx, projectNoun, ids...)
	if err != nil {
		return answer{}, err
	}
	return listed(a, p, all, entryOf(n), func(p orgs.Project) (any, error) { return a.renderProject(ctx, p, n[p.ID]) })
}

func (a *api) project(r *http.Request) (answer, error) {
	p, n, err := a.projectAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderProject(r.Context(), p, n)
	return answer{http.StatusOK, v}, err
}

// updateProject changes a project: what is absent stays, and null takes away.
func (a *api) updateProject(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.notNull("name", "string_type", "Input should be a valid string")
	f := readProject(in)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	p, n, err := a.projectAt(r)
	if err != nil {
		return answer{}, err
	}
	limits, err := a.lookUp(ctx, f.limits)
	if err != nil {
		return answer{}, err
	}
	nothing := ""
	change := orgs.ProjectUpdate{Name: f.name, Description: f.description}
	if in.given("description") && f.description == nil {
		change.Description = &nothing
	}
	if in.given("limits") {
		settings := p.Settings
		if limits == nil {
			limits = &[]orgs.RoleLimit{}
		}
		settings.RateLimits = projectRates(settings.RateLimits, *limits)
		change.Settings = &settings
	}
	put := func(ctx context.Context, _ string) error {
		p, err = a.UpdateProject(ctx, p.OrgID, p.ID, change)
		return err
	}
	switch {
	case f.name != nil && *f.name != p.Name:
		err = a.projectNamed(ctx, p.OrgID, *f.name, p.ID, put)
	case change != orgs.ProjectUpdate{}:
		err = put(ctx, "")
	}
	if err == nil && in.given("budget") {
		err = a.setBalance(ctx, projectPurse(p), f.budget)
	}
	if err != nil {
		return answer{}, a.orMissing(err, "Project", n)
	}
	return a.changed(func() (any, error) { return a.renderProject(ctx, p, n) })
}

// deleteProject deletes one that has no keys that work.
func (a *api) deleteProject(r *http.Request) (answer, error) {
	ctx := r.Context()
	p, n, err := a.projectAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderProject(ctx, p, n)
	if err != nil {
		return answer{}, err
	}
	_, err = a.DeleteProject(ctx, p.OrgID, p.ID, false)
	if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) && conflict.Code == "not_empty" {
		err = &refusal{http.StatusConflict, a.text("Delete project with keys is not allowed.", fmt.Sprintf("Project %d still has keys and cannot be removed.", n))}
	}
	if err != nil {
		return answer{}, a.orMissing(err, "Project", n)
	}
	return a.changed(func() (any, error) { return v, nil })
}
