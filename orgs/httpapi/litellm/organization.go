package litellm

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
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

// The words by which lists of models say all and none.
const (
	allModels = "all-proxy-models"
	noModels  = "no-default-models"
)

// allowedModels are the globs of a list of models: nil is all, an empty list none.
func allowedModels(models []string) []string {
	if len(models) == 0 {
		return nil
	}
	globs := []string{}
	for _, m := range models {
		switch m {
		case allModels:
			globs = append(globs, "*")
		case noModels:
		default:
			globs = append(globs, m)
		}
	}
	return globs
}

// modelsOf is the list of models of settings.
func modelsOf(s *orgs.ModelSettings) []string {
	switch {
	case s == nil || s.Allowed == nil:
		return []string{}
	case len(s.Allowed) == 0:
		return []string{noModels}
	}
	list := slices.Clone(s.Allowed)
	for i, m := range list {
		if m == "*" {
			list[i] = allModels
		}
	}
	return list
}

// edit is what a request makes of an organization.
type edit struct {
	name     *string
	settings orgs.OrgSettings
	metadata map[string]raw
	tags     *[]string
	blocked  *bool
	limits   orgs.AllowanceLimits
	limited  bool // a limit is given, or taken away
	budgetID string
}

// edit reads the fields over an organization; a new one is the zero value.
func (c *call) edit(o orgs.Organization, over orgs.AllowanceLimits, replace bool) (e edit, err error) {
	f, fresh := c.in, o.ID == ""
	e.settings, e.metadata = o.Settings, map[string]raw{}
	if len(o.Metadata) > 0 {
		if err := json.Unmarshal(o.Metadata, &e.metadata); err != nil {
			return e, err
		}
	}
	old := maps.Clone(e.metadata)
	clears := func(set, null bool) bool { return set && null && !c.opt.NullMeansUnchanged }

	e.name = f.text("organization_alias").ptr()
	if v := f.object("metadata"); v.some() || clears(v.set, v.null) {
		if replace || v.null {
			e.metadata = map[string]raw{}
		}
		for name, is := range v.v {
			if delete(e.metadata, name); replace || !isNull(is) {
				e.metadata[name] = is
			}
		}
	}
	if c.route.path != "/v2/organization/{organization_id}" {
		for _, name := range lifted {
			is, given := f.given[name]
			switch {
			case !given || fresh && name == "tags":
			case !isNull(is):
				e.metadata[name] = is
			case !c.opt.NullMeansUnchanged:
				delete(e.metadata, name)
			}
		}
	}
	if v := f.texts("tags"); v.some() {
		e.tags = &v.v
	} else if clears(v.set, v.null) {
		e.tags = &[]string{}
	}
	e.blocked = f.boolean("blocked").ptr()
	models := f.texts("models")
	for _, name := range []string{"model_aliases", "object_permission"} {
		if v := f.object(name); v.some() && says(v.v) {
			err = errors.Join(err, detail(http.StatusBadRequest, name+" is not supported by this gateway"))
		}
	}
	var some bool
	limits, some, wrong := c.limits(over)
	if wrong != nil {
		return e, wrong
	}
	if err != nil {
		return e, err
	}
	e.limits, e.limited = limits, some || !fresh && c.anyLimit()
	e.budgetID = f.text("budget_id").v
	if e.budgetID != "" && some {
		if !c.opt.IgnoreSiblingBudgetFields {
			return e, errBothBudgets
		}
		e.limits, e.limited = over, false
	}
	return e, c.editModels(&e, models, old)
}

// anyLimit says whether a field of limits is there.
func (c *call) anyLimit() bool {
	return slices.ContainsFunc(budgetFields, func(name string) bool {
		is, given := c.in.given[name]
		return given && name != "allowed_models" && !(c.opt.NullMeansUnchanged && isNull(is))
	})
}

// says is whether an object says anything: nulls, empty lists and empty objects do not.
func says(object map[string]raw) bool {
	for _, r := range object {
		switch string(r) {
		case "null", "[]", "{}", "false":
		default:
			return true
		}
	}
	return false
}

// editModels brings the lists of models, and their limits that are kept in metadata, into the settings.
func (c *call) editModels(e *edit, models value[[]string], old map[string]raw) error {
	is := orgs.ModelSettings{}
	if e.settings.Models != nil {
		is = *e.settings.Models
	}
	if models.some() {
		is.Allowed = allowedModels(models.v)
	}
	is.RateLimits = maps.Clone(is.RateLimits)
	if is.RateLimits == nil {
		is.RateLimits = map[string]orgs.RateLimits{}
	}
	for _, limit := range []struct {
		name string
		of   func(*orgs.RateLimits) **int64
	}{{"model_rpm_limit", func(r *orgs.RateLimits) **int64 { return &r.RequestsPerMinute }}, {"model_tpm_limit", func(r *orgs.RateLimits) **int64 { return &r.TokensPerMinute }}} {
		before, _ := modelLimits(old[limit.name])
		after, ok := modelLimits(e.metadata[limit.name])
		if !ok {
			c.in.fault("dict_type", "Input should be a valid dictionary of integers that are not negative", limit.name)
			return c.in.err()
		}
		put := func(model string, n *int64) {
			r := is.RateLimits[model]
			if *limit.of(&r) = n; r == (orgs.RateLimits{}) {
				delete(is.RateLimits, model)
				return
			}
			is.RateLimits[model] = r
		}
		for model := range before {
			put(model, nil)
		}
		for model, n := range after {
			put(model, &n)
		}
	}
	if e.settings.Models = &is; is.Allowed == nil && is.Blocked == nil && is.RequireApproval == nil && len(is.RateLimits) == 0 &&
		is.PreferredProviders == nil && is.AllowFineTuning == nil && is.AllowEmbeddings == nil {
		e.settings.Models = nil
	}
	return nil
}

func modelLimits(r raw) (map[string]int64, bool) {
	var given map[string]raw
	if len(r) == 0 || isNull(r) {
		return nil, true
	}
	if json.Unmarshal(r, &given) != nil {
		return nil, false
	}
	limits := map[string]int64{}
	for model, is := range given {
		n, ok := whole(is)
		if !ok || n < 0 {
			return nil, false
		}
		limits[model] = n
	}
	return limits, true
}

func encoded(metadata map[string]raw) (raw, error) { return json.Marshal(metadata) }

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
		if !errors.As(err, &conflict) || conflict.Code != "slug_taken" {
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
		a, err := c.svc.CreateAllowance(ctx, orgs.NewAllowance{AllowanceLimits: e.limits})
		return a.ID, err
	case e.limited:
		_, err := c.svc.UpdateAllowance(ctx, has, e.limits)
		return has, err
	}
	return has, nil
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
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		var err error
		if o, err = c.organization(ctx, id); err != nil {
			return as(err, store.ErrNotFound, unknownOrganization(http.StatusNotFound, id))
		}
		over := orgs.AllowanceLimits{}
		if o.AllowanceID != "" {
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
		allowance, err := c.link(ctx, o.AllowanceID, e)
		if err != nil {
			return err
		}
		if in.Allowance = &allowance; allowance == o.AllowanceID {
			in.Allowance = nil
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

// listOrganizations is GET /organization/list.
func (c *call) listOrganizations() (any, error) {
	id, alias, after := c.in.text("org_id").v, c.in.text("org_alias").v, c.in.text("cursor").v
	limit := c.in.count("limit")
	if limit.some() && (limit.v < 1 || limit.v > 1000) {
		c.in.fault("int_parsing", "Input should be from 1 to 1000", "limit")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	most := c.opt.ListCap
	if limit.some() && (most < 0 || int(limit.v) < most) {
		most = int(limit.v)
	}
	rows := []*orgRow{}
	if id != "" {
		o, err := c.organization(c.ctx(), id)
		var denied *rbac.Denied
		if errors.Is(err, store.ErrNotFound) || errors.As(err, &denied) {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		row, err := c.row(o, false)
		return append(rows, row), err
	}
	for most != 0 {
		page, err := c.svc.Organizations(c.ctx(), orgs.OrganizationFilter{Name: alias, After: after, Limit: max(0, most)})
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			row, err := c.row(o, false)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		if after = page.Next; after == "" {
			break
		}
		if most > 0 {
			most -= len(page.Items)
		}
	}
	if after != "" {
		c.reply.Set("X-Has-More", "true")
		c.reply.Set("X-Next-Cursor", after)
	}
	return rows, nil
}

// infoOrganization is GET /organization/info.
func (c *call) infoOrganization() (any, error) {
	id := c.in.needed("organization_id")
	if err := c.in.err(); err != nil {
		return nil, err
	}
	o, err := c.organization(c.ctx(), id)
	if err != nil {
		return nil, as(err, store.ErrNotFound, detail(http.StatusNotFound, "Organization not found"))
	}
	return c.row(o, true)
}

// infoOrganizations is POST /organization/info.
func (c *call) infoOrganizations() (any, error) {
	ids := c.in.texts("organizations")
	if !ids.set {
		c.in.fault("missing", "Field required", "organizations")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	switch {
	case len(ids.v) == 0:
		return nil, detail(http.StatusBadRequest, "Specify list of organization id's to query. Passed in=[]")
	case len(ids.v) > maxIDs:
		return nil, detail(http.StatusBadRequest, "at most 1000 organizations")
	}
	rows := []rawRow{}
	for _, id := range ids.v {
		if !c.admin() {
			role, err := c.roleIn(id)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			if err != nil || role != rbac.OwnerRole {
				return nil, bare(http.StatusForbidden, "You do not have access to this organization")
			}
		}
		o, err := c.organization(c.ctx(), id)
		if errors.Is(err, store.ErrNotFound) && c.admin() {
			continue
		} else if err != nil {
			return nil, as(err, store.ErrNotFound, bare(http.StatusForbidden, "You do not have access to this organization"))
		}
		row, err := c.rawRow(o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
