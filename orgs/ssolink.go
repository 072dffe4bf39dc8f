package orgs

import (
	"context"

	"github.com/orgkit/orgkit/store"
)

// ssoLink says who somebody is whom the identity provider of an organization knows. It outlives the membership: who was a
// member does not become one again by signing in.
type ssoLink struct {
	store.Meta
	OrgID   string
	Issuer  string
	Subject string
	UserID  string
	Made    bool // the account was made by the first sign-in
}

var ssoLinks = store.Define[ssoLink]("sso_links", "ssl",
	store.Unique("org_id", "issuer", "subject"), store.Unique("org_id", "issuer", "user_id"), store.Index("user_id"), store.Index("org_id"))

// forgetLinks removes the links of a user who is about to go.
func forgetLinks(ctx context.Context, tx *store.Tx, userID string) error {
	for l, err := range ssoLinks.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return err
		}
		if err := ssoLinks.Delete(ctx, tx, l.ID); err != nil {
			return err
		}
	}
	return nil
}
