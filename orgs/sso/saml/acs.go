package saml

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	xsaml "github.com/crewjam/saml"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// maxForm is the most bytes of a form with a response.
const maxForm = 512 << 10

// acs takes the answer of an identity provider (SAML profiles §4.1.4.3). Whoever is refused sees one page, whatever for; the
// log of the organization has the reason.
func (h *Handler) acs(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	r = r.WithContext(ctx)
	settings, c, err := h.connection(ctx, r.PathValue("org"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer func() {
		if recover() != nil {
			h.m.SSOFailed(ctx, settings.ID, "malformed")
			h.page(w, r, http.StatusForbidden)
		}
	}()
	raw, relay, err := form(w, r)
	if err != nil {
		h.m.SSOFailed(ctx, settings.ID, "form")
		h.page(w, r, http.StatusBadRequest)
		return
	}
	s := h.kept(w, r, settings.ID, relay)
	var req *Request
	if s != nil {
		req = &s.Request
	}
	id, err := Verify(c, req, h.m.Store().Now(), raw)
	if s != nil && s.TriedBy != nil {
		h.tried(w, r, settings, s, id, err)
		return
	}
	if err != nil {
		h.refused(w, r, settings.ID, err)
		return
	}
	in, err := h.m.SignInAsserted(ctx, asserted(settings, req, id), h.opt.Lifetime)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	to := h.opt.StartPage
	if s != nil && local(s.ReturnTo) != "" {
		to = s.ReturnTo
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: in.Token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(in.Session.ExpiresAt.Sub(h.m.Store().Now()) / time.Second)})
	closed(w)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// form reads the two fields of the POST binding, each at most once (SAML bindings §3.5.4).
func form(w http.ResponseWriter, r *http.Request) (raw []byte, relay string, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return nil, "", errors.New("not a form")
	}
	if err := r.ParseForm(); err != nil {
		return nil, "", err
	}
	f := r.PostForm
	if len(f["SAMLResponse"]) != 1 || len(f["RelayState"]) > 1 {
		return nil, "", errors.New("not the fields of a response")
	}
	raw, err = base64.StdEncoding.Strict().DecodeString(f.Get("SAMLResponse"))
	return raw, f.Get("RelayState"), err
}

// asserted is what the sign-in of package orgs is told.
func asserted(c orgs.SSOConnection, req *Request, id Identity) orgs.Asserted {
	in := orgs.Asserted{
		OrgID: c.ID, Issuer: id.Issuer, Subject: id.Subject, Transient: id.Format != Persistent,
		Email: id.Email, EmailVerified: true, Name: id.Name, // the domain has to be the organization's
		Groups: id.Groups, GroupsUnknown: !id.GroupsKnown,
		AuthenticatedAt: id.AuthenticatedAt, Context: id.Context, SessionIndex: id.SessionIndex, EndsAt: id.SessionUntil,
		Once: []orgs.Once{{Key: "assertion:" + id.AssertionID, Until: id.ReplayUntil}, {Key: "response:" + id.ResponseID, Until: id.ReplayUntil}},
	}
	if in.Email == "" && id.Format == string(xsaml.EmailAddressNameIDFormat) {
		in.Email = id.Subject
	}
	if req != nil {
		in.Once = append(in.Once, orgs.Once{Key: "request:" + req.ID, Until: req.IssuedAt.Add(RequestFor)})
	}
	for _, context := range c.MFAContexts {
		if context == id.Context {
			in.MFAVerifiedAt = &id.AuthenticatedAt
		}
	}
	return in
}

// tried tells an administrator what would have been. What the permission is for is asked with the rights that they have now.
func (h *Handler) tried(w http.ResponseWriter, r *http.Request, c orgs.SSOConnection, s *state, id Identity, err error) {
	out := Trial{Subject: id.Subject, Format: id.Format, Email: id.Email, Name: id.Name, Groups: id.Groups, Context: id.Context}
	if err == nil {
		by := audit.Actor{Type: audit.User, ID: s.TriedBy.ID, Label: s.TriedBy.Label}
		var in orgs.AssertedSignIn
		in, err = h.m.TryAsserted(audit.WithActor(r.Context(), by.From(r.Context())), asserted(c, &s.Request, id))
		out.GroupsUnknown, out.Roles, out.AccountMade, out.Joined = in.GroupsUnknown, in.Roles, in.Made, in.Joined
	} else {
		h.m.SSOFailed(r.Context(), c.ID, refusal(err))
	}
	out.Accepted = err == nil
	if out.Code, out.Reason = reason(err); err != nil && out.Code == "" {
		h.fail(w, r, err)
		return
	}
	write(w, http.StatusOK, out)
}

func refusal(err error) string {
	code, _ := reason(err)
	return code
}

// refused tells the log why, and the browser nothing.
func (h *Handler) refused(w http.ResponseWriter, r *http.Request, orgID string, err error) {
	code := refusal(err)
	if code == "" {
		h.fail(w, r, err)
		return
	}
	h.m.SSOFailed(r.Context(), orgID, code)
	h.page(w, r, http.StatusForbidden)
}

// fail answers for an error that is no matter of the protocol.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *orgs.SSORefused
	var denied *rbac.Denied
	switch {
	case errors.Is(err, store.ErrNotFound):
		h.page(w, r, http.StatusNotFound)
	case errors.As(err, &refused), errors.As(err, &denied):
		h.page(w, r, http.StatusForbidden)
	default:
		if o := h.opt.HTTP; o != nil && o.Fail != nil {
			o.Fail(r, err)
		}
		h.page(w, r, http.StatusInternalServerError)
	}
}
