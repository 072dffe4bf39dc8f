package sessions

import (
	"errors"
	"net/http"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
)

// setPassword changes one's own password, or, for the platform, sets that of anybody, by itself or by its hash.
func (a *api) setPassword(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	user, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	var in struct{ current, password, hash string }
	if err := read(r, map[string]any{"current_password": &in.current, "password": &in.password, "hash": &in.hash}); err != nil {
		return 0, nil, err
	}
	if !actor(r).Sovereign() {
		if err := a.oneself(r); err != nil {
			return 0, nil, err
		}
		if in.hash != "" {
			return 0, nil, faulty("body.hash", "forbidden", "is for the platform")
		}
		return http.StatusOK, changedView{true}, a.ChangePassword(r.Context(), in.current, in.password)
	}
	switch {
	case in.current != "":
		return 0, nil, faulty("body.current_password", "forbidden", "is for who changes their own")
	case in.hash != "" && in.password != "":
		return 0, nil, faulty("body.hash", "forbidden", "cannot be given beside a password")
	case in.hash != "":
		return http.StatusOK, changedView{true}, a.ImportPassword(r.Context(), user, in.hash)
	}
	return http.StatusOK, changedView{true}, a.SetPassword(r.Context(), user, in.password)
}

// requestReset answers alike whoever there is.
func (a *api) requestReset(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	var email string
	if err := read(r, map[string]any{"email": &email}); err != nil {
		return 0, nil, err
	}
	err := a.RequestReset(r.Context(), email)
	if errors.Is(err, signin.ErrNoMail) {
		err = &store.ConflictError{Code: "conflict", Message: "no mail is sent here; ask the operator of the platform for a link"}
	}
	return http.StatusOK, requestedView{true}, err
}

func (a *api) confirmReset(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	var in struct{ token, password string }
	if err := read(r, map[string]any{"token": &in.token, "password": &in.password}); err != nil {
		return 0, nil, err
	}
	if in.token == "" {
		return 0, nil, faulty("body.token", "required", "is required")
	}
	return http.StatusOK, changedView{true}, a.ResetPassword(r.Context(), in.token, in.password)
}

func (a *api) newReset(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	user, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	if err := read(r, nil); err != nil {
		return 0, nil, err
	}
	token, err := a.NewReset(r.Context(), user)
	return http.StatusCreated, resetView{&token, httpapi.Stamp(a.m.Store().Now().Add(signin.ResetFor))}, err
}
