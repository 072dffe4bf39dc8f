package outbound

import "net/netip"

// Special-purpose addresses, from the IANA registries (RFC 6890) and what clouds add to them.
var (
	special4 = prefixes(
		"0.0.0.0/8",       // this network
		"10.0.0.0/8",      // private
		"100.64.0.0/10",   // carrier-grade NAT; cloud metadata at 100.100.100.200
		"127.0.0.0/8",     // loopback
		"168.63.129.16",   // Azure's agent: a public address that is answered inside of every virtual network
		"169.254.0.0/16",  // link-local; cloud metadata at 169.254.169.254
		"172.16.0.0/12",   // private
		"192.0.0.0/24",    // protocol assignments; cloud metadata at 192.0.0.192
		"192.0.2.0/24",    // documentation
		"192.31.196.0/24", // AS112: answered by whoever is near
		"192.52.193.0/24", // AMT
		"192.88.99.0/24",  // 6to4 relays
		"192.168.0.0/16",  // private
		"192.175.48.0/24", // AS112
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/4",     // multicast
		"240.0.0.0/4",     // reserved, broadcast
	)
	global6  = netip.MustParsePrefix("2000::/3")
	special6 = prefixes( // inside of 2000::/3
		"2001::/23",         // protocol assignments: Teredo, benchmarks, ORCHID
		"2001:db8::/32",     // documentation
		"2002::/16",         // 6to4
		"2620:4f:8000::/48", // AS112
		"3fff::/20",         // documentation
	)
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i], _ = prefix(s)
	}
	return out
}

// public says whether an address is one of the Internet. An IPv4 address in the form of an IPv6 one is
// not, nor is one with a zone.
func public(addr netip.Addr) bool {
	if addr.Is4() {
		return !within(addr, special4)
	}
	return global6.Contains(addr) && !within(addr, special6)
}

// address says whether an address may be connected to, for a host that is trusted by its name or not,
// and whether it is allowed in particular.
func (g *Guard) address(addr netip.Addr, trusted bool) (allowed bool, err error) {
	switch {
	case within(addr.Unmap(), g.deny), !addr.IsValid():
		return false, notPublic(addr)
	case trusted, within(addr, g.allow):
		return true, nil
	case !public(addr):
		return false, notPublic(addr)
	}
	return false, nil
}

func notPublic(addr netip.Addr) error {
	return &Blocked{Rule: "address", Message: "must not lead to an address that is not public", Addr: addr}
}
