package sessions

import (
	"net/http"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/signin"
)

func actor(r *http.Request) audit.Actor {
	a, _ := audit.ActorFrom(r.Context())
	return a
}

func (a *api) signIn(w http.ResponseWriter, r *http.Request) (int, any, error) {
	var in struct {
		email, password, organization, device string
		cookie                                bool
	}
	if err := read(r, map[string]any{"email": &in.email, "password": &in.password, "organization": &in.organization, "device": &in.device, "cookie": &in.cookie}); err != nil {
		return 0, nil, err
	}
	if in.cookie { // nobody's page signs somebody in as somebody else
		if err := sameOrigin(a.origins, r); err != nil {
			return 0, nil, err
		}
	}
	out, err := a.SignIn(r.Context(), signin.Credentials{Email: in.email, Password: in.password, Organization: in.organization, Device: device(r, in.device)})
	if err != nil {
		return 0, nil, err
	}
	s, u := out.Session, out.User
	v := signedInView{SessionView: render(s, audit.Actor{SessionID: s.ID}), MFARequired: out.MFARequired, Token: out.Token, Device: out.Device,
		User: personView{u.ID, u.Email, u.Name, u.EmailVerified, u.State}}
	if in.cookie {
		keep(w, SessionCookie, out.Token, 0) // until the browser is closed, or the session ends
		if v.Token = ""; v.Device != "" {
			keep(w, DeviceCookie, out.Device, deviceFor)
			v.Device = ""
		}
	}
	w.Header().Set("Location", a.opt.Prefix+"/v1/sessions/"+s.ID)
	return http.StatusCreated, v, nil
}

func (a *api) verify(w http.ResponseWriter, r *http.Request) (int, any, error) {
	var in struct{ code, recovery, device string }
	if err := read(r, map[string]any{"code": &in.code, "recovery_code": &in.recovery, "device": &in.device}); err != nil {
		return 0, nil, err
	}
	s, fresh, err := a.VerifyMFA(r.Context(), signin.Proof{Code: in.code, Recovery: in.recovery, Device: device(r, in.device)})
	if err != nil {
		return 0, nil, err
	}
	if _, browser := cookie(r); browser && fresh != "" {
		keep(w, DeviceCookie, fresh, deviceFor)
		fresh = ""
	}
	return http.StatusOK, verifiedView{render(s, actor(r)), fresh}, nil
}

func (a *api) sessions(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	user, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	limit, after, err := page(r)
	if err != nil {
		return 0, nil, err
	}
	found, err := a.m.Sessions(r.Context(), user, limit, after)
	if err != nil {
		return 0, nil, err
	}
	v := listView{Data: []SessionView{}, HasMore: found.Next != ""}
	for _, s := range found.Items {
		v.Data = append(v.Data, render(s, actor(r)))
	}
	if v.HasMore {
		v.NextCursor = &found.Next
	}
	return http.StatusOK, v, nil
}

// which is the session of the path.
func which(r *http.Request) (user, id string, err error) {
	if user, err = named(r); err != nil {
		return "", "", err
	}
	if id, err = part(r, "session", "current"); err != nil {
		return "", "", err
	}
	_, err = query(r)
	return user, id, err
}

func (a *api) session(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	user, id, err := which(r)
	if err != nil {
		return 0, nil, err
	}
	s, err := a.m.Session(r.Context(), user, id)
	return http.StatusOK, render(s, actor(r)), err
}

func (a *api) signOut(w http.ResponseWriter, r *http.Request) (int, any, error) {
	user, id, err := which(r)
	if err != nil {
		return 0, nil, err
	}
	s, err := a.m.EndSession(r.Context(), user, id)
	if err != nil {
		return 0, nil, err
	}
	if _, browser := cookie(r); browser && s.ID == actor(r).SessionID {
		keep(w, SessionCookie, "", 0)
	}
	return http.StatusOK, endedView{1}, nil
}

func (a *api) signOutEverywhere(w http.ResponseWriter, r *http.Request) (int, any, error) {
	user, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	q, err := query(r, "keep_current")
	if err != nil {
		return 0, nil, err
	}
	others := q.Get("keep_current") == "true"
	if !others && q.Get("keep_current") != "" && q.Get("keep_current") != "false" {
		return 0, nil, faulty("query.keep_current", "enum", "must be true or false")
	}
	n, err := a.m.EndSessions(r.Context(), user, others)
	if err != nil {
		return 0, nil, err
	}
	if _, browser := cookie(r); browser && !others {
		keep(w, SessionCookie, "", 0)
	}
	return http.StatusOK, endedView{n}, nil
}
