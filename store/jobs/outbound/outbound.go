// Package outbound calls URLs that a tenant wrote: webhooks, log sinks, object stores, identity
// providers.
//
// Such a URL can point into the network of the host, which trusts what the host sends (server-side
// request forgery). So there is one way out. [Guard.Check] looks at the URL when it is written,
// [Guard.Client] gives a client that looks again at every call and at the address that it connects to.
// What is refused is a *[Blocked]; [Judge] says what to do about an answer or an error.
//
//	if err := guard.Check(in.URL); err != nil {
//		return store.Invalid("webhook.url", outbound.Code, "%v", err)
//	}
//
// # What may be called
//
// https URLs without user name, password and fragment, on port 443, whose host is a public name or a
// public address. No redirect is followed: a receiver that moved is told so by its owner. A name that
// has one address that is not public is refused whole, so that the answer does not depend on the
// order of the addresses.
//
// Not public are the addresses of this machine, private networks, links, carriers, documentation and
// tests, multicast, all that is reserved or carries an IPv4 address inside (mapped, NAT64, 6to4,
// Teredo), and those under which clouds keep their metadata. Of IPv6 only 2000::/3 is public at all,
// so that what is assigned later is refused until it is known.
//
// A host widens this by [Options]. Ports other than 443 are closed because a tenant could search
// the ports of other people with them, from the address of the host.
//
// # Rebinding
//
// A name may lead elsewhere by the time it is called. It is looked up once per connection, all of its
// addresses are checked, and the connection goes to one of these very addresses. Connections are
// kept and shared by the calls of all tenants, which skips no check: a kept connection is found by
// scheme, host and port, and was checked when it was made for these three; the URL is checked
// at each call. What the name resolves to later does not move a connection.
//
// # Proxies
//
// HTTP_PROXY and the like are ignored. A proxy looks up the name itself, so the addresses would be
// checked here and chosen there. A host that has to use one gives up this package.
//
// # Errors
//
// No error says what the query, the headers or the path of a URL hold: many webhook URLs are
// secrets. An *[Error] can be shown to the tenant. What it wraps is for the operator: it may name
// resolvers and addresses, or repeat what an answer began with. A tenant can still tell a name that
// leads inside from one that does not exist.
package outbound

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Options are what a host adds to the rules. The zero value, and nil, are ready for production.
type Options struct {
	// Allow names hosts ("minio.internal"), addresses and CIDRs ("10.1.0.0/16") that may be called
	// although they are not public, on any port and by plain http too. A host that is named may
	// resolve to any address. A CIDR admits every name that leads into it, by https; tenants can write
	// such names, so keep it narrow.
	Allow []string
	// Deny holds CIDRs that are never called, whatever Allow says: public addresses of the host's own
	// network, or its own NAT64 prefix.
	Deny []string
	// Ports may be called besides 443.
	Ports []uint16
	// Resolver looks up names; nil is the system's.
	Resolver Resolver
	// RootCAs sign the certificates of receivers; nil is the system's.
	RootCAs *x509.CertPool
	// UserAgent is sent with calls that name none; "" is "orgkit".
	UserAgent string
}

// Resolver looks up the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard knows what may be called. It never changes and is safe for concurrent use. Packages that keep URLs but
// call none, and must not link net/http, take it as an interface with its method Check.
type Guard struct {
	hosts       map[string]bool
	allow, deny []netip.Prefix
	ports       []uint16
	tlsOnly     bool
	resolver    Resolver // nil is the system's
	roots       *x509.CertPool
	agent       string
}

// New returns a guard. An entry of Allow or Deny that is neither a host nor a CIDR is an error: a rule that
// was mistyped must not be left out in silence.
func New(o *Options) (*Guard, error) {
	if o == nil {
		o = &Options{}
	}
	g := &Guard{
		hosts:    map[string]bool{},
		ports:    append([]uint16{443}, o.Ports...),
		resolver: o.Resolver,
		roots:    o.RootCAs,
		agent:    o.UserAgent,
	}
	if g.agent == "" {
		g.agent = "orgkit"
	}
	for _, entry := range o.Allow {
		host := strings.ToLower(entry)
		if p, ok := prefix(entry); ok {
			g.allow = append(g.allow, p)
		} else if isName(host) && !endsInNumber(host) {
			g.hosts[host] = true
		} else {
			return nil, fmt.Errorf("outbound: Allow: %q is no host, address or CIDR", entry)
		}
	}
	for _, entry := range o.Deny {
		p, ok := prefix(entry)
		if !ok {
			return nil, fmt.Errorf("outbound: Deny: %q is no address or CIDR", entry)
		}
		g.deny = append(g.deny, p)
	}
	return g, nil
}

// TLSOnly returns a guard that refuses plain http even to what is allowed, for organizations that demand
// encryption in transit.
func (g *Guard) TLSOnly() *Guard {
	strict := *g
	strict.tlsOnly = true
	return &strict
}

// prefix reads a CIDR or a single address. One that is written as mapped into IPv6 would never match.
func prefix(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	return p.Masked(), !p.Addr().Is4In6()
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
