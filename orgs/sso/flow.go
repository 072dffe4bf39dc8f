package sso

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// flowField is what the cookie of a flow is sealed for.
const flowField = "sso.flow"

// flowCookies is how many sign-ins of one browser can be under way, such as in several tabs. More take the place of older
// ones, so that no page can fill the headers of somebody by beginning for them.
const flowCookies = 8

// flowCookie is the cookie of a flow.
func flowCookie(handle string) string {
	sum := sha256.Sum256([]byte(handle))
	return "__Host-orgkit_sso_" + strconv.Itoa(int(sum[0])%flowCookies)
}

// keepFlow gives the browser what it has to bring along. An answer that is posted comes from the page of the provider, with
// no cookie that is not for such requests.
func (h *handler) keepFlow(w http.ResponseWriter, orgID string, p Protocol, f orgs.SSOFlow) error {
	text, err := h.seal(orgID, flowField, f)
	if err != nil {
		return err
	}
	site := http.SameSiteLaxMode
	if method, _, _ := p.Answer(); method == http.MethodPost {
		site = http.SameSiteNoneMode
	}
	httpapi.KeepCookie(w, flowCookie(f.Handle), text, orgs.SSOFlowFor, site)
	return nil
}

// takeFlow is the flow that an answer belongs to, and takes it from the browser. An answer that belongs to none of the
// browser's is one that nobody has begun, where the configuration allows that: what a provider then sends as a handle is its
// own matter.
func (h *handler) takeFlow(w http.ResponseWriter, r *http.Request, c orgs.SSOConnection, handle string) (f orgs.SSOFlow, err error) {
	now, name := h.m.Store().Now(), flowCookie(handle)
	cookie, err := r.Cookie(name)
	switch {
	case err == nil && h.open(c.ID, flowField, cookie.Value, &f) && f.Handle != "" && subtle.ConstantTimeCompare([]byte(f.Handle), []byte(handle)) == 1:
		httpapi.KeepCookie(w, name, "", 0, http.SameSiteLaxMode)
	case c.Unsolicited:
		return orgs.SSOFlow{StartedAt: now, ReturnTo: h.opt.Home}, nil
	default:
		return orgs.SSOFlow{}, refused("unknown_flow")
	}
	if now.Sub(f.StartedAt) >= orgs.SSOFlowFor || !local(f.ReturnTo) {
		return orgs.SSOFlow{}, refused("flow_expired")
	}
	return f, nil
}
