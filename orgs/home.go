package orgs

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// HomeOf is the organization that a person is at home in, where there can be but one: that which they were given, as long as they
// are a member of it, else the one that they have been in for longest, "" for none. It asks no permission: it serves the floors
// above, which have read the person.
func HomeOf(ctx context.Context, tx *store.Tx, u User) (id string, err error) {
	var since time.Time
	for m, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", u.ID)}}) {
		if err != nil {
			return "", err
		}
		if m.TeamID != "" || id != "" && id == u.HomeID {
			continue
		}
		chain, err := rbac.Lineage(ctx, tx, m.OrgID)
		if err != nil {
			return "", err
		}
		if rbac.Effective(chain) != rbac.Gone && (id == "" || m.OrgID == u.HomeID || m.CreatedAt.Before(since)) {
			id, since = m.OrgID, m.CreatedAt
		}
	}
	return id, nil
}
