package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// benchAccess asks who may use a model in an organization of 1,000 users.
func benchAccess(ctx context.Context, b *bench) error {
	b.begin("rbac: who can")
	o, err := loadOrgkit(ctx, newWorkload(changeScale))
	if err != nil {
		return err
	}
	defer o.close()
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	q := rbac.AccessQuery{OrgID: o.w.orgs[0].id, Action: "models.use", Resource: "model:claude-3-opus"}
	s, err := each(4*rbacRounds, 100, func() error {
		h, err := o.WhoCan(ctx, q)
		if err == nil && len(h.Always)+len(h.Conditional)+h.Never != changeScale.users {
			err = errors.New("somebody is missing")
		}
		return err
	})
	if err != nil {
		return err
	}
	b.setBest("rbac.who_can_us", s, micros)
	return b.benchWhatIf(ctx, o)
}

// proposal is a change that is looked at, and how many answers it changes at least.
type proposal struct {
	name    string
	make    func(context.Context) error
	changes int
}

func (o *orgkit) proposals() []proposal {
	org := o.w.orgs[0]
	team := org.teams[0].id
	policy := func(statements ...rbac.Statement) rbac.NewPolicy {
		return rbac.NewPolicy{Name: "proposed", Statements: statements}
	}
	deny := rbac.Statement{Effect: rbac.EffectDeny, Actions: []string{"models.use"}, Resources: []string{"model:gpt-4*"}}
	return []proposal{
		{"a deny of models in a team", func(ctx context.Context) error {
			_, _, err := o.CreatePolicy(ctx, org.id, team, policy(deny))
			return err
		}, 2},
		{"the same in the organization", func(ctx context.Context) error {
			_, _, err := o.CreatePolicy(ctx, org.id, "", policy(deny))
			return err
		}, 2},
		{"a role that may less and more", func(ctx context.Context) error {
			permissions := []string{"api_keys.use", "models.use", "teams.read", "usage.read:own", "billing.read"}
			_, err := o.UpdateRole(ctx, org.id, "developer", rbac.RoleUpdate{Permissions: &permissions})
			return err
		}, 2},
		{"an override in a team", func(ctx context.Context) error {
			_, _, err := o.SetOverride(ctx, org.id, team, "viewer", []string{"webhooks.test"}, []string{"billing.read"})
			return err
		}, 2},
		{"another role for a member", func(ctx context.Context) error {
			return o.Change(ctx, rbac.Op{Action: "members.update", OrgID: org.id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				finance, err := rbac.FindRole(ctx, tx, org.id, "finance")
				if err != nil {
					return audit.Change{}, err
				}
				held, err := rbac.Held(ctx, tx, org.id, org.users[2].id)
				if err != nil {
					return audit.Change{}, err
				}
				held[0].RoleID = finance.ID
				return audit.Change{}, rbac.Assignments.Update(ctx, tx, &held[0])
			})
		}, 2},
		{"settings of a team", func(ctx context.Context) error {
			return o.Change(ctx, rbac.Op{Action: "teams.update", OrgID: org.id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				r, err := rbac.Restrictions.Get(ctx, tx, team)
				if err != nil {
					return audit.Change{}, err
				}
				r.Blocked = []string{"o3", "dall-e-*"}
				return audit.Change{}, rbac.Restrictions.Update(ctx, tx, &r)
			})
		}, 2},
	}
}

func (o *orgkit) whatIf() rbac.WhatIfQuery {
	q := rbac.WhatIfQuery{OrgID: o.w.orgs[0].id}
	for _, m := range loadModels {
		q.Resources = append(q.Resources, "model:"+m)
	}
	return q
}

// benchWhatIf looks at changes of the organization: each is made, compared for all users, contexts and actions on
// all models, and taken back. The bar is the dearest.
func (b *bench) benchWhatIf(ctx context.Context, o *orgkit) error {
	q := o.whatIf()
	dearest := sample{0}
	for _, p := range o.proposals() {
		rows := 0
		s, err := each(rbacRounds, 20, func() error {
			d, err := o.WhatIf(ctx, q, p.make)
			if rows = len(d.Changes); err == nil && rows < p.changes {
				err = fmt.Errorf("%s: %d changes", p.name, rows)
			}
			return err
		})
		if err != nil {
			return err
		}
		b.note("what-if of %-32s %8.0f us, %d answers change", p.name, s.best()/1000, rows)
		if s.best() > dearest.best() {
			dearest = s
		}
	}
	b.setBest("rbac.what_if_us", dearest, micros)
	return nil
}
