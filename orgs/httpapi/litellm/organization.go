package litellm

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// What each call takes.
var (
	newFields    = append([]string{"organization_id", "organization_alias", "models", "budget_id", "metadata", "model_rpm_limit", "model_tpm_limit", "object_permission", "blocked", "tags", "model_aliases"}, budgetFields...)
	updateFields = append([]string{"spend", "updated_by", "litellm_budget_table", "guardrails", "enforced_params", "temp_budget_increase", "temp_budget_expiry"}, newFields...)
	patchFields  = append([]string{"organization_alias", "models", "metadata", "object_permission", "blocked", "tags", "model_aliases"}, budgetFields[:7]...)
)

// lifted are fields that an update keeps in metadata.
var lifted = []string{"model_rpm_limit", "model_tpm_limit", "guardrails", "tags", "enforced_params", "temp_budget_increase", "temp_budget_expiry"}

// newOrganization is POST /organization/new.
func (c *call) newOrganization() (any, error) {
	alias, id := c.in.needed("organization_alias"), c.in.text("organization_id").v
	e, err := c.edit(orgs.Organization{}, orgs.AllowanceLimits{}, false)
	if err != nil {
		return nil, err
	}
	metadata, err := encoded(e.metadata)
	if err != nil {
		return nil, err
	}
	if c.opt.Timezone != "" {
		e.settings.Defaults = &orgs.DefaultSettings{Timezone: c.opt.Timezone}
	}
	in := orgs.NewOrganization{Name: alias, AliasID: id, Settings: e.settings, Metadata: metadata}
	if e.tags != nil {
		in.Tags = *e.tags
	}
	if store.SlugFrom(alias) == "" { // a name in another script
		in.Slug = "org-" + shortID()
	}
	var o orgs.Organization
	for {
		err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
			o, err = c.create(ctx, in, e)
			return err
		})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Code != "slug_taken" || c.unit {
			break
		} // somebody has taken the slug that was free: another one is found
	}
	if err != nil {
		return nil, coded(err, "alias_taken", detail(http.StatusConflict, "Organization with id '"+plain(id)+"' already exists."))
	}
	return c.bareRow(o)
}

// create makes an organization with its limits.
func (c *call) create(ctx context.Context, in orgs.NewOrganization, e edit) (orgs.Organization, error) {
	var err error
	if in.Allowance, err = c.link(ctx, "", e); err != nil {
		return orgs.Organization{}, err
	}
	o, err := c.svc.CreateOrganization(ctx, in)
	if err != nil || e.blocked == nil || !*e.blocked {
		return o, err
	}
	return c.svc.SuspendOrganization(ctx, o.ID, "blocked")
}

// link is the id of the allowance that an organization is to have: that which the request names, the one that it has with
// other limits, or a new one.
func (c *call) link(ctx context.Context, has string, e edit) (string, error) {
	switch {
	case e.budgetID != "" && e.budgetID != has:
		_, err := c.svc.Allowance(ctx, e.budgetID)
		return e.budgetID, as(err, store.ErrNotFound, unknownBudget(e.budgetID))
	case has == "":
		return c.ownBudget(ctx, e.limits)
	case e.limited:
		if apart, err := c.splits(ctx, has); err != nil {
			return "", err
		} else if apart {
			return c.ownBudget(ctx, e.limits)
		}
		_, err := c.svc.UpdateAllowance(ctx, has, e.limits)
		return has, err
	}
	return has, nil
}

func (c *call) ownBudget(ctx context.Context, limits orgs.AllowanceLimits) (string, error) {
	a, err := c.svc.CreateAllowance(ctx, orgs.NewAllowance{AllowanceLimits: limits})
	return a.ID, err
}

// splits says whether a change of the row is to leave it to the others that have it.
func (c *call) splits(ctx context.Context, id string) (shared bool, err error) {
	if !c.opt.SharedBudgetCopyOnWrite {
		return false, nil
	}
	err = c.svc.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		shared, err = orgs.AllowanceShared(ctx, tx, id)
		return err
	})
	return shared, err
}

func unknownOrganization(status int, id string) error {
	return detail(status, "Organization not found for organization_id="+plain(id))
}

// updateOrganization is PATCH /organization/update.
func (c *call) updateOrganization() (any, error) {
	id := c.in.text("organization_id").v
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if id == "" {
		return nil, detail(http.StatusBadRequest, "organization_id is required")
	}
	if v := c.in.object("litellm_budget_table"); v.some() { // a form sends null for what nobody has touched
		for name, is := range v.v {
			if !isNull(is) && slices.Contains(budgetFields, name) {
				c.in.given[name] = is
			}
		}
	}
	if v := c.in.amount("spend"); v.some() {
		return nil, detail(http.StatusBadRequest, "spend cannot be set: it is the sum of what calls were charged")
	}
	return c.change(id, c.opt.MetadataReplace)
}

// patchOrganization is PATCH /v2/organization/{organization_id}.
func (c *call) patchOrganization() (any, error) {
	cleared := func(name string) bool { is, given := c.in.given[name]; return given && isNull(is) }
	unprocessable := func(text string) error { return detail(http.StatusUnprocessableEntity, text) }
	switch {
	case c.in.err() != nil:
		return nil, c.in.err()
	case cleared("organization_alias"):
		return nil, unprocessable("organization_alias cannot be cleared; it is required")
	case cleared("models"):
		return nil, unprocessable("models cannot be set to null; send [] to clear it")
	}
	if v := c.in.object("object_permission"); v.some() && len(v.v) == 0 {
		return nil, unprocessable("object_permission cannot be an empty object; send null to clear it, or a non-empty object to set grants")
	}
	answer, err := c.change(c.http.PathValue("organization_id"), true)
	var p *problem
	if errors.As(err, &p) && p.status == http.StatusBadRequest && p.typ == "" {
		return nil, unprocessable(p.message)
	}
	return answer, err
}

// change changes an organization.
func (c *call) change(id string, replace bool) (any, error) {
	var o orgs.Organization
	if c.anyLimit() { // a limit without a period counts what was spent until now, which is written by this
		if _, err := c.svc.AllowanceOf(c.ctx(), id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		var err error
		if o, err = c.organization(ctx, id); err != nil {
			return as(err, store.ErrNotFound, unknownOrganization(http.StatusNotFound, id))
		}
		over := orgs.AllowanceLimits{}
		if o.AllowanceID != "" && c.admin() {
			a, err := c.svc.Allowance(ctx, o.AllowanceID)
			if err != nil {
				return err
			}
			over = a.Limits()
		}
		e, err := c.edit(o, over, replace)
		if err != nil {
			return err
		}
		metadata, err := encoded(e.metadata)
		if err != nil {
			return err
		}
		in := orgs.OrganizationUpdate{Name: e.name, Settings: &e.settings, Metadata: &metadata, Tags: e.tags}
		if c.admin() {
			allowance, err := c.link(ctx, o.AllowanceID, e)
			if err != nil {
				return err
			}
			if in.Allowance = &allowance; allowance == o.AllowanceID {
				in.Allowance = nil
			}
		}
		if o, err = c.svc.UpdateOrganization(ctx, o.ID, in); err != nil || e.blocked == nil || *e.blocked == (o.State == rbac.Suspended) {
			return err
		}
		if *e.blocked {
			o, err = c.svc.SuspendOrganization(ctx, o.ID, "blocked")
		} else {
			o, err = c.svc.ResumeOrganization(ctx, o.ID, "unblocked")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.row(o, true)
}

// maxIDs is how many ids one call takes.
const maxIDs = 1000

// deleteOrganizations is DELETE /organization/delete.
func (c *call) deleteOrganizations() (any, error) {
	if !c.admin() {
		return nil, detail(http.StatusUnauthorized, "Only proxy admins can delete organizations")
	}
	ids := c.in.texts("organization_ids")
	if !ids.set {
		c.in.fault("missing", "Field required", "organization_ids")
	} else if ids.null {
		c.in.fault("list_type", "Input should be a valid list", "organization_ids")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if len(ids.v) > maxIDs {
		return nil, detail(http.StatusBadRequest, "at most 1000 organization_ids")
	}
	rows := []*orgRow{}
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		rows = []*orgRow{}
		var gone []string
		for _, id := range ids.v {
			o, err := c.organization(ctx, id)
			switch {
			case errors.Is(err, store.ErrNotFound):
				return detail(http.StatusNotFound, "Organization="+plain(id)+" not found")
			case err != nil:
				return err
			case slices.Contains(gone, o.ID):
				continue
			}
			gone = append(gone, o.ID)
			row, err := c.rowIn(ctx, o)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		for _, id := range gone {
			if _, err := c.svc.DeleteOrganization(ctx, id, true, ""); err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}
