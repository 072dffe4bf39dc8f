package orgs

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// The names of the tokens that come with a configuration: the one that was set last, and the one before it, which works on until
// the identity provider has the new one (F187).
const (
	ssoTokenName       = "sso"
	ssoTokenBeforeName = "sso, before the last change"
)

// ssoTokens are those that were set with the configuration, of which there may be none.
func ssoTokens(ctx context.Context, tx *store.Tx, orgID string) (now, before *SCIMToken, err error) {
	for t, err := range scimTokens.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		switch {
		case err != nil:
			return nil, nil, err
		case t.OfSSO && t.Name == ssoTokenName:
			now = &t
		case t.OfSSO:
			before = &t
		}
	}
	return now, before, nil
}

// setSSOToken sets the token of the configuration, or removes it and the one before. The one that it takes the place of works
// on, if there is room for both, until there is another change, or it is revoked.
func (m *Manager) setSSOToken(ctx context.Context, tx *store.Tx, orgID string, secrets map[string]*seal.Secret) error {
	secret, given := secrets[secretOfSCIM]
	if !given {
		return nil
	}
	now, before, err := ssoTokens(ctx, tx, orgID)
	if err != nil {
		return err
	}
	if secret != nil && now != nil && m.opt.Seal.Ready() {
		if hashes, err := m.chosenHashes(secret.Reveal()); err != nil {
			return err
		} else if slices.Contains(hashes, now.Hash) {
			return nil
		}
	}
	if before != nil {
		if err := scimTokens.Delete(ctx, tx, before.ID); err != nil {
			return err
		}
	}
	if now != nil {
		if err := m.retireToken(ctx, tx, now, secret != nil); err != nil {
			return err
		}
	}
	if secret == nil {
		return nil
	}
	if secret.Reveal() == "" {
		return store.Invalid(secretOfSCIM, "range", "must have at least %d characters", MinChosenSecret)
	}
	t := SCIMToken{OrgID: orgID, Name: ssoTokenName, OfSSO: true}
	if err := m.mayHaveToken(ctx, tx, orgID); err != nil {
		return err
	}
	if _, err := m.tokenSecret(ctx, tx, &t, *secret); err != nil {
		var fault *store.FieldError
		if errors.As(err, &fault) {
			err = store.Invalid(secretOfSCIM, fault.Code, "%s", fault.Message)
		}
		return err
	}
	return scimTokens.Insert(ctx, tx, &t)
}

// retireToken lets a token be the one before, where another comes and there is room for both; else it ends.
func (m *Manager) retireToken(ctx context.Context, tx *store.Tx, t *SCIMToken, another bool) error {
	var full *store.ConflictError
	if err := m.mayHaveToken(ctx, tx, t.OrgID); err != nil && !errors.As(err, &full) {
		return err
	}
	if !another || full != nil {
		return scimTokens.Delete(ctx, tx, t.ID)
	}
	t.Name = ssoTokenBeforeName
	return scimTokens.Update(ctx, tx, t)
}
