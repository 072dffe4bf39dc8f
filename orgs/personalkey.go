package orgs

import (
	"context"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// CredentialsByID returns those of some tokens, and of some keys that are bound to a person, that there are. It asks no permission:
// it serves the floors above.
func CredentialsByID(ctx context.Context, tx *store.Tx, ids []string) (tokensOf []Token, keysOf []APIKey, err error) {
	q := store.Query{Where: []store.Cond{store.In("id", ids)}}
	for t, err := range tokens.All(ctx, tx, q) {
		if err != nil {
			return nil, nil, err
		}
		tokensOf = append(tokensOf, t)
	}
	for k, err := range apiKeys.All(ctx, tx, q) {
		if err != nil {
			return nil, nil, err
		}
		if k.UserID != "" {
			keysOf = append(keysOf, k)
		}
	}
	return tokensOf, keysOf, nil
}

// KeysOf lists the keys that are bound to a person, in all organizations, newest first: one's own, or anybody's for the
// platform, which has those of everybody by "". A key sees those of its person that belong where it does.
func (m *Manager) KeysOf(ctx context.Context, user string, limit int, after string) (page store.Page[APIKey], err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return page, rbac.ErrNoActor
	}
	q := store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after}
	if user != "" || !by.Sovereign() {
		u, err := m.User(ctx, user)
		if err != nil {
			return page, err
		}
		q.Where = []store.Cond{store.Eq("user_id", u.ID)}
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		keep := func(k *APIKey) bool { return k.UserID != "" }
		if by.Type == audit.APIKey {
			self, err := apiKeys.Get(ctx, tx, by.ID)
			if err != nil {
				return err
			}
			keep = func(k *APIKey) bool { return k.OrgID == self.OrgID && k.Context() == self.Context() }
		}
		page, err = apiKeys.Filter(ctx, tx, q, keep)
		return err
	})
	return page, err
}
