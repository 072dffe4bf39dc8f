package orgs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// SCIMToken is what the identity provider of an organization shows: it names the organization. Two can live at a time, so
// that one takes the other's place without a gap.
type SCIMToken struct {
	store.Meta
	OrgID     string     `json:"organization_id"`
	Name      string     `json:"name"`
	Hint      string     `json:"hint"` // how it begins, of one that was made here
	Hash      string     `json:"-"`
	ExpiresAt *time.Time `json:"expires_at"`
	OfSSO     bool       `json:"-"` // set with the configuration of single sign-on
}

// AuditResource is how the log names the token.
func (t SCIMToken) AuditResource() audit.Resource {
	return audit.Resource{Type: "scim_token", ID: t.ID}
}

var scimTokens = store.Define[SCIMToken]("scim_tokens", "sct", store.Unique("hash"), store.Index("org_id", "created_at"))

// Limits of tokens of identity providers.
const (
	MaxSCIMTokens   = 2
	MinChosenSecret = 16 // characters
)

const scimPrefix = "ok_scim_"

// NewSCIMToken is the input of [Manager.CreateSCIMToken].
type NewSCIMToken struct {
	Name string
	// Secret is one that the organization has chosen, for providers that bring their own. It is kept under the key of the
	// host, so that not even a weak one can be found out from the database. The zero one is made.
	Secret    seal.Secret
	ExpiresAt *time.Time
}

// CreateSCIMToken makes a token and returns its secret, which is kept nowhere; of one that was chosen, "". It needs
// sso.update. A third one is a *store.ConflictError: one of the others has to be revoked first.
func (m *Manager) CreateSCIMToken(ctx context.Context, org string, in NewSCIMToken) (t SCIMToken, secret string, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return t, "", err
	}
	err = m.Change(ctx, rbac.Op{Action: "sso.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		t = SCIMToken{OrgID: orgID, Name: strings.TrimSpace(in.Name), ExpiresAt: micros(in.ExpiresAt)}
		if err := rbac.CheckText("name", t.Name, 1, rbac.MaxName); err != nil {
			return audit.Change{}, err
		}
		if err := inFuture("expires_at", t.ExpiresAt, tx.Now()); err != nil {
			return audit.Change{}, err
		}
		if err := m.mayHaveToken(ctx, tx, orgID); err != nil {
			return audit.Change{}, err
		}
		if secret, err = m.tokenSecret(ctx, tx, &t, in.Secret); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&t).As("scim.token_created"), scimTokens.Insert(ctx, tx, &t)
	})
	if errors.Is(err, store.ErrExists) { // lost the race to another organization
		err = otherToken
	}
	return t, secret, err
}

// mayHaveToken refuses one more than an organization can have.
func (m *Manager) mayHaveToken(ctx context.Context, tx *store.Tx, orgID string) error {
	live := 0
	for old, err := range scimTokens.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		if err != nil {
			return err
		}
		if old.liveAt(tx.Now()) {
			live++
		}
	}
	if live >= MaxSCIMTokens {
		return &store.ConflictError{Code: "conflict", Message: fmt.Sprintf("an organization has at most %d tokens that work; revoke one first", MaxSCIMTokens)}
	}
	return nil
}

// otherToken says no more than it has to: that another organization has the token.
var otherToken = store.Invalid("secret", "unusable", "choose another token")

// tokenSecret gives the token what it is found by, and answers the secret if it was made here.
func (m *Manager) tokenSecret(ctx context.Context, tx *store.Tx, t *SCIMToken, chosen seal.Secret) (string, error) {
	text := chosen.Reveal()
	if text == "" {
		secret := newSecret(scimPrefix)
		t.Hash, t.Hint = hashSecret(secret), secret[:len(scimPrefix)+4]
		return secret, nil
	}
	if err := checkSecret("secret", text); err != nil {
		return "", err
	}
	if len(text) < MinChosenSecret {
		return "", store.Invalid("secret", "range", "must have at least %d characters", MinChosenSecret)
	}
	if !m.opt.Seal.Ready() {
		return "", noSealingKey("secret")
	}
	hashes, err := m.chosenHashes(text)
	if err != nil {
		return "", err
	}
	for _, h := range hashes {
		if _, err := scimTokens.Find(ctx, tx, store.Eq("hash", h)); err == nil {
			return "", otherToken
		} else if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	t.Hash = hashes[0]
	return "", nil
}

// chosenHashes are what a chosen secret is found by: a code of 128 bits under the key of the host, and under those that it
// had before.
func (m *Manager) chosenHashes(text string) (hashes []string, err error) {
	var halves [2][]uint64
	for i := range halves {
		at := seal.Place{OrgID: "platform", Field: fmt.Sprintf("scim_token.%d", i)} // it says itself whose it is
		if halves[i], err = m.opt.Seal.Marks(text, at); err != nil {
			return nil, err
		}
	}
	for _, a := range halves[0] {
		for _, b := range halves[1] {
			hashes = append(hashes, fmt.Sprintf("chosen:%016x%016x", a, b))
		}
	}
	return hashes, nil
}

func (t SCIMToken) liveAt(now time.Time) bool { return t.ExpiresAt == nil || now.Before(*t.ExpiresAt) }

// SCIMTokens lists the tokens, newest first, without their secrets; [Manager.LastUsed] says when they were used. It needs
// sso.read.
func (m *Manager) SCIMTokens(ctx context.Context, org string, limit int, after string) (page store.Page[SCIMToken], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	err = m.Read(ctx, rbac.Op{Action: "sso.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = scimTokens.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}

// RevokeSCIMToken ends a token at once and for good. It needs sso.update.
func (m *Manager) RevokeSCIMToken(ctx context.Context, org, id string) (t SCIMToken, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return t, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sso.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if t, err = scimTokens.Get(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		if t.OrgID != orgID {
			return audit.Change{}, store.ErrNotFound
		}
		return audit.Deleted(t).As("scim.token_revoked"), scimTokens.Delete(ctx, tx, id)
	})
	return t, err
}

// AuthenticateSCIM returns the identity provider whose token the secret is, as an actor of its organization. One that is
// unknown, of an organization that is not provisioned, or deleted, is an *[AuthError], as is one that has expired.
func (m *Manager) AuthenticateSCIM(ctx context.Context, secret string) (a audit.Actor, err error) {
	if secret == "" {
		return a, &AuthError{Code: "missing_api_key"}
	}
	hashes := []string{hashSecret(secret)}
	if !strings.HasPrefix(secret, scimPrefix) && m.opt.Seal.Ready() {
		if hashes, err = m.chosenHashes(secret); err != nil {
			return a, err
		}
	}
	var t SCIMToken
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		t = SCIMToken{}
		for _, h := range hashes {
			if t, err = scimTokens.Find(ctx, tx, store.Eq("hash", h)); err == nil {
				break
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if t.ID == "" {
			return &AuthError{Code: "invalid_api_key"}
		}
		if !t.liveAt(tx.Now()) {
			return &AuthError{"expired_api_key", "expired"}
		}
		p, err := provisioningOf(ctx, tx, t.OrgID)
		if err != nil {
			return err
		}
		gone, err := isGone(ctx, tx, t.OrgID)
		if err != nil {
			return err
		}
		if !p.Enabled || gone {
			return &AuthError{"invalid_api_key", "not_provisioned"}
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	a = audit.Actor{Type: audit.SCIM, ID: t.ID, Label: t.Name, OrgID: t.OrgID}
	_ = m.noteUse(audit.WithActor(ctx, a.From(ctx)), t.OrgID, t.ID, nil) // what fails here must not fail the request
	return a, nil
}
