package opengatellm

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
)

// createOwnKey makes a token of who calls by one, or by a session: no key of theirs does, which has fewer rights.
func (a *api) createOwnKey(r *http.Request) (answer, error) {
	f, err := a.tokenForm(r, false)
	if err != nil {
		return answer{}, err
	}
	u, err := a.account(r.Context())
	if err != nil {
		return answer{}, err
	}
	t, secret, err := a.makeToken(r.Context(), u, f)
	if err != nil {
		return answer{}, err
	}
	return a.newToken(r.Context(), t, secret, true)
}

func (a *api) ownKeys(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	return a.listTokens(r.Context(), in, func(ctx context.Context) (string, bool, error) {
		u, there, err := a.self(ctx)
		return u.ID, there, err
	}, true)
}

// ownKeyAt finds the token of the path; that of somebody else does not exist, nor, to a key of a project, what is not of it.
func (a *api) ownKeyAt(r *http.Request) (t token, n int64, err error) {
	if n, err = a.pathID(r, "token"); err != nil {
		return t, n, err
	}
	ctx := r.Context()
	u, there, err := a.self(ctx)
	if err != nil {
		return t, n, err
	}
	if !there {
		return t, n, a.missing("Token", n)
	}
	if t, err = a.tokenNumbered(ctx, n, u.ID); err != nil {
		return t, n, err
	}
	if by, _ := audit.ActorFrom(ctx); by.Type == audit.APIKey {
		self, err := a.APIKey(sovereign(ctx), by.ID)
		if err != nil {
			return t, n, err
		}
		if t.orgID != self.OrgID || t.projectID != self.ProjectID {
			return t, n, a.missing("Token", n)
		}
	}
	return t, n, nil
}

func (a *api) ownKey(r *http.Request) (answer, error) {
	t, n, err := a.ownKeyAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderToken(r.Context(), t, n, true)
	return answer{http.StatusOK, v}, err
}

func (a *api) deleteOwnKey(r *http.Request) (answer, error) {
	if _, err := a.account(r.Context()); err != nil {
		return answer{}, err
	}
	t, n, err := a.ownKeyAt(r)
	if err == nil {
		t, err = a.end(r.Context(), t)
	}
	if err != nil {
		return answer{}, err
	}
	return a.changed(func() (any, error) { return a.renderToken(r.Context(), t, n, true) })
}

// renameOwnKey gives a token another name.
func (a *api) renameOwnKey(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.required("name")
	in.notNull("name", "string_type", "Input should be a valid string")
	name := in.text("name", 1, maxName)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	if _, err := a.account(r.Context()); err != nil {
		return answer{}, err
	}
	t, n, err := a.ownKeyAt(r)
	if err != nil {
		return answer{}, err
	}
	if t.isKey() {
		_, err = a.UpdateAPIKey(r.Context(), t.id, orgs.KeyUpdate{Name: name})
	} else {
		_, err = a.UpdateToken(r.Context(), t.userID, t.id, orgs.TokenUpdate{Name: name})
	}
	if t.name = *name; err != nil {
		return answer{}, a.orMissing(err, "Token", n)
	}
	v, err := a.renderToken(r.Context(), t, n, true)
	return answer{http.StatusOK, v}, err
}
