package main

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
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
	b.setBest("rbac.who_can_us", s, micros)
	return err
}
