package rbac

import (
	"context"
	"errors"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Policy is a named list of statements attached to a team, or, with an empty TeamID, to the whole
// organization.
type Policy struct {
	store.Meta
	OrgID       string      `json:"organization_id"`
	TeamID      string      `json:"team_id"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Statements  []Statement `json:"statements"`
	Enabled     bool        `json:"enabled"`
}

// AuditResource is how the log names the policy.
func (p Policy) AuditResource() audit.Resource { return audit.Resource{Type: "policy", ID: p.ID} }

var policies = store.Define[Policy]("policies", "pol", store.Traced("id"),
	store.Unique("org_id", "team_id", "name"))

// MaxStatements is the most statements of one policy, MaxAttached that of all policies attached to one team,
// project or organization, whether or not they are enabled: each is looked at by every first question (C18).
const (
	MaxStatements = 100
	MaxAttached   = 500
)

// NewPolicy is the input of [Guard.CreatePolicy].
type NewPolicy struct {
	Name        string
	Description string
	Statements  []Statement
	Disabled    bool
}

func (in *NewPolicy) validate() error {
	in.Name = strings.TrimSpace(in.Name)
	if err := CheckText("name", in.Name, 1, MaxName); err != nil {
		return err
	}
	if err := CheckText("description", in.Description, 0, MaxDescription); err != nil {
		return err
	}
	if n := len(in.Statements); n < 1 || n > MaxStatements {
		return store.Invalid("statements", "range", "must have from 1 to %d statements", MaxStatements)
	}
	for i, st := range in.Statements {
		if err := st.Validate(indexed("statements", i)); err != nil {
			return err
		}
	}
	return nil
}

// CreatePolicy attaches a policy to a team, or to the organization and everything below it when teamID is
// empty. The warnings say what was accepted but may surprise (F458). Nobody can allow by a statement what
// they do not hold themselves.
func (g *Guard) CreatePolicy(ctx context.Context, orgID, teamID string, in NewPolicy) (p Policy, warnings []Warning, err error) {
	err = g.Change(ctx, Op{Action: "policies.create", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		p = Policy{OrgID: orgID, TeamID: teamID}
		if warnings, err = g.fill(ctx, tx, &p, in); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&p).In(teamID), named(policies.Insert(ctx, tx, &p))
	})
	return p, warnings, err
}

// UpdatePolicy replaces what a policy says. Nobody can allow by it what they do not hold themselves.
func (g *Guard) UpdatePolicy(ctx context.Context, orgID, teamID, id string, in NewPolicy) (p Policy, warnings []Warning, err error) {
	err = g.Change(ctx, Op{Action: "policies.update", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if p, err = ownPolicy(ctx, tx, orgID, teamID, id); err != nil {
			return audit.Change{}, err
		}
		before := p
		if warnings, err = g.fill(ctx, tx, &p, in); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &p).In(teamID), named(policies.Update(ctx, tx, &p))
	})
	return p, warnings, err
}

// fill gives a policy what the input says, within the ceiling of the actor.
func (g *Guard) fill(ctx context.Context, tx *store.Tx, p *Policy, in NewPolicy) ([]Warning, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	for i, st := range in.Statements {
		if st.Effect != EffectAllow {
			continue
		}
		h := Handout{OrgID: p.OrgID, TeamID: p.TeamID, Permissions: st.Actions, Field: indexed("statements", i) + ".actions"}
		if err := g.Ceiling(ctx, tx, h); err != nil {
			return nil, err
		}
	}
	if err := hasRoom(ctx, tx, p, len(in.Statements)); err != nil {
		return nil, err
	}
	p.Name, p.Description, p.Statements, p.Enabled = in.Name, in.Description, in.Statements, !in.Disabled
	known, err := g.knowledge(ctx, tx, p.OrgID, p.TeamID)
	return Lint(in.Statements, known), err
}

// hasRoom refuses more statements than may be attached to the place of a policy.
func hasRoom(ctx context.Context, tx *store.Tx, p *Policy, statements int) error {
	others := 0
	for o, err := range policies.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", p.OrgID), store.Eq("team_id", p.TeamID)}}) {
		if err != nil {
			return err
		}
		if o.ID != p.ID {
			others += len(o.Statements)
		}
	}
	if others+statements > MaxAttached {
		return store.Invalid("statements", "limit", "the other policies attached here have %d statements; together they may have %d", others, MaxAttached)
	}
	return nil
}

func named(err error) error {
	if errors.Is(err, store.ErrExists) {
		return &store.ConflictError{Code: "conflict", Message: "a policy with this name is attached here already"}
	}
	return err
}

// replaceApprover puts another role, by its slug, in the place of one, by its key, and says whether the
// policy names that. An empty slug changes nothing.
func (p *Policy) replaceApprover(key, slug string) (names bool) {
	for i := range p.Statements {
		a := p.Statements[i].Conditions.Approval
		if a == nil {
			continue
		}
		for j, who := range a.Approvers {
			if store.SlugKey(who) == key {
				names = true
				if slug != "" {
					a.Approvers[j] = slug
				}
			}
		}
	}
	return names
}

// Policies lists what is attached to the team, or to the organization when teamID is empty.
func (g *Guard) Policies(ctx context.Context, orgID, teamID string, limit int, after string) (page store.Page[Policy], err error) {
	err = g.Read(ctx, Op{Action: "policies.read", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = policies.List(ctx, tx, store.Query{
			Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("team_id", teamID)},
			Order: []store.Order{store.Asc("name")}, Limit: limit, After: after})
		return err
	})
	return page, err
}

// Policy returns one policy of the team, or of the organization when teamID is empty.
func (g *Guard) Policy(ctx context.Context, orgID, teamID, id string) (p Policy, err error) {
	err = g.Read(ctx, Op{Action: "policies.read", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) error {
		p, err = ownPolicy(ctx, tx, orgID, teamID, id)
		return err
	})
	return p, err
}

// DeletePolicy detaches and removes a policy.
func (g *Guard) DeletePolicy(ctx context.Context, orgID, teamID, id string) (p Policy, err error) {
	err = g.Change(ctx, Op{Action: "policies.delete", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if p, err = ownPolicy(ctx, tx, orgID, teamID, id); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(p).In(teamID), policies.Delete(ctx, tx, p.ID)
	})
	return p, err
}

func ownPolicy(ctx context.Context, tx *store.Tx, orgID, teamID, id string) (Policy, error) {
	p, err := policies.Get(ctx, tx, id)
	if err == nil && (p.OrgID != orgID || p.TeamID != teamID) {
		return Policy{}, store.ErrNotFound
	}
	return p, err
}
