package outbound_test

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/jobs/outbound"
)

func guard(t testing.TB, o *outbound.Options) *outbound.Guard {
	g, err := outbound.New(o)
	require.NoError(t, err)
	return g
}

// rule is what refuses a URL, "" for none.
func rule(t testing.TB, err error) string {
	if err == nil {
		return ""
	}
	var b *outbound.Blocked
	require.ErrorAs(t, err, &b)
	return b.Rule
}

func TestCheck(t *testing.T) {
	g := guard(t, nil)
	for rawURL, want := range map[string]string{
		"https://hooks.example.com":                         "",
		"https://hooks.example.com/":                        "",
		"https://HOOKS.Example.COM/a/b?token=c&d=%20#":      "fragment",
		"https://hooks.example.com/a/b?token=c&d=%20":       "",
		"https://hooks.example.com:443/":                    "",
		"https://xn--bcher-kva.example.com/":                "",
		"https://my_bucket.s3.eu-central-1.amazonaws.com/x": "",
		"https://1.example.com/":                            "",
		"https://0x.example.com/":                           "",
		"https://93.184.216.34/":                            "",
		"https://[2606:2800:220:1:248:1893:25c8:1946]/":     "",
		"https://127.0.0.1.nip.io/":                         "", // the dialer refuses what it leads to
		"HTTPS://hooks.example.com/":                        "",

		"":                                               "scheme",
		"hooks.example.com":                              "scheme",
		"//hooks.example.com/":                           "scheme",
		"/path":                                          "scheme",
		"http://hooks.example.com/":                      "scheme",
		"ftp://hooks.example.com/":                       "scheme",
		"file:///etc/passwd":                             "scheme",
		"gopher://127.0.0.1:6379/_x":                     "scheme",
		"javascript:alert(1)":                            "scheme",
		"https:hooks.example.com":                        "scheme",
		"unix:///var/run/docker.sock":                    "scheme",
		"https://":                                       "host",
		"https:///path":                                  "host",
		"https://:443/":                                  "host",
		"https://?q":                                     "host",
		"https://user@hooks.example.com/":                "userinfo",
		"https://u:p@hooks.example.com/":                 "userinfo",
		"https://@hooks.example.com/":                    "userinfo",
		"https://hooks.example.com@10.0.0.1/":            "userinfo",
		"https://hooks.example.com/#f":                   "fragment",
		"https://127.0.0.1#@example.com/":                "fragment",
		"https://hooks.example.com\\@127.0.0.1/":         "url",
		"https://127.0.0.1\\.example.com/":               "url",
		" https://hooks.example.com/":                    "url",
		"https://hooks.example.com/ ":                    "url",
		"https://hooks.example.com/\r\nX: y":             "url",
		"https://hooks.example.com/\x00":                 "url",
		"https://exa mple.com/":                          "url",
		"https://bücher.example.com/":                    "url",
		"https://①②⑦.⓪.⓪.①/":                             "url",
		"https://127。0。0。1/":                             "url",
		"https://%31%32%37.0.0.1/":                       "url",
		"https://loc%61lhost/":                           "url",
		"https://hooks.example.com:99999/":               "port",
		"https://hooks.example.com:/":                    "port",
		"https://hooks.example.com:0443/":                "port",
		"https://hooks.example.com:0/":                   "port",
		"https://hooks.example.com:80/":                  "port",
		"https://hooks.example.com:8443/":                "port",
		"https://hooks.example.com:22/":                  "port",
		"https://hooks.example.com:-1/":                  "url",
		"https://hooks.example.com:443:80/":              "url",
		"https://" + strings.Repeat("a.", 1100) + "com/": "url",

		"https://localhost/":                                 "host",
		"https://LocalHost/":                                 "host",
		"https://localhost./":                                "host",
		"https://localhost.localdomain/":                     "host",
		"https://a.localhost/":                               "host",
		"https://printer.local/":                             "host",
		"https://metadata/":                                  "host",
		"https://metadata.google.internal/":                  "host",
		"https://metadata.google.internal./":                 "host",
		"https://kubernetes.default.svc/":                    "host",
		"https://x.default.svc.cluster.local":                "host",
		"https://router.lan/":                                "host",
		"https://nas.home.arpa/":                             "host",
		"https://x.onion/":                                   "host",
		"https://hooks.example.com./":                        "host",
		"https://.example.com/":                              "host",
		"https://hooks..example.com/":                        "host",
		"https://-hooks.example.com/":                        "host",
		"https://hooks-.example.com/":                        "host",
		"https://ho*ks.example.com/":                         "host",
		"https://hooks.example.com,10.0.0.1/":                "host",
		"https://" + strings.Repeat("a", 64) + ".com/":       "host",
		"https://" + strings.Repeat("abcdefg.", 32) + "com/": "host",

		"https://2130706433/":          "host", // decimal
		"https://127.1/":               "host", // short
		"https://127.0.1/":             "host",
		"https://0/":                   "host",
		"https://0177.0.0.1/":          "host", // octal
		"https://017700000001/":        "host",
		"https://0x7f000001/":          "host", // hexadecimal
		"https://0x7f.0.0.1/":          "host",
		"https://0x7F.0x0.0x0.0x1/":    "host",
		"https://127.0.0.0x1/":         "host",
		"https://127.0.0.01/":          "host",
		"https://127.0.0.256/":         "host",
		"https://127.0.0.1.1/":         "host",
		"https://127.0.0.1./":          "host",
		"https://example.com.0x/":      "host",
		"https://4294967297/":          "host", // wraps around
		"https://[hooks.example.com]/": "url",
		"https://[127.0.0.1]/":         "url",
		"https://[::1/":                "url",
		"https://::1/":                 "url",
		"https://[::1%25lo]/":          "address",
		"https://[fe80::1%25eth0]/":    "address",
		"https://[2606:2800:220:1:248:1893:25c8:1946%25eth0]/": "address",
	} {
		require.Equal(t, want, rule(t, g.Check(rawURL)), "%q", rawURL)
	}
}

func TestCheckRefusesAddressesThatAreNotPublic(t *testing.T) {
	g := guard(t, nil)
	for _, addr := range strings.Fields(`
		0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.0.0.53 127.255.255.255
		168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
		192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1
		203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
		[::] [::1] [::2] [::127.0.0.1] [::93.184.216.34] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:93.184.216.34]
		[::ffff:0:127.0.0.1] [0:0:0:0:0:0:0:1] [64:ff9b::7f00:1] [64:ff9b::93.184.216.34] [64:ff9b:1::1] [100::1] [100:0:0:1::1]
		[2001::1] [2001:0:4136:e378:8000:63bf:3fff:fdd2] [2001:2::1] [2001:10::1] [2001:20::1] [2001:1ff:ffff::1] [2001:db8::1]
		[2002:7f00:1::] [2002:a9fe:a9fe::1] [2620:4f:8000::1] [3fff::1] [3fff:fff:ffff::1] [4000::1] [5f00::1]
		[fc00::1] [fd00::1] [fd00:ec2::254] [fd20:ce::254] [fe80::1] [febf::1] [fec0::1] [ff02::1] [ff0e::1]
		[1fff::1]`) {
		require.Equal(t, "address", rule(t, g.Check("https://"+addr+"/")), addr)
	}
	for _, addr := range strings.Fields(`
		1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17
		169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255
		198.20.0.0 223.255.255.255
		[2000::1] [2001:200::1] [2001:4860:4860::8888] [2003::1] [2606:4700::1111] [2a00::1] [3ffe::1]`) {
		require.NoError(t, g.Check("https://"+addr+"/"), addr)
	}
}

func TestCheckDoesNotRepeatTheURL(t *testing.T) {
	g := guard(t, nil)
	for _, rawURL := range []string{"http://canary.example.com/canary?canary", "https://canary:canary@example.com/", "https://canary/canary",
		"https://%canary/canary", "https://canary.com:1/canary", "https://10.0.0.1/canary"} {
		require.NotContains(t, g.Check(rawURL).Error(), "canary")
		require.NotContains(t, g.Check(rawURL).Error(), "10.0.0.1")
	}
}

func TestAllowOpensHostsAndRangesOnAnyPortAndInClear(t *testing.T) {
	g := guard(t, &outbound.Options{Allow: []string{"MinIO", "sink.Corp", "10.1.2.3/16", "127.0.0.1", "fd00::/8"}, Deny: []string{"10.1.9.0/24"},
		Ports: []uint16{8443}})
	for rawURL, want := range map[string]string{
		"http://minio:9000/":             "",
		"https://minio/":                 "",
		"http://Sink.corp/":              "",
		"http://10.1.0.1:8088/":          "",
		"https://127.0.0.1:1/":           "",
		"http://[fd00::1]:80/":           "",
		"https://hooks.example.com:8443": "",

		"http://minio:0/":                "port",
		"http://minio:/":                 "port",
		"ftp://minio/":                   "scheme",
		"http://u@minio/":                "userinfo",
		"http://minio.example.com/":      "scheme",
		"http://a.sink.corp/":            "host",
		"http://other/":                  "host",
		"http://10.2.0.1/":               "address",
		"http://10.1.9.1/":               "address",
		"http://127.0.0.2/":              "address",
		"https://[::ffff:127.0.0.1]/":    "address",
		"http://hooks.example.com:8443/": "scheme",
		"http://93.184.216.34/":          "scheme",
	} {
		require.Equal(t, want, rule(t, g.Check(rawURL)), rawURL)
	}
	require.Equal(t, "scheme", rule(t, g.TLSOnly().Check("http://minio:9000/")))
	require.NoError(t, g.TLSOnly().Check("https://minio:9000/"))
}

func TestNewRefusesRulesThatWouldNeverMatch(t *testing.T) {
	for _, entry := range []string{"", "https://minio", "minio:9000", "10.0.0.0/33", "127.1", "0x7f.1", "*.example.com", "a b", "::ffff:10.0.0.0/104",
		"fe80::1%eth0", "sink.corp."} {
		_, err := outbound.New(&outbound.Options{Allow: []string{entry}})
		require.Error(t, err, entry)
		_, err = outbound.New(&outbound.Options{Deny: []string{entry}})
		require.Error(t, err, entry)
	}
	_, err := outbound.New(&outbound.Options{Deny: []string{"minio"}})
	require.Error(t, err)
}

// known says, by other means than the tables of the package, that an address is none of a public host.
func known(addr netip.Addr) bool {
	if addr.Is4In6() || addr.Zone() != "" || addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() ||
		addr.IsMulticast() || addr.IsUnspecified() || !addr.IsGlobalUnicast() {
		return true
	}
	b := addr.AsSlice()
	if addr.Is4() {
		n := binary.BigEndian.Uint32(b)
		return n>>24 == 0 || n>>22 == 100<<2|1 || n>>28 == 15 || n>>17 == 198<<7|9
	}
	return b[0]>>5 != 1 || b[0] == 0x20 && (b[1] == 2 || b[1] == 1 && b[2] <= 1 || b[1] == 1 && b[2] == 0x0d && b[3] == 0xb8)
}

var (
	name   = regexp.MustCompile(`(?i)^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.[a-z0-9_-]+$`)
	noName = regexp.MustCompile(`(?i)(^|\.)([0-9]+|0x[0-9a-f]*|localhost|local|internal)$`)
)

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://hooks.example.com/a?b=c", "https://93.184.216.34:443/", "https://[2606:4700::1111]/", "https://127.0.0.1/",
		"https://[::ffff:1.2.3.4]/", "https://0x7f.1/", "https://[fe80::1%25a]/", "https://u:p@h.com/#f", "https://h.com:443", "https:h.com",
		"https://a.b\\c", "https://[64:ff9b::1.2.3.4]/", "https://100.64.0.1", "https://H.COM./"} {
		f.Add(s)
	}
	g := guard(f, nil)
	f.Fuzz(func(t *testing.T, rawURL string) {
		err := g.Check(rawURL)
		if err != nil {
			require.NotEmpty(t, rule(t, err))
			return
		}
		u, err := url.Parse(rawURL)
		require.NoError(t, err)
		require.Equal(t, "https", u.Scheme)
		require.Nil(t, u.User)
		require.Contains(t, []string{"", "443"}, u.Port())
		require.NotContains(t, rawURL, "#")
		host := u.Hostname()
		if addr, err := netip.ParseAddr(host); err == nil {
			require.False(t, known(addr), host)
		} else {
			require.Regexp(t, name, host)
			require.NotRegexp(t, noName, host)
		}
		_, err = http.NewRequest(http.MethodGet, rawURL, nil)
		require.NoError(t, err)
		require.NoError(t, g.Check(u.String()))
	})
}
