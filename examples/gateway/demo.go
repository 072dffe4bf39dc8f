package main

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// demo makes the organization demo, if there is none, lets its identity provider make and end members and teams, and returns
// a token for it.
func demo(ctx context.Context, m *orgs.Manager) (token string, err error) {
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	_, err = m.CreateOrganization(ctx, orgs.NewOrganization{Name: "Demo", Slug: "demo"})
	var taken *store.ConflictError
	if err != nil && !errors.As(err, &taken) {
		return "", err
	}
	if _, _, err := m.SetProvisioning(ctx, "demo", orgs.NewProvisioning{Enabled: true, AutoProvision: true, SyncGroups: true}); err != nil {
		return "", err
	}
	old, err := m.SCIMTokens(ctx, "demo", 0, "")
	if err != nil {
		return "", err
	}
	for _, t := range old.Items { // whose secrets nobody knows any more
		if _, err := m.RevokeSCIMToken(ctx, "demo", t.ID); err != nil {
			return "", err
		}
	}
	_, token, err = m.CreateSCIMToken(ctx, "demo", orgs.NewSCIMToken{Name: "demo"})
	return token, err
}
