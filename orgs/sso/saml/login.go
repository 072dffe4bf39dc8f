package saml

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// orgID is what the id of an organization looks like.
var orgID = regexp.MustCompile(`^org_[A-Za-z0-9]{1,60}$`)

// maxReturnTo is how many bytes a path has that a browser comes back to; cookies are not made for more.
const maxReturnTo = 1024

// local is the path of this host that a browser may be sent to, "" where the text is none: not another host in any of the
// ways in which browsers read one.
func local(to string) string {
	if len(to) > maxReturnTo || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") ||
		strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7F }) {
		return ""
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, "/\\") {
		return ""
	}
	return to
}

func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	to := h.opt.StartPage
	if asked := r.URL.Query().Get("return_to"); asked != "" {
		if to = local(asked); to == "" {
			h.page(w, r, http.StatusBadRequest)
			return
		}
	}
	request, s, err := h.begin(r, to)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := h.send(w, r, request, s); err != nil {
		h.fail(w, r, err)
	}
}

// begin makes a request of the organization of the path, and what is kept for its answer.
func (h *Handler) begin(r *http.Request, returnTo string) (*AuthnRequest, *state, error) {
	settings, c, err := h.connection(r.Context(), r.PathValue("org"))
	if err != nil {
		return nil, nil, err
	}
	request, err := NewRequest(c, h.m.Store().Now())
	if err != nil {
		return nil, nil, err
	}
	return request, &state{Handle: newHandle(), OrgID: settings.ID, Request: request.Request, ReturnTo: returnTo}, nil
}

// send gives the browser what it keeps, and sends it to the identity provider.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, request *AuthnRequest, s *state) error {
	if !request.connection.PostRequests {
		to, err := request.Redirect(s.Handle, h.opt.Signer)
		if err != nil {
			return err
		}
		if err := h.keep(w, s); err != nil {
			return err
		}
		closed(w)
		http.Redirect(w, r, to, http.StatusFound)
		return nil
	}
	field, err := request.Form(h.opt.Signer)
	if err != nil {
		return err
	}
	if err := h.keep(w, s); err != nil {
		return err
	}
	closed(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", formPolicy)
	return formPage.Execute(w, map[string]string{"URL": request.connection.SSOURL, "Request": field, "RelayState": s.Handle})
}

// test begins a sign-in that only tries the connection, for an administrator in their browser. The answer has the URL to
// go to.
func (h *Handler) test(w http.ResponseWriter, r *http.Request) {
	by, _ := audit.ActorFrom(r.Context())
	if by.Type != audit.User {
		httpapi.WriteError(w, r, &rbac.Denied{Code: "permission_denied", Action: "sso.update",
			Decision: rbac.Decision{Remedy: []string{"sign in as a person"}}}, h.opt.HTTP)
		return
	}
	settings, err := h.m.SSO(r.Context(), r.PathValue("org")) // who may not read it finds nothing
	if err == nil && !settings.Enabled {
		err = &store.ConflictError{Code: "sso_disabled", Message: "enable the configuration first: nobody is refused a password for its sake before it has proved itself"}
	}
	var request *AuthnRequest
	var s *state
	if err == nil {
		request, s, err = h.begin(r, h.opt.StartPage)
	}
	var to string
	if err == nil {
		s.TriedBy = &triedBy{ID: by.ID, Label: by.Label}
		to, err = request.Redirect(s.Handle, h.opt.Signer)
	}
	if err == nil {
		err = h.keep(w, s)
	}
	if err != nil {
		httpapi.WriteError(w, r, err, h.opt.HTTP)
		return
	}
	write(w, http.StatusOK, map[string]string{"url": to})
}

// Trial is what the browser of an administrator sees of a sign-in that was only tried. Nothing of it was kept, but that the
// connection works.
type Trial struct {
	Accepted      bool     `json:"accepted"`
	Code          string   `json:"code,omitempty"`   // why not: see the package's doc, and orgs.SSORefused
	Reason        string   `json:"reason,omitempty"` // the same, in words
	Subject       string   `json:"subject,omitempty"`
	Format        string   `json:"name_id_format,omitempty"`
	Email         string   `json:"email,omitempty"`
	Name          string   `json:"name,omitempty"`
	Groups        []string `json:"groups,omitempty"`
	GroupsUnknown bool     `json:"groups_unknown,omitempty"`
	Roles         []string `json:"roles,omitempty"`
	Context       string   `json:"authn_context,omitempty"`
	AccountMade   bool     `json:"account_made"` // would be
	Joined        bool     `json:"joined"`       // would
}

func write(w http.ResponseWriter, status int, v any) {
	closed(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone hears nothing
}

// reason is the code of a refusal, "" where the error is none.
func reason(err error) (code, words string) {
	var protocol *Refused
	var refused *orgs.SSORefused
	switch {
	case errors.As(err, &protocol):
		return protocol.Code, protocol.Message
	case errors.As(err, &refused):
		return refused.Code, refused.Error()
	}
	return "", ""
}
