package opengatellm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// orgNoun is of what organizations are numbered.
const orgNoun = "org"

// organizationView is an organization.
type organizationView struct {
	Object  string `json:"object"`
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Users   int    `json:"users"`
	Created int64  `json:"created"` // unix seconds, as all times
	Updated int64  `json:"updated"`
}

func (a *api) renderOrganization(ctx context.Context, o orgs.Organization, id int64) (any, error) {
	f, err := a.OrganizationFigures(ctx, o.ID)
	return organizationView{"organization", id, o.Name, f.Members, o.CreatedAt.Unix(), o.UpdatedAt.Unix()}, err
}

// numbersOf are the numbers of records; those that have none yet get them in the order in which they are given here.
func (a *api) numbersOf(ctx context.Context, noun string, ids ...string) (n map[string]int64, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err = orgs.NumbersOf(ctx, tx, noun, ids...)
		return err
	})
	if err == nil && len(n) < len(ids) {
		err = a.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			n, err = orgs.NumbersOf(ctx, tx, noun, ids...)
			return err
		})
	}
	return n, err
}

// numberOf is the number of one record.
func (a *api) numberOf(ctx context.Context, noun, id string) (int64, error) {
	n, err := a.numbersOf(ctx, noun, id)
	return n[id], err
}

// organizationAt finds the organization of the path.
func (a *api) organizationAt(r *http.Request) (o orgs.Organization, n int64, err error) {
	if n, err = a.pathID(r, "organization"); err != nil {
		return o, n, err
	}
	o, err = a.organizationNumbered(r.Context(), n)
	return o, n, err
}

// organizationNumbered finds an organization that is not deleted by its number.
func (a *api) organizationNumbered(ctx context.Context, n int64) (o orgs.Organization, err error) {
	var id string
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if id, err = orgs.Numbered(ctx, tx, orgNoun, n); err != nil {
			return err
		}
		return a.mustBeWithin(ctx, tx, id)
	})
	if err == nil {
		o, err = a.Organization(ctx, id)
	}
	if err == nil {
		var f orgs.OrganizationFigures
		if f, err = a.OrganizationFigures(ctx, id); err == nil && f.State == rbac.Gone {
			err = store.ErrNotFound
		}
	}
	return o, a.orMissing(err, "Organization", n)
}

// orMissing names what was not found.
func (a *api) orMissing(err error, noun string, n int64) error {
	if errors.Is(err, store.ErrNotFound) {
		return a.missing(noun, n)
	}
	return err
}

// maxName is how many characters a name has at most.
const maxName = rbac.MaxName

// maxDescription is how many characters a description has at most.
const maxDescription = rbac.MaxDescription

func (a *api) createOrganization(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.required("name")
	in.notNull("name", "string_type", "Input should be a valid string")
	name := in.text("name", 1, maxName)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	var o orgs.Organization
	err = a.named(r.Context(), *name, "", a.text("Organization already exists.", fmt.Sprintf("Organization %s already exists.", *name)), func(ctx context.Context) error {
		o, err = a.CreateOrganization(ctx, orgs.NewOrganization{Name: *name, Parent: a.root})
		return err
	})
	if err != nil {
		return answer{}, err
	}
	n, err := a.numbersOf(r.Context(), orgNoun, o.ID)
	if err != nil {
		return answer{}, err
	}
	return a.created(n[o.ID], func() (any, error) { return a.renderOrganization(r.Context(), o, n[o.ID]) })
}

// named does something in a unit that gives an organization its name, which no other one than that of the id may have. Of
// several who do so at one time with one name one succeeds.
func (a *api) named(ctx context.Context, name, id, taken string, fn func(ctx context.Context) error) error {
	for try := 1; ; try++ {
		err := a.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := orgs.LockNumbers(ctx, tx, orgNoun); err != nil {
				return err
			}
			named, err := orgs.OrganizationsNamed(ctx, tx, name)
			if err != nil {
				return err
			}
			for _, o := range named {
				if is, err := a.within(ctx, tx, o.ID); err != nil {
					return err
				} else if is && o.ID != id {
					return &refusal{http.StatusConflict, taken}
				}
			}
			return fn(ctx)
		})
		var conflict *store.ConflictError
		if errors.As(err, &conflict) && conflict.Code == "slug_taken" && try < 8 {
			continue // another dialect took the slug meanwhile; here nobody has asked for one
		}
		return err
	}
}

// everyOrganization reads all there are, the oldest first; below a root those there.
func (a *api) everyOrganization(ctx context.Context) (all []orgs.Organization, err error) {
	if a.root != "" {
		return a.organizationsBelow(ctx)
	}
	all, err = every(func(after string) (store.Page[orgs.Organization], error) {
		return a.Organizations(ctx, orgs.OrganizationFilter{Limit: store.MaxLimit, After: after})
	})
	slices.Reverse(all)
	return all, err
}

// numberedOrganizations are all, with their numbers.
func (a *api) numberedOrganizations(ctx context.Context) ([]orgs.Organization, map[string]int64, error) {
	all, err := a.everyOrganization(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(all))
	for i, o := range all {
		ids[i] = o.ID
	}
	n, err := a.numbersOf(ctx, orgNoun, ids...)
	return all, n, err
}

func (a *api) organizations(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	p := in.paging(columns...)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	all, n, enough, err := beginning(r.Context(), a, orgNoun, p, orgs.LivingOrganizations)
	if err == nil && !enough {
		all, n, err = a.numberedOrganizations(r.Context())
	}
	if err != nil {
		return answer{}, err
	}
	if enough {
		p.offset = 0
	}
	return listed(a, p, all, func(o orgs.Organization) entry { return entry{n[o.ID], o.Name, o.CreatedAt.Unix(), o.UpdatedAt.Unix()} },
		func(o orgs.Organization) (any, error) { return a.renderOrganization(r.Context(), o, n[o.ID]) })
}

func (a *api) organization(r *http.Request) (answer, error) {
	o, n, err := a.organizationAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderOrganization(r.Context(), o, n)
	return answer{http.StatusOK, v}, err
}

func (a *api) updateOrganization(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	if a.opt.Generation == GenerationC {
		in.required("name")
		in.notNull("name", "string_type", "Input should be a valid string")
	}
	name := in.text("name", 1, maxName)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	o, n, err := a.organizationAt(r)
	if err != nil {
		return answer{}, err
	}
	if name != nil && *name != o.Name {
		taken := a.text("Organization name already taken. Please, choose another one.", fmt.Sprintf("Organization %s already exists.", *name))
		err = a.named(r.Context(), *name, o.ID, taken, func(ctx context.Context) error {
			o, err = a.UpdateOrganization(ctx, o.ID, orgs.OrganizationUpdate{Name: name})
			return err
		})
	}
	if err != nil {
		return answer{}, a.orMissing(err, "Organization", n)
	}
	return a.changed(func() (any, error) { return a.renderOrganization(r.Context(), o, n) })
}

// deleteOrganization deletes one that has no users, with what is left of it.
func (a *api) deleteOrganization(r *http.Request) (answer, error) {
	o, n, err := a.organizationAt(r)
	if err != nil {
		return answer{}, err
	}
	if o.ID == a.root {
		return answer{}, &rbac.Denied{Code: "permission_denied"}
	}
	v, err := a.renderOrganization(r.Context(), o, n)
	if err != nil {
		return answer{}, err
	}
	err = a.Store().Update(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		if _, err := rbac.Scopes.Lock(ctx, tx, o.ID); err != nil { // who joins waits, or was first
			return err
		}
		f, err := a.OrganizationFigures(ctx, o.ID)
		if err != nil {
			return err
		}
		if f.Members > 0 {
			return &refusal{http.StatusConflict, a.text("Delete organization with users is not allowed.",
				fmt.Sprintf("Organization %d still has users and cannot be removed.", n))}
		}
		_, err = a.DeleteOrganization(ctx, o.ID, true, "")
		return err
	})
	if err != nil {
		return answer{}, a.orMissing(err, "Organization", n)
	}
	return a.changed(func() (any, error) { return v, nil })
}
