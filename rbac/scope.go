package rbac

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

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
// Revision counts the changes of everything of this organization that decisions depend on. It is
// raised by [Guard.Change] alone, as the last statement of its unit. Decisions depend on the
// organizations above as well: see [Revision].
type Scope struct {
	store.Meta
	ParentID string `json:"parent_id"` // "" for a root
	Zone     string `json:"zone"`      // IANA name
	State    State  `json:"state"`
	Revision int64  `json:"revision"`
	Trail    string `json:"-"` // what the last revisions changed

	// The organization's rules for people who sign in (F322): addresses that management calls must
	// come from, none for no limit; whether the data plane is bound by them too; whether a
	// session needs a second factor; and after how many minutes without a call it ends, 0 for
	// [DefaultSessionMinutes].
	AllowedIPs     []string `json:"allowed_ips"`
	AllowedIPsData bool     `json:"allowed_ips_data"`
	RequireMFA     bool     `json:"require_mfa"`
	SessionMinutes int      `json:"session_minutes"`
}

// DefaultSessionMinutes is for how long a session may be idle where the organization says nothing.
const DefaultSessionMinutes = 60

// SessionTimeout is for how long a session of a member may be idle.
func (s Scope) SessionTimeout() time.Duration {
	return time.Duration(cmp.Or(s.SessionMinutes, DefaultSessionMinutes)) * time.Minute
}

// Scopes holds the scope of each organization. Only the floor above writes it, inside
// [Guard.Change].
var Scopes = store.Define[Scope]("scopes", "org", store.Index("parent_id"))

// MaxDepth is the most organizations from a root down to a leaf.
const MaxDepth = 32

// Lineage returns the scopes from an organization up to its root, itself first. Parents are pointers, so
// moving a subtree writes one row however large it is.
func Lineage(ctx context.Context, tx *store.Tx, orgID string) ([]Scope, error) {
	scope, err := Scopes.Get(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	return lineage(ctx, tx, scope)
}

func lineage(ctx context.Context, tx *store.Tx, scope Scope) ([]Scope, error) {
	chain := []Scope{scope}
	for scope.ParentID != "" {
		var err error
		if scope, err = Scopes.Get(ctx, tx, scope.ParentID); err != nil {
			return nil, fmt.Errorf("parent of %s: %w", chain[len(chain)-1].ID, err)
		}
		if chain = append(chain, scope); len(chain) > 2*MaxDepth { // twice: moves that meet may build a deeper one
			return nil, fmt.Errorf("organization %s has no root", chain[0].ID)
		}
	}
	return chain, nil
}

// Descendants returns the scopes below an organization, level by level from its children on.
func Descendants(ctx context.Context, tx *store.Tx, orgID string) (levels [][]Scope, err error) {
	for parents := []string{orgID}; len(parents) > 0; {
		var level []Scope
		for some := range slices.Chunk(parents, store.MaxLimit) {
			for s, err := range Scopes.All(ctx, tx, store.Query{Where: []store.Cond{store.In("parent_id", some)}}) {
				if err != nil {
					return nil, err
				}
				level = append(level, s)
			}
		}
		parents = nil
		for _, s := range level {
			parents = append(parents, s.ID)
		}
		if len(level) > 0 {
			levels = append(levels, level)
		}
		if len(levels) > 2*MaxDepth {
			return nil, fmt.Errorf("organization %s lies below itself", orgID)
		}
	}
	return levels, nil
}

// Effective is the state of an organization by all of its lineage: what is suspended or deleted takes
// everything below with it, and gives it back as it was.
func Effective(chain []Scope) State {
	state := Active
	for _, s := range chain {
		switch s.State {
		case Gone:
			return Gone
		case Suspended:
			state = Suspended
		}
	}
	return state
}

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

// inPrefixes is [InRanges] for ranges that were read before.
func inPrefixes(ip netip.Addr, ranges []netip.Prefix) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range ranges {
		if p.Contains(ip) {
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
