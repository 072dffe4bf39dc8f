package outbound

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// MaxURL is the longest URL, in bytes.
const MaxURL = 2048

// Check returns a *[Blocked] unless the URL may be called, as far as that can be said without looking up
// its host. The text of the error does not repeat the URL and stands well behind a field's name.
func (g *Guard) Check(rawURL string) error {
	switch {
	case len(rawURL) > MaxURL:
		return blocked("url", "must have at most "+strconv.Itoa(MaxURL)+" characters")
	case strings.ContainsFunc(rawURL, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }):
		// Browsers and proxies read backslashes as slashes, and full-width digits as digits.
		return blocked("url", "must be written in ASCII without spaces and backslashes, a host of other letters as xn--")
	case strings.Contains(rawURL, "#"):
		return noFragment
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return blocked("url", "must be a URL")
	}
	return g.check(u)
}

var (
	noFragment = blocked("fragment", "must not have a fragment")
	noHost     = blocked("host", "must name a public host")
	noHTTPS    = blocked("scheme", "must be an https URL")
)

func (g *Guard) check(u *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http", u.Opaque != "":
		return noHTTPS
	case u.User != nil:
		return blocked("userinfo", "must not hold a user name or password")
	case u.Fragment != "" || u.RawFragment != "":
		return noFragment
	}
	allowed, err := g.host(u)
	switch {
	case err != nil:
		return err
	case u.Scheme == "http" && (!allowed || g.tlsOnly):
		return noHTTPS
	case !allowed && !slices.Contains(g.ports, port(u)):
		return blocked("port", "must not name a port but 443 and those that the operator opened")
	case port(u) == 0:
		return blocked("port", "must not name a port that does not exist")
	}
	return nil
}

// host says whether the host of a URL may be called, and whether it is allowed in particular.
func (g *Guard) host(u *url.URL) (allowed bool, err error) {
	host := strings.ToLower(u.Hostname())
	if g.hosts[host] {
		return true, nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.address(addr, false)
	}
	if !isName(host) || endsInNumber(host) || !strings.Contains(host, ".") || inside(host) {
		return false, noHost
	}
	return false, nil
}

// port is the port of a URL, 0 for one that does not exist or is written in another way than numbers are.
func port(u *url.URL) uint16 {
	switch p := u.Port(); {
	case p != "":
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return 0
		}
		return uint16(n)
	case strings.HasSuffix(u.Host, ":"):
		return 0
	case u.Scheme == "http":
		return 80
	}
	return 443
}

// isName says whether a host in lower case is labels of letters, digits, hyphens and underscores joined by
// single dots.
func isName(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i, c := range []byte(label) {
			inner := 0 < i && i < len(label)-1
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-' && inner:
			default:
				return false
			}
		}
	}
	return true
}

// endsInNumber says whether URL parsers take a host for an IPv4 address, which may be one number, short,
// octal or hexadecimal (WHATWG URL, "ends in a number"): 2130706433, 127.1, 0177.0.0.1, 0x7f.0.0.1.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(last, "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// insiders are top-level domains that no public name has: special ones (RFC 6761, 6762, 8375, 9476; .internal
// of ICANN) and those of private networks.
var insiders = []string{"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private",
	"cluster", "svc", "arpa", "alt", "onion", "invalid", "test", "example"}

func inside(host string) bool {
	return slices.Contains(insiders, host[strings.LastIndexByte(host, '.')+1:])
}
