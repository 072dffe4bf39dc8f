package opengatellm

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
)

// playground is the name of the token that a login makes.
const playground = "playground"

// loginView is the answer of the older generation with the token of a login.
type loginView struct {
	ID  int64  `json:"id"`
	Key string `json:"key"`
}

// login makes a token of who knows the password of an account, in place of the one of the login before. Guesses are slowed, as
// those of every sign-in are.
func (a *api) login(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	for _, name := range []string{"email", "password"} {
		in.required(name)
		in.notNull(name, "string_type", "Input should be a valid string")
	}
	email, password := in.text("email", 1, 254), in.secret("password", 1, signin.MaxPassword)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	if strings.EqualFold(*email, reserved) {
		return a.masterLogin(r, *password)
	}
	var made orgs.Token
	var secret string
	_, err = a.opt.SignIn.Admit(r.Context(), signin.Credentials{Email: *email, Password: *password}, func(ctx context.Context, tx *store.Tx, u orgs.User) error {
		if err := a.mustBeKnown(ctx, tx, u); err != nil { // and signed in nowhere
			return err
		}
		made, secret, err = a.playgroundOf(sovereign(ctx), u)
		return err
	})
	if errors.Is(err, orgs.ErrUnauthenticated) {
		err = a.whyNot(r.Context(), *email)
	}
	if err != nil {
		return answer{}, err
	}
	return a.loggedIn(sovereign(r.Context()), made, secret)
}

// playgroundOf makes the token of a login and ends the one before.
func (a *api) playgroundOf(ctx context.Context, u orgs.User) (t orgs.Token, secret string, err error) {
	all, err := every(func(after string) (store.Page[orgs.Token], error) { return a.Tokens(ctx, u.ID, store.MaxLimit, after) })
	if err != nil {
		return t, "", err
	}
	now := a.Store().Now()
	for _, old := range all {
		if old.Name == playground && old.Dialect == Dialect && old.StatusAt(now) == orgs.KeyActive {
			if _, err := a.RevokeToken(ctx, u.ID, old.ID); err != nil {
				return t, "", err
			}
		}
	}
	ends := now.Add(a.opt.PlaygroundDuration)
	return a.CreateToken(ctx, u.ID, orgs.NewToken{Name: playground, Dialect: Dialect, Prefix: tokenPrefix, ExpiresAt: &ends})
}

func (a *api) loggedIn(ctx context.Context, t orgs.Token, secret string) (answer, error) {
	n, err := a.numbersOf(ctx, tokenNoun, t.ID)
	if err != nil {
		return answer{}, err
	}
	if a.opt.Generation == GenerationA {
		return answer{http.StatusOK, loginView{n[t.ID], secret}}, nil
	}
	shown := ofToken(t, a.Store().Now())
	shown.shown = secret
	v, err := a.renderToken(ctx, shown, n[t.ID], true)
	return answer{http.StatusOK, v}, err
}

// whyNot says what was wrong with a login, as that system does: all of it is one where the host hides who has an account.
func (a *api) whyNot(ctx context.Context, email string) error {
	wrong := &refusal{http.StatusUnauthorized, a.text("Invalid current password.", "Invalid password.")}
	if a.opt.HideUnknownUsers {
		return wrong
	}
	if store.PlainText(email, 300) != email { // nobody's, and nothing to ask a database for
		return &refusal{http.StatusNotFound, "User not found."}
	}
	var u orgs.User
	var has bool
	err := a.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if u, err = orgs.UserByEmail(ctx, tx, email); err == nil {
			err = a.mustBeKnown(ctx, tx, u)
		}
		if err == nil {
			has, err = signin.HasPassword(ctx, tx, u.ID)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &refusal{http.StatusNotFound, "User not found."}
	case err != nil:
		return err
	case !has:
		return &refusal{http.StatusNotFound, "Password not set, please contact an administrator."}
	}
	return wrong
}

func (a *api) hasPassword(ctx context.Context, userID string) (has bool, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		has, err = signin.HasPassword(ctx, tx, userID)
		return err
	})
	return has, err
}

// masterLogin gives the platform's key back to who has it.
func (a *api) masterLogin(r *http.Request, key string) (answer, error) {
	wrong := &refusal{http.StatusUnauthorized, a.text("Invalid current password.", "Invalid password.")}
	if a.opt.NoMasterLogin {
		return answer{}, wrong
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+key)
	by, err := a.opt.Authenticate(r)
	if errors.Is(err, orgs.ErrUnauthenticated) || err == nil && by.Type != audit.Platform {
		return answer{}, wrong
	}
	if err != nil {
		return answer{}, err
	}
	if a.opt.Generation == GenerationA {
		return answer{http.StatusOK, loginView{0, key}}, nil
	}
	return answer{http.StatusOK, cToken{Object: "key", Name: playground, Value: key, Status: orgs.KeyActive}}, nil
}
