package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"
)

// Limits are those of one call. What is not above 0 has its default.
type Limits struct {
	Connect   time.Duration // for looking up the host and connecting to it; 5 s
	Handshake time.Duration // for TLS; 5 s
	Headers   time.Duration // from the end of the request until the answer has begun; 15 s
	Total     time.Duration // for all of it, until the body of the answer is read; 30 s

	HeaderBytes int64 // of the answer's headers; 64 KiB
	BodyBytes   int64 // of the answer's body; 1 MiB
}

func (l *Limits) orDefault() Limits {
	if l == nil {
		l = &Limits{}
	}
	return Limits{
		Connect:     above0(l.Connect, 5*time.Second),
		Handshake:   above0(l.Handshake, 5*time.Second),
		Headers:     above0(l.Headers, 15*time.Second),
		Total:       above0(l.Total, 30*time.Second),
		HeaderBytes: above0(l.HeaderBytes, 64<<10),
		BodyBytes:   above0(l.BodyBytes, 1<<20),
	}
}

// above0 is the default for what is not above 0: nothing is without a limit.
func above0[T time.Duration | int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Client calls what its guard lets it call. It is an http.RoundTripper, for libraries that take one, and is
// safe for concurrent use. Make one per purpose and keep it: it keeps connections.
type Client struct {
	guard     *Guard
	limits    Limits
	transport *http.Transport
	http      *http.Client
}

// Client returns a client with these limits; nil are the defaults.
func (g *Guard) Client(l *Limits) *Client {
	limits := l.orDefault()
	c := &Client{guard: g, limits: limits, transport: &http.Transport{
		Proxy:                  nil, // see the package's doc
		DialContext:            g.dialer(limits.Connect),
		TLSClientConfig:        &tls.Config{RootCAs: g.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    limits.Handshake,
		ResponseHeaderTimeout:  limits.Headers,
		MaxResponseHeaderBytes: limits.HeaderBytes,
		ForceAttemptHTTP2:      true, // which a dialer of one's own turns off
		DisableCompression:     true, // so that nothing grows behind the limit, and objects arrive as they are
		MaxIdleConns:           100,
		IdleConnTimeout:        time.Minute,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second}, // else a dead connection fails call after call
	}}
	c.http = &http.Client{
		Transport:     c,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// HTTP returns the client for libraries that take one. A redirect is an answer of status 3xx. Errors of it are
// a *url.Error, whose text holds the whole URL, around the *[Error]: show only the latter.
func (c *Client) HTTP() *http.Client { return c.http }

// Do sends a request. A redirect is an answer of status 3xx. Every error is an *[Error], and so is every error
// of the body but io.EOF. The caller closes the body.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, failure("", err) // has its host from RoundTrip
	}
	return res, nil
}

// CloseIdleConnections closes what is kept and not in use.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }

// RoundTrip sends a request, under all rules and limits, the one for the total time included.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := c.admit(req); err != nil {
		if req.Body != nil {
			req.Body.Close() // as every RoundTripper must
		}
		return nil, failure("", err)
	}
	ctx, cancel := context.WithTimeout(req.Context(), c.limits.Total)
	out := req.Clone(ctx)
	if _, named := out.Header["User-Agent"]; !named {
		out.Header.Set("User-Agent", c.guard.agent)
	}
	res, err := c.transport.RoundTrip(out)
	if err != nil {
		cancel()
		return nil, failure(req.URL.Host, err)
	}
	res.Body = &body{ReadCloser: res.Body, host: req.URL.Host, left: c.limits.BodyBytes, ctx: ctx, cancel: cancel}
	return res, nil
}

func (c *Client) admit(req *http.Request) error {
	switch {
	case req.URL == nil:
		return noHost
	case req.Response != nil: // some other http.Client follows a redirect
		return blocked("redirect", "must not redirect")
	}
	return c.guard.check(req.URL)
}

// body reads an answer up to its limit and ends the time limit with it.
type body struct {
	io.ReadCloser
	host   string
	left   int64
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1] // one more tells a body that ends at the limit from a larger one
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), ErrTooLarge
	}
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.ctx.Err() != nil {
		// Told that the call is over, a server may still end a body that it has not finished as if it had.
		err = b.ctx.Err()
	}
	if err != nil {
		b.cancel()
		if b.err = err; !errors.Is(err, io.EOF) {
			b.err = failure(b.host, err)
		}
	}
	return n, b.err
}

func (b *body) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}
