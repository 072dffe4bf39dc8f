package litellm

import (
	"errors"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

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
		q := c.http.URL.Query()
		q.Set("cursor", after)
		c.reply.Set("Link", "<?"+q.Encode()+`>; rel="next"`) // of the path that was asked, wherever that is mounted
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
