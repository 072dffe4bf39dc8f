package sso

import (
	"net/http"
	"net/netip"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// slow refuses what comes too often to an organization from one address; of IPv6 that is the network of one customer. It is
// an *orgs.TooManyTries.
func (h *handler) slow(r *http.Request, orgID string) error {
	from := httpapi.ClientIP(r, h.opt.TrustedProxies)
	if from.Is6() && !from.Is4In6() {
		if net, err := from.Prefix(64); err == nil {
			from = net.Addr()
		}
	} else {
		from = from.Unmap()
	}
	wait := h.limiter.Take(orgID+" "+address(from), 1, h.m.Store().Now(), float64(h.opt.RequestsPerSecond), h.opt.Burst)
	if wait > 0 {
		return &orgs.TooManyTries{RetryAfter: wait}
	}
	return nil
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.WithZone("").String()
}
