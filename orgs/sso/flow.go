package sso

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// flowField is what the cookie of a flow is sealed for.
const flowField = "sso.flow"

// flowCookie is the cookie of a flow. Each has one of its own, so that people may sign in in several tabs.
func flowCookie(handle string) string {
	sum := sha256.Sum256([]byte(handle))
	return "__Host-orgkit_sso_" + hex.EncodeToString(sum[:8])
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

// takeFlow is the flow that an answer belongs to, and takes it from the browser. Without a handle it is one that nobody has
// begun, where the configuration allows that.
func (h *handler) takeFlow(w http.ResponseWriter, r *http.Request, c orgs.SSOConnection, handle string) (f orgs.SSOFlow, err error) {
	now := h.m.Store().Now()
	if handle == "" && c.Unsolicited {
		return orgs.SSOFlow{StartedAt: now, ReturnTo: h.opt.Home}, nil
	}
	name := flowCookie(handle)
	cookie, err := r.Cookie(name)
	if err != nil || handle == "" {
		return f, refused("unknown_flow")
	}
	httpapi.KeepCookie(w, name, "", 0, http.SameSiteLaxMode)
	switch {
	case !h.open(c.ID, flowField, cookie.Value, &f), subtle.ConstantTimeCompare([]byte(f.Handle), []byte(handle)) != 1:
		return f, refused("unknown_flow")
	case now.Sub(f.StartedAt) >= orgs.SSOFlowFor, !local(f.ReturnTo):
		return f, refused("flow_expired")
	}
	return f, nil
}
