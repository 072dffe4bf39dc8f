package main

import (
	"context"
	"fmt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// orgkit is a guard over the records of a workload.
type orgkit struct {
	*rbac.Guard
	w     *workload
	store *store.Store
	score float64 // what the anomaly source answers
}

// newOrgkit writes the records of a workload into a store.
func newOrgkit(ctx context.Context, w *workload, s *store.Store) (*orgkit, error) {
	o := &orgkit{w: w, store: s}
	if err := o.forget(); err != nil {
		return nil, err
	}
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	for _, org := range w.orgs {
		if err := o.write(ctx, org); err != nil {
			return nil, fmt.Errorf("%s: %w", org.id, err)
		}
	}
	return o, nil
}

// forget begins anew with nothing in memory.
func (o *orgkit) forget() (err error) {
	if o.Guard != nil {
		o.Guard.Close()
	}
	o.Guard, err = rbac.NewGuard(o.store, &rbac.Options{Actions: o.w.actions,
		Anomaly: func(context.Context, string, string) (float64, error) { return o.score, nil }})
	return err
}

func (o *orgkit) write(ctx context.Context, org loadOrg) error {
	err := o.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		scope := rbac.Scope{Meta: store.Meta{ID: org.id}, Zone: "UTC", State: rbac.Active}
		if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
			return err
		}
		for _, t := range org.teams {
			team := rbac.Restriction{Meta: store.Meta{ID: t.id}, OrgID: org.id, State: rbac.Active}
			if err := rbac.Restrictions.Insert(ctx, tx, &team); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var roles []rbac.Role
	for _, r := range o.w.roles {
		role, err := o.CreateRole(ctx, org.id, rbac.NewRole{Name: r.slug, Slug: r.slug, Permissions: r.permissions})
		if err != nil {
			return err
		}
		roles = append(roles, role)
		for _, t := range org.teams {
			if _, _, err := o.SetOverride(ctx, org.id, t.id, r.slug, []string{t.add}, []string{t.remove}); err != nil {
				return err
			}
		}
	}
	if _, _, err := o.CreatePolicy(ctx, org.id, "", rbac.NewPolicy{Name: "workload", Statements: o.w.policies}); err != nil {
		return err
	}
	return o.Change(ctx, rbac.Op{Action: "members.update", OrgID: org.id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		for _, u := range org.users {
			a := rbac.Assignment{OrgID: org.id, TeamID: org.teams[u.team].id, Subject: u.id, Kind: rbac.Member, State: rbac.Active, RoleID: roles[u.role].ID}
			if err := rbac.Assignments.Insert(ctx, tx, &a); err != nil {
				return audit.Change{}, err
			}
		}
		return audit.Change{}, nil
	})
}

// call is what orgkit is told of a query.
func (o *orgkit) call(q *loadQuery) rbac.Call {
	c := rbac.Call{Resource: q.resource, At: q.in.now, IP: q.in.ip}
	if q.in.own {
		c.Owner = o.w.orgs[q.org].users[q.user].id
	}
	return c
}

// handles answers by principals that were resolved before, as after the authentication of a key.
func (o *orgkit) handles(ctx context.Context) (check, error) {
	type asked struct {
		principal *rbac.Principal
		action    rbac.Action
		call      rbac.Call
		score     float64
	}
	principals := map[[2]int]*rbac.Principal{}
	all := make([]asked, len(o.w.queries))
	for i := range o.w.queries {
		q := &o.w.queries[i]
		p := principals[[2]int{q.org, q.user}]
		if p == nil {
			var err error
			org := &o.w.orgs[q.org]
			u := org.users[q.user]
			if p, err = o.Principal(ctx, org.id, org.teams[u.team].id, u.id); err != nil {
				return nil, err
			}
			principals[[2]int{q.org, q.user}] = p
		}
		all[i] = asked{p, o.Action(q.action), o.call(q), q.in.anomaly}
	}
	return func(i int) (bool, error) {
		q := &all[i]
		o.score = q.score
		a, err := q.principal.Allows(ctx, q.action, &q.call)
		return a.Allowed, err
	}, nil
}

// strings answers by the ids and names of everything.
func (o *orgkit) strings(ctx context.Context) check {
	type asked struct {
		subject string
		request rbac.Request
		score   float64
	}
	all := make([]asked, len(o.w.queries))
	for i := range o.w.queries {
		q := &o.w.queries[i]
		org := &o.w.orgs[q.org]
		u := org.users[q.user]
		all[i] = asked{u.id, rbac.Request{OrgID: org.id, TeamID: org.teams[u.team].id, Action: q.action, Call: o.call(q)}, q.in.anomaly}
	}
	return func(i int) (bool, error) {
		q := &all[i]
		o.score = q.score
		a, err := o.Allows(ctx, q.subject, &q.request)
		return a.Allowed, err
	}
}

// loadOrgkit makes a guard over a memory store, ready to be asked by handle.
func loadOrgkit(ctx context.Context, w *workload) (*orgkit, error) {
	return newOrgkit(ctx, w, memory.New(nil))
}

func (o *orgkit) close() {
	o.Guard.Close()
	o.store.Close()
}
