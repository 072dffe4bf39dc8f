package outbound_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/jobs/outbound"
)

// names is a resolver. Each look-up of a name takes the next of its answers, the last one for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][]string // "addr addr"
	asked   []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	answers := n.answers[host]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, Server: "10.9.8.7:53", IsNotFound: true}
	}
	if len(answers) > 1 {
		n.answers[host] = answers[1:]
	}
	for _, s := range strings.Fields(answers[0]) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

// receiver is a TLS server for 127.0.0.1 and example.com, and the options that open it.
func receiver(t *testing.T, h http.HandlerFunc) (srv *httptest.Server, o *outbound.Options, hits *atomic.Int64) {
	return receiverOf(t, "HTTP/2.0", h)
}

func receiverOf(t *testing.T, protocol string, h http.HandlerFunc) (srv *httptest.Server, o *outbound.Options, hits *atomic.Int64) {
	hits = new(atomic.Int64)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	srv.EnableHTTP2 = protocol == "HTTP/2.0"
	srv.Config.ErrorLog = quiet
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv, &outbound.Options{Allow: []string{"127.0.0.1"}, RootCAs: roots, Ports: []uint16{portOf(srv.URL)}}, hits
}

func client(t *testing.T, o *outbound.Options, l *outbound.Limits) *outbound.Client {
	c := guard(t, o).Client(l)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func portOf(rawURL string) uint16 {
	u, _ := url.Parse(rawURL)
	n, _ := strconv.ParseUint(u.Port(), 10, 16)
	return uint16(n)
}

// at is a URL of the receiver under another host.
func at(host string, srv *httptest.Server) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(portOf(srv.URL)))) + "/hook?token=canary"
}

func call(t *testing.T, c *outbound.Client, rawURL string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer canary")
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func requireReason(t *testing.T, want string, err error) {
	var e *outbound.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason, "%v", errors.Unwrap(e))
	require.NotContains(t, err.Error(), "canary")
}

func TestAnAllowedReceiverIsCalled(t *testing.T) {
	srv, o, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+r.UserAgent()+" "+r.URL.RequestURI())
	})
	o.Resolver = &names{answers: map[string][]string{"example.com": {"127.0.0.1"}}}
	c := client(t, o, nil)
	for _, rawURL := range []string{srv.URL + "/hook?token=canary", at("example.com", srv), at("EXAMPLE.com", srv)} {
		status, body, err := call(t, c, rawURL)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		u, _ := url.Parse(rawURL)
		require.Equal(t, "HTTP/2.0 "+u.Host+" orgkit /hook?token=canary", body)
	}

	o.UserAgent = "acme"
	_, body, err := call(t, client(t, o, nil), srv.URL)
	require.NoError(t, err)
	require.Contains(t, body, " acme ")
}

func TestPlainHTTPIsForWhatIsAllowed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
	defer srv.Close()
	status, _, err := call(t, client(t, &outbound.Options{Allow: []string{"127.0.0.1"}}, nil), srv.URL)
	require.NoError(t, err)
	require.Equal(t, 204, status)

	_, _, err = call(t, client(t, &outbound.Options{Allow: []string{"127.0.0.2"}}, nil), srv.URL)
	requireReason(t, "blocked", err)
	require.Equal(t, "address", rule(t, err))

	_, _, err = call(t, guard(t, &outbound.Options{Allow: []string{"127.0.0.1"}}).TLSOnly().Client(nil), srv.URL)
	require.Equal(t, "scheme", rule(t, err))
}

func TestTheResolverOfTheSystemIsAsked(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
	defer srv.Close()
	status, _, err := call(t, client(t, &outbound.Options{Allow: []string{"localhost"}}, nil), "http://localhost:"+strconv.Itoa(int(portOf(srv.URL))))
	require.NoError(t, err)
	require.Equal(t, 204, status)
}

func TestAHostThatIsAllowedMayBeAnywhereButWhereDenied(t *testing.T) {
	srv, o, hits := receiver(t, func(http.ResponseWriter, *http.Request) {})
	o.Allow, o.Resolver = []string{"Example.com"}, &names{answers: map[string][]string{"example.com": {"127.0.0.1"}}}
	_, _, err := call(t, client(t, o, nil), at("EXAMPLE.com", srv))
	require.NoError(t, err)

	o.Deny = []string{"127.0.0.0/8"}
	_, _, err = call(t, client(t, o, nil), at("example.com", srv))
	require.Equal(t, "address", rule(t, err))
	require.EqualValues(t, 1, hits.Load())
}

func TestANameIsRefusedForEachOfItsAddresses(t *testing.T) {
	srv, o, hits := receiver(t, func(http.ResponseWriter, *http.Request) {})
	for _, answer := range []string{"10.0.0.1", "127.0.0.2", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254",
		"0.0.0.0", "127.0.0.1 10.0.0.1", "10.0.0.1 127.0.0.1", "127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1 ::1"} {
		o.Resolver = &names{answers: map[string][]string{"example.com": {answer}}}
		_, _, err := call(t, client(t, o, nil), at("example.com", srv))
		requireReason(t, "blocked", err)
		require.Equal(t, "address", rule(t, err), answer)
		require.NotRegexp(t, `[0-9]\.|::`, err.Error(), "tells no address")
		var b *outbound.Blocked
		require.ErrorAs(t, err, &b)
		require.True(t, b.Addr.IsValid(), "but to the operator")
	}
	require.Zero(t, hits.Load())
}

func TestANameThatLeadsElsewhereLaterIsRefusedThen(t *testing.T) {
	srv, o, hits := receiver(t, func(http.ResponseWriter, *http.Request) {})
	dns := &names{answers: map[string][]string{"example.com": {"127.0.0.1", "127.0.0.2"}}} // the first stands for a public one
	o.Resolver = dns
	g := guard(t, o)
	c := g.Client(nil)
	require.NoError(t, g.Check(at("example.com", srv)))
	require.Empty(t, dns.asked, "a check looks nothing up")

	for range 3 {
		_, _, err := call(t, c, at("example.com", srv))
		require.NoError(t, err)
	}
	require.Len(t, dns.asked, 1, "once per connection: the address that was checked is the one connected to")

	c.CloseIdleConnections()
	_, _, err := call(t, c, at("example.com", srv))
	require.Equal(t, "address", rule(t, err))
	require.EqualValues(t, 3, hits.Load())
}

func TestTheNextAddressIsTried(t *testing.T) {
	srv, o, _ := receiver(t, func(http.ResponseWriter, *http.Request) {})
	o.Allow = append(o.Allow, "127.0.0.9") // where nothing listens
	o.Resolver = &names{answers: map[string][]string{"example.com": {"127.0.0.9 127.0.0.1"}, "empty.example.com": {" "}}}
	_, _, err := call(t, client(t, o, nil), at("example.com", srv))
	require.NoError(t, err)

	_, _, err = call(t, client(t, o, nil), at("empty.example.com", srv))
	requireReason(t, "dns", err)
}

func TestNoRedirectIsFollowed(t *testing.T) {
	for _, to := range []string{"http://169.254.169.254/latest", "https://10.0.0.1/", "/elsewhere"} {
		srv, o, hits := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		})
		c := client(t, o, nil)
		status, _, err := call(t, c, srv.URL)
		require.NoError(t, err)
		require.Equal(t, 307, status)

		res, err := c.HTTP().Get(srv.URL)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, 307, res.StatusCode)

		// A library that makes an http.Client of its own, and follows.
		_, err = (&http.Client{Transport: c}).Get(srv.URL) //nolint:bodyclose // there is none
		require.Equal(t, "redirect", rule(t, err))
		require.EqualValues(t, 3, hits.Load())
	}
}

func TestEveryCallIsCheckedAndClosesItsBody(t *testing.T) {
	c := client(t, nil, nil)
	for rawURL, want := range map[string]string{"http://example.com/": "scheme", "https://u:canary@example.com/": "userinfo",
		"https://10.0.0.1/canary": "address", "https://example.com:22/": "port", "https://localhost/": "host", "https://example.com/#f": "fragment"} {
		body := &closer{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, rawURL, body)
		require.NoError(t, err)
		_, err = c.Do(req) //nolint:bodyclose // there is none
		requireReason(t, "blocked", err)
		require.Equal(t, want, rule(t, err))
		require.True(t, body.closed)
	}
	_, err := c.RoundTrip(&http.Request{}) //nolint:bodyclose // there is none
	require.Equal(t, "host", rule(t, err))
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestLimits(t *testing.T) {
	long := time.Minute
	short := 50 * time.Millisecond
	wait := func(r *http.Request) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		limits outbound.Limits
		h      http.HandlerFunc
		want   string
	}{
		"slow headers":         {outbound.Limits{Headers: short, Total: long}, func(_ http.ResponseWriter, r *http.Request) { wait(r) }, "timeout"},
		"slow headers, in all": {outbound.Limits{Headers: long, Total: short}, func(_ http.ResponseWriter, r *http.Request) { wait(r) }, "timeout"},
		"slow body": {outbound.Limits{Total: 2 * short}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			wait(r)
		}, "timeout"},
		"dripping body": {outbound.Limits{Total: 2 * short}, func(w http.ResponseWriter, r *http.Request) {
			for tick := time.NewTicker(short / 10); r.Context().Err() == nil; <-tick.C {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
			}
		}, "timeout"},
		"endless body": {outbound.Limits{BodyBytes: 100_000}, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		}, "too_large"},
		"huge headers": {outbound.Limits{HeaderBytes: 10_000}, func(w http.ResponseWriter, r *http.Request) {
			for i := range 100 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("canary", 100))
			}
		}, "network"},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				srv, o, _ := receiverOf(t, protocol, func(w http.ResponseWriter, r *http.Request) {
					if r.Proto == protocol {
						c.h(w, r)
					}
				})
				_, _, err := call(t, client(t, o, &c.limits), srv.URL+"/?canary")
				requireReason(t, c.want, err)
				var timeout interface{ Timeout() bool }
				require.ErrorAs(t, err, &timeout)
				require.Equal(t, c.want == "timeout", timeout.Timeout())
			})
		}
	}
}

func TestABodyUpToItsLimitIsRead(t *testing.T) {
	srv, o, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
	})
	for limit, want := range map[int64]int{1000: 1000, 1 << 62: 1000, 1<<63 - 1: 1000, 0: 1000, 999: 999, 1: 1} {
		_, body, err := call(t, client(t, o, &outbound.Limits{BodyBytes: limit}), srv.URL)
		require.Len(t, body, want)
		if want == 1000 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, outbound.ErrTooLarge)
		}
	}
}

func TestNothingIsUnpacked(t *testing.T) {
	srv, o, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding"))
	})
	_, body, err := call(t, client(t, o, nil), srv.URL)
	require.NoError(t, err)
	require.Empty(t, body)
}

func TestWhatFailsIsNamed(t *testing.T) {
	listen := func(serve func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go serve(conn)
			}
		}()
		return l.Addr().String()
	}
	silent := listen(func(c net.Conn) { _, _ = io.Copy(io.Discard, c); c.Close() })
	banner := listen(func(c net.Conn) {
		_, _ = io.WriteString(c, "SSH-2.0-canary\r\n")
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	srv, o, _ := receiver(t, func(http.ResponseWriter, *http.Request) {})
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()

	o.Allow = append(o.Allow, "hang.example.com", "gone.example.com")
	o.Resolver = hanging{&names{}}
	c, hasty := client(t, o, nil), client(t, o, &outbound.Limits{Connect: 50 * time.Millisecond, Handshake: 50 * time.Millisecond})
	for rawURL, want := range map[string]string{
		"https://hang.example.com/":                      "timeout",
		"https://gone.example.com/":                      "dns",
		"https://" + closed.Addr().String() + "/?canary": "connect",
		"https://" + silent + "/?canary":                 "timeout",
		"https://" + banner + "/?canary":                 "tls",
		"http://" + banner + "/?canary":                  "network",
		"https" + plain.URL[4:] + "/?canary":             "tls",
	} {
		use := c
		if want == "timeout" {
			use = hasty
		}
		_, _, err := call(t, use, rawURL)
		requireReason(t, want, err)
		require.NotContains(t, err.Error(), "10.9.8.7")
		u, _ := url.Parse(rawURL)
		require.Contains(t, err.Error(), u.Host+": ")
	}

	o.RootCAs = x509.NewCertPool()
	_, _, err = call(t, client(t, o, nil), srv.URL)
	requireReason(t, "certificate", err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	_, err = c.Do(req) //nolint:bodyclose // there is none
	requireReason(t, "canceled", err)
	require.ErrorIs(t, err, context.Canceled)
}

// hanging never answers for hang.example.com.
type hanging struct{ *names }

func (h hanging) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host == "hang.example.com" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.names.LookupNetIP(ctx, network, host)
}

func TestTheProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	srv, o, hits := receiver(t, func(http.ResponseWriter, *http.Request) {})
	o.Resolver = &names{answers: map[string][]string{"example.com": {"127.0.0.1"}}}
	req, err := http.NewRequest(http.MethodGet, at("example.com", srv), nil)
	require.NoError(t, err)
	through, err := http.ProxyFromEnvironment(req)
	require.NoError(t, err)
	require.NotNil(t, through, "another client would use it")

	_, _, err = call(t, client(t, o, nil), at("example.com", srv))
	require.NoError(t, err)
	require.EqualValues(t, 1, hits.Load())
	require.Zero(t, asked.Load())
}

func TestConcurrentCalls(t *testing.T) {
	srv, o, hits := receiver(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	c := client(t, o, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("hello"))
			res, err := c.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != "hello" {
				t.Error(string(b), err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 50, hits.Load())
}
