package rbac

import (
	"net/netip"

	"github.com/orgkit/orgkit/store"
)

// State of an organization or team.
type State string

// The states.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Archived  State = "archived"
	Gone      State = "deleted"
)

// Scope is what decisions need to know of an organization; its id is the organization's. The
// organization's own record is kept on a higher floor, which writes both in one unit.
//
// Revision counts the changes of everything that decisions in this organization depend on. It is
// raised by [Guard.Change] alone, as the last statement of its unit.
type Scope struct {
	store.Meta
	Zone     string `json:"zone"` // IANA name
	State    State  `json:"state"`
	Revision int64  `json:"revision"`

	// The organization's rules for people who sign in (F322): addresses that management calls must
	// come from, none for no limit; whether the data plane is bound by them too; and whether a
	// session needs a second factor.
	AllowedIPs     []string `json:"allowed_ips"`
	AllowedIPsData bool     `json:"allowed_ips_data"`
	RequireMFA     bool     `json:"require_mfa"`
}

// Scopes holds the scope of each organization. Only the floor above writes it, inside
// [Guard.Change].
var Scopes = store.Define[Scope]("scopes", "org")

// Admits says whether a management call may come from this address.
func (s Scope) Admits(ip netip.Addr) bool {
	return len(s.AllowedIPs) == 0 || InRanges(ip, s.AllowedIPs)
}

// InRanges says whether the address lies in one of the ranges (CIDR or single addresses, checked
// when they were written). An IPv4 address in IPv6 form is the IPv4 address; a zone is ignored.
// The invalid address lies nowhere.
func InRanges(ip netip.Addr, ranges []string) bool {
	if !ip.IsValid() {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, r := range ranges {
		if p, err := ParseRange(r); err == nil && p.Contains(ip) {
			return true
		}
	}
	return false
}

// ParseRange reads a CIDR or a single address.
func ParseRange(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
