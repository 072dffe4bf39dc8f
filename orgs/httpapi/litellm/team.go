package litellm

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

var teamFields = []string{"team_alias", "team_id", "organization_id", "members_with_roles", "models", "max_budget", "soft_budget", "budget_duration", "tpm_limit", "rpm_limit",
	"max_parallel_requests", "metadata", "blocked", "tags", "model_aliases", "object_permission"}

// roleTeamAdmin is the role of a team's admin, which an organization gets when somebody first has it.
const roleTeamAdmin = "team_admin"

var teamAdminRole = rbac.NewRole{Name: "Team admin", Slug: roleTeamAdmin, Description: "Has the members and keys of a team",
	Permissions: []string{"teams.read", "teams.update", "members.read", "members.invite", "members.remove", "api_keys.create", "api_keys.read", "api_keys.update", "api_keys.delete", "api_keys.use",
		"models.read", "models.use", "usage.read"}}

func unknownTeam(id string) error {
	return detail(http.StatusNotFound, "Team not found, passed team id: "+plain(id)+".")
}

// team returns one by an id, with its organization, or store.ErrNotFound.
func (c *call) team(ctx context.Context, ref string) (t orgs.Team, o orgs.Organization, err error) {
	if ref == "" || plain(ref) != ref {
		return t, o, store.ErrNotFound
	}
	if t, err = c.svc.Team(ctx, ref); err != nil {
		return t, o, as(err, rbac.ErrDenied, store.ErrNotFound) // who may not read it does not hear of it
	}
	if !t.Known(ref) {
		return t, o, store.ErrNotFound
	}
	o, err = c.svc.Organization(ctx, t.OrgID)
	if err == nil && o.DeletedAt != nil {
		err = store.ErrNotFound
	}
	return t, o, err
}

// teamOrganization is the organization of a new team (G6, G7).
func (c *call) teamOrganization() (orgs.Organization, error) {
	ref := c.in.text("organization_id").v
	if ref == "" && !c.admin() {
		mine, err := c.svc.Organizations(c.ctx(), orgs.OrganizationFilter{Limit: 100})
		if err != nil {
			return orgs.Organization{}, err
		}
		var ids []string
		for _, o := range mine.Items {
			ids = append(ids, o.PublicID())
		}
		if len(ids) > 1 {
			return orgs.Organization{}, c.refused("organization_id", "Passed organization_id is None, please specify the organization_id in your request. You are part of multiple organizations: ["+strings.Join(ids, ", ")+"]")
		}
		ref = strings.Join(ids, "")
	}
	if ref == "" {
		return orgs.Organization{}, detail(http.StatusBadRequest, "organization_id is required: every team belongs to an organization")
	}
	if !c.admin() {
		role, err := c.roleIn(ref)
		if errors.Is(err, store.ErrNotFound) {
			return orgs.Organization{}, c.refused("organization_id", "You do not have a role within the selected organization. Passed organization_id: "+plain(ref)+". Please contact the organization admin to request access.")
		} else if err != nil {
			return orgs.Organization{}, err
		}
		if role != rbac.OwnerRole {
			return orgs.Organization{}, c.refused("user_role", "You do not have the required role to call /team/new. Your role is "+role+" in Organization "+plain(ref))
		}
	}
	o, err := c.organization(c.ctx(), ref)
	return o, as(err, store.ErrNotFound, unknownOrganization(http.StatusBadRequest, ref))
}

// newTeam is POST /team/new.
func (c *call) newTeam() (any, error) {
	id, alias, models := c.in.text("team_id").v, c.in.text("team_alias").v, c.in.texts("models").v
	blocked := c.in.boolean("blocked").v
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if err := c.unsupported("metadata", "tags"); err != nil {
		return nil, err
	}
	o, err := c.teamOrganization()
	if err != nil {
		return nil, err
	}
	limits, _, err := c.limits(orgs.AllowanceLimits{})
	if err != nil {
		return nil, err
	}
	st, err := c.svc.AllowanceOf(c.ctx(), o.ID)
	if err != nil {
		return nil, err
	}
	if err := within(limits, models, o, st.Allowance); err != nil {
		return nil, err
	}
	given := c.in.given["members_with_roles"]
	if len(given) == 0 || isNull(given) {
		given = raw("[]")
	}
	c.in.given["member"] = given
	members, err := c.wantedTeamMembers()
	if err != nil {
		return nil, err
	}
	if me := c.by.Person(); me != "" && !slices.ContainsFunc(members, func(w wanted) bool { return w.id == me }) {
		members = append(members, wanted{id: me, role: "admin"})
	}
	if alias == "" {
		alias = "team " + shortID()
	}
	in := orgs.NewTeam{Name: alias, AliasID: id, Settings: orgs.TeamSettings{Models: &orgs.ModelSettings{Allowed: allowedModels(models), Aliases: c.aliases(nil)}}}
	if in.Settings.Objects, err = c.permission(nil); err != nil {
		return nil, err
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if limits.TokensPerMinute != nil || limits.RequestsPerMinute != nil || limits.MaxParallelRequests != nil && limits.FailOpen {
		in.Settings.Models.RateLimits = map[string]orgs.RateLimits{"*": {TokensPerMinute: limits.TokensPerMinute, RequestsPerMinute: limits.RequestsPerMinute, FailOpen: limits.FailOpen}}
	}
	if limits.MaxParallelRequests != nil {
		in.Settings.Resources = &orgs.ResourceSettings{MaxParallelRequests: limits.MaxParallelRequests}
	}
	if store.SlugFrom(alias) == "" {
		in.Slug = "team-" + shortID()
	}
	if c.slugTaken {
		in.Slug = anotherSlug(alias)
	}
	var t orgs.Team
	for {
		err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
			if t, err = c.svc.CreateTeam(ctx, o.ID, in); err != nil {
				return err
			}
			if limits.Limit != nil || limits.SoftLimit != nil {
				b := spending(limits)
				b.OrgID, b.Scope, b.ScopeID = o.ID, billing.ScopeTeam, t.ID
				if _, err := c.svc.SetBudget(ctx, b); err != nil {
					return err
				}
			}
			for _, w := range members {
				if _, err := c.joinTeam(ctx, o, t, w); err != nil {
					return err
				}
			}
			if blocked {
				t, err = c.svc.ArchiveTeam(ctx, t.ID)
			}
			return err
		})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Code != "slug_taken" || c.unit {
			break
		} // names of teams need not be unique here
		in.Slug = anotherSlug(alias)
	}
	if err != nil {
		return nil, coded(err, "alias_taken", detail(http.StatusBadRequest, "Team id = "+plain(id)+" already exists. Please use a different team id."))
	}
	return c.teamRow(o, t)
}

// anotherSlug is one for a name whose own is taken.
func anotherSlug(name string) string {
	slug := store.SlugFrom(name)
	return strings.TrimRight(slug[:min(len(slug), 40)], "-") + "-" + shortID()
}

// spending is a budget with these limits, of nobody yet.
func spending(limits orgs.AllowanceLimits) billing.Budget {
	b := billing.Budget{Window: billing.Lifetime, Anchor: limits.Anchor, Hard: limits.Limit != nil, SoftLimit: limits.SoftLimit,
		UnknownPrice: limits.UnknownPrice, UnknownMinimum: limits.UnknownMinimum}
	if limits.Window != "" {
		b.Window = limits.Window
	}
	if b.Hard {
		b.Limit = *limits.Limit
	} else if limits.SoftLimit != nil {
		b.Limit = *limits.SoftLimit
	}
	return b
}

// within refuses a team that would have more than its organization.
func within(team orgs.AllowanceLimits, models []string, o orgs.Organization, has *orgs.Allowance) error {
	if s := o.Settings.Models; s != nil && s.Allowed != nil {
		for _, m := range models {
			if m == allModels || m == noModels || slices.Contains(s.Allowed, m) || slices.Contains(s.Allowed, "*") {
				continue
			}
			if !slices.ContainsFunc(s.Allowed, func(glob string) bool {
				is, err := rbac.ParseResource(rbac.ModelPattern(glob))
				return err == nil && is.Match(rbac.ModelPattern(m))
			}) {
				return detail(http.StatusBadRequest, "Model "+plain(m)+" not in organization's allowed models")
			}
		}
	}
	if has == nil {
		return nil
	}
	if team.Limit != nil && has.Limit != nil && team.Limit.GreaterThan(*has.Limit) {
		return detail(http.StatusBadRequest, "Team max_budget ("+usd(*team.Limit).String()+") exceeds organization's max_budget ("+usd(*has.Limit).String()+").")
	}
	for _, limit := range []struct {
		name    string
		is, has *int64
	}{{"tpm_limit", team.TokensPerMinute, has.TokensPerMinute}, {"rpm_limit", team.RequestsPerMinute, has.RequestsPerMinute}} {
		if limit.is != nil && limit.has != nil && *limit.is > *limit.has {
			return detail(http.StatusBadRequest, "Team "+limit.name+" exceeds organization's "+limit.name+".")
		}
	}
	return nil
}

// teamInfoRow is a team with what belongs to it.
type teamInfoRow struct {
	ID          string    `json:"team_id"`
	Info        teamRow   `json:"team_info"`
	Keys        []keyRow  `json:"keys"`
	Memberships []teamMem `json:"team_memberships"`
}

type teamMem struct {
	UserID string `json:"user_id"`
	TeamID string `json:"team_id"`
}

// infoTeam is GET /team/info.
func (c *call) infoTeam() (any, error) {
	id := c.in.needed("team_id")
	if err := c.in.err(); err != nil {
		return nil, err
	}
	t, o, err := c.team(c.ctx(), id)
	if err != nil {
		return nil, as(err, store.ErrNotFound, unknownTeam(id))
	}
	row, err := c.teamRow(o, t)
	if err != nil {
		return nil, err
	}
	list, err := c.keysIn(orgs.Place{OrgID: o.ID, TeamID: t.ID}, "")
	if err != nil {
		return nil, err
	}
	keys, err := c.keyRows(list...)
	return teamInfoRow{row.ID, row, keys, memberships(row)}, err
}

func memberships(t teamRow) []teamMem {
	list := []teamMem{}
	for _, m := range t.Members {
		list = append(list, teamMem{m, t.ID})
	}
	return list
}

// deleteTeams is POST /team/delete: all of them, or none.
func (c *call) deleteTeams() (any, error) {
	ids := c.in.texts("team_ids")
	if !ids.set {
		c.in.fault("missing", "Field required", "team_ids")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if len(ids.v) > maxIDs {
		return nil, detail(http.StatusBadRequest, "at most 1000 team_ids")
	}
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		for _, id := range ids.v {
			t, _, err := c.team(ctx, id)
			if err != nil {
				return as(err, store.ErrNotFound, detail(http.StatusNotFound, "Team not found, passed team_id="+plain(id)))
			}
			if _, err := c.svc.DeleteTeam(ctx, t.ID, true); err != nil {
				return err
			}
		}
		return nil
	})
	return map[string][]string{"deleted_teams": ids.v}, err
}
