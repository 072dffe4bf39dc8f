package saml

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/orgkit/orgkit/store/seal"
)

// state is what the browser keeps between a request and its answer, sealed for the organization: so an answer counts in
// the browser that has asked for it alone, and nothing is written down for who never comes back. It is in a cookie of its
// own, used for nothing else, since the answer is posted by a page of another site: SameSite=None.
type state struct {
	Handle   string   `json:"h"` // the relay state
	OrgID    string   `json:"-"` // what it is sealed for
	Request  Request  `json:"r"`
	ReturnTo string   `json:"to"`
	TriedBy  *triedBy `json:"by,omitempty"` // an administrator, where nobody is to be signed in
}

type triedBy struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// stateCookies is how many sign-ins of one browser can be under way, such as in several tabs. More take the place of older
// ones: a page that starts many for somebody fills no header.
const stateCookies = 8

func newHandle() string {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

// cookieOf is the name of the cookie of a handle, "" where the text is no handle.
func cookieOf(handle string) string {
	b, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil || len(b) != 24 {
		return ""
	}
	return "__Host-orgkit_saml_" + strconv.Itoa(int(b[0]%stateCookies))
}

func place(orgID string) seal.Place { return seal.Place{OrgID: orgID, Field: "sso.saml_request"} }

func (h *Handler) keep(w http.ResponseWriter, s *state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	box, err := h.opt.Seal.SealPayload(b, place(s.OrgID))
	if err != nil {
		return err
	}
	setState(w, cookieOf(s.Handle), base64.RawURLEncoding.EncodeToString(box), int(RequestFor.Seconds()))
	return nil
}

func setState(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode})
}

// kept is what this browser keeps for the relay state of an answer, nil for nothing that is of this organization. It is
// forgotten with the answer.
func (h *Handler) kept(w http.ResponseWriter, r *http.Request, orgID, handle string) *state {
	name := cookieOf(handle)
	if name == "" {
		return nil
	}
	c, err := r.Cookie(name)
	if err != nil {
		return nil
	}
	box, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil
	}
	b, err := h.opt.Seal.OpenPayload(box, place(orgID))
	if err != nil {
		return nil
	}
	s := state{OrgID: orgID}
	if json.Unmarshal(b, &s) != nil || s.Handle != handle || s.Request.ID == "" {
		return nil
	}
	setState(w, name, "", -1)
	return &s
}
