package outbound

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxTries is to how many addresses of one name a connection is tried.
const maxTries = 4

// dialer connects to a host within a time limit for the look-up and all tries together. The addresses are
// tried one after the other, as the resolver sorts them (RFC 6724), each with its share of the time.
func (g *Guard) dialer(limit time.Duration) func(ctx context.Context, network, hostport string) (net.Conn, error) {
	return func(ctx context.Context, network, hostport string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		host, service, err := net.SplitHostPort(hostport)
		if err != nil {
			return nil, err
		}
		host = strings.ToLower(host)
		port, err := strconv.ParseUint(service, 10, 16)
		if err != nil {
			return nil, err
		}
		addrs, err := g.addresses(ctx, host)
		if err != nil {
			return nil, err
		}
		addrs = addrs[:min(len(addrs), maxTries)]
		deadline, _ := ctx.Deadline()
		var first error
		for i, addr := range addrs {
			d := net.Dialer{Timeout: time.Until(deadline) / time.Duration(len(addrs)-i), ControlContext: g.control(host)}
			conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(addr, uint16(port)).String())
			if err == nil {
				return conn, nil
			}
			first = cmp.Or(first, err)
		}
		return nil, first
	}
}

// addresses are those of a host, at least one, every one of them checked.
func (g *Guard) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := g.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	addrs := make([]netip.Addr, len(found))
	for i, addr := range found {
		addrs[i] = addr.Unmap() // a resolver's way to hold an IPv4 address
		if _, err := g.address(addrs[i], g.hosts[host]); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

func (g *Guard) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	switch {
	case g.resolver != nil:
		return g.resolver.LookupNetIP(ctx, "ip", host)
	case !g.hosts[host]:
		host += "." // absolute: else the search domains of the host's network would be tried too
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// control is the last word, at the socket: what is connected is what was checked, whatever code above
// chose the address.
func (g *Guard) control(host string) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		_, err = g.address(to.Addr(), g.hosts[host])
		return err
	}
}
