package litellm

import (
	"errors"
	"slices"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// teamRow is a team.
type teamRow struct {
	ID              string            `json:"team_id"`
	Alias           string            `json:"team_alias"`
	OrganizationID  string            `json:"organization_id"`
	Admins          []string          `json:"admins"`
	Members         []string          `json:"members"`
	MembersAndRoles []teamAdmin       `json:"members_with_roles"`
	Metadata        raw               `json:"metadata"`
	TPM             *int64            `json:"tpm_limit"`
	RPM             *int64            `json:"rpm_limit"`
	MaxBudget       *usd              `json:"max_budget"`
	SoftBudget      *usd              `json:"soft_budget"`
	Duration        *string           `json:"budget_duration"`
	Models          []string          `json:"models"`
	Aliases         map[string]string `json:"model_aliases"`
	Permission      *permissionRow    `json:"object_permission"`
	PermissionID    *string           `json:"object_permission_id"`
	Blocked         bool              `json:"blocked"`
	Spend           *usd              `json:"spend"`
	MaxParallel     *int64            `json:"max_parallel_requests"`
	ResetAt         *stamp            `json:"budget_reset_at"`
	CreatedAt       stamp             `json:"created_at"`
	UpdatedAt       stamp             `json:"updated_at"`
}

type teamAdmin struct {
	UserID    string  `json:"user_id"`
	UserEmail *string `json:"user_email"`
	Role      string  `json:"role"`
}

// teams are those of an organization that the caller may see.
func (c *call) teams(o orgs.Organization, most int) (rows []teamRow, total int, err error) {
	rows = []teamRow{}
	var list []orgs.Team
	for after := ""; ; {
		page, err := c.svc.Teams(c.ctx(), o.ID, orgs.PartFilter{After: after})
		var denied *rbac.Denied
		if errors.As(err, &denied) {
			return rows, 0, nil
		} else if err != nil {
			return nil, 0, err
		}
		if list = append(list, page.Items...); page.Next == "" {
			break
		}
		after = page.Next
	}
	if most > 0 && len(list) > most {
		list, total = list[:most], len(list)
	}
	for _, t := range list {
		row, err := c.teamRow(o, t)
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, row)
	}
	return rows, total, nil
}

func (c *call) teamRow(o orgs.Organization, t orgs.Team) (teamRow, error) {
	row := teamRow{ID: t.PublicID(), Alias: t.Name, OrganizationID: o.PublicID(), Admins: []string{}, Members: []string{}, MembersAndRoles: []teamAdmin{}, Metadata: raw("{}"),
		Models: modelsOf(t.Settings.Models), Blocked: t.State != rbac.Active, CreatedAt: stamp(t.CreatedAt), UpdatedAt: stamp(t.UpdatedAt)}
	row.Aliases = aliasesOf(t.Settings.Models)
	row.Permission, row.PermissionID = permissionOf(t.ID, t.Settings.Objects)
	if b := t.Settings.Budget; b != nil && b.MonthlyLimit != nil {
		limit, month := b.MonthlyLimit.Decimal(), "1mo"
		row.Duration = &month
		if b.HardLimit != nil && *b.HardLimit {
			row.MaxBudget = dollars(&limit)
		} else {
			row.SoftBudget = dollars(&limit)
		}
	}
	if r := t.Settings.Resources; r != nil {
		row.MaxParallel = r.MaxParallelRequests
	}
	if m := t.Settings.Models; m != nil {
		all := m.RateLimits["*"]
		row.TPM, row.RPM = all.TokensPerMinute, all.RequestsPerMinute
	}
	if spent, err := c.sums(c.ctx(), o.ID, "team", time.Time{}); err != nil {
		return row, err
	} else if spent != nil {
		of := usd(spent[t.ID])
		row.Spend = &of
	}
	if c.admin() || c.ruling(o.ID) {
		states, err := c.svc.PlaceBudgets(c.ctx(), o.ID, t.ID)
		if err != nil {
			return row, err
		}
		for _, s := range states {
			if s.Budget.Name == "" {
				row.Spend = dollars(&s.Spent)
				row.SoftBudget, row.Duration, row.ResetAt = dollars(s.Budget.SoftLimit), written(s.Budget.Window), stamped(s.PeriodEnd)
				if s.Budget.Hard {
					row.MaxBudget = dollars(&s.Budget.Limit)
				}
				break
			}
		}
	}
	list, err := c.everyMember(orgs.Place{OrgID: o.ID, TeamID: t.ID})
	var denied *rbac.Denied
	if errors.As(err, &denied) || errors.Is(err, store.ErrNotFound) {
		return row, nil
	} else if err != nil {
		return row, err
	}
	for _, ms := range list {
		role := "user"
		if slices.Contains(ms.Effective, "members.invite") || slices.Contains(ms.Effective, "*") {
			role = "admin"
			row.Admins = append(row.Admins, ms.User.PublicID())
		}
		row.Members = append(row.Members, ms.User.PublicID())
		row.MembersAndRoles = append(row.MembersAndRoles, teamAdmin{ms.User.PublicID(), optional(ms.User.Email), role})
	}
	return row, nil
}
