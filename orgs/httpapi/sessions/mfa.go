package sessions

import (
	"net/http"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

func (a *api) mfa(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	user, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	m, err := a.MFA(r.Context(), user)
	return http.StatusOK, mfaView{m.EnrolledAt != nil, httpapi.StampOf(m.EnrolledAt), m.RecoveryCodes}, err
}

// oneself lets nobody in but for themselves: what follows is of the session of the caller.
func (a *api) oneself(r *http.Request) error {
	user, err := named(r)
	if err != nil {
		return err
	}
	u, err := a.m.User(r.Context(), user)
	if err == nil && u.ID != actor(r).Person() {
		err = store.ErrNotFound
	}
	return err
}

func (a *api) enrol(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	if err := a.oneself(r); err != nil {
		return 0, nil, err
	}
	if err := read(r, nil); err != nil {
		return 0, nil, err
	}
	e, err := a.Enrol(r.Context())
	return http.StatusCreated, enrolmentView{&e.Secret, &e.URL}, err
}

func (a *api) confirmMFA(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	if err := a.oneself(r); err != nil {
		return 0, nil, err
	}
	var code string
	if err := read(r, map[string]any{"code": &code}); err != nil {
		return 0, nil, err
	}
	codes, err := a.ConfirmMFA(r.Context(), code)
	return http.StatusOK, recoveryView{codes}, err
}

func (a *api) recoveryCodes(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	if err := a.oneself(r); err != nil {
		return 0, nil, err
	}
	if err := read(r, nil); err != nil {
		return 0, nil, err
	}
	codes, err := a.NewRecoveryCodes(r.Context())
	return http.StatusCreated, recoveryView{codes}, err
}

func (a *api) removeMFA(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	user, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	if err := a.RemoveMFA(r.Context(), user); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, mfaView{}, nil
}
