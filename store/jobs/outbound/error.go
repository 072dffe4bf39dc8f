package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
)

// Code is the word for programs in the error of a field whose URL was refused.
const Code = "url_not_allowed"

// Blocked says that a rule of this package, and not the network, refused a call.
type Blocked struct {
	Rule    string // url, scheme, userinfo, fragment, host, port, address or redirect
	Message string // for a person; repeats nothing of the URL
	// Addr is what the host resolved to, when that was refused. It is not in the message: tenants could
	// read the names of the host's network by it.
	Addr netip.Addr
}

func blocked(rule, message string) error { return &Blocked{Rule: rule, Message: message} }

func (b *Blocked) Error() string { return b.Message }

// ErrTooLarge: the body of an answer is larger than the limit.
var ErrTooLarge = errors.New("the answer is too large")

// Error is what every call and every body of an answer fails with. Its text can be shown to the tenant.
type Error struct {
	// Reason is one of blocked, dns, connect, certificate, tls, timeout, canceled, too_large, network.
	Reason string
	Host   string // of the URL, with its port; "" when the URL was refused
	Err    error  // the cause, for the operator
}

var reasons = map[string]string{
	"dns":         "its name was not found",
	"connect":     "no connection",
	"certificate": "its certificate is not valid",
	"tls":         "it does not speak TLS as it should",
	"timeout":     "it took too long",
	"canceled":    "the call was canceled",
	"too_large":   ErrTooLarge.Error(),
	"network":     "the connection broke, or the answer is not HTTP",
}

func (e *Error) Error() string {
	text := reasons[e.Reason]
	if b := (*Blocked)(nil); errors.As(e.Err, &b) {
		text = b.Message
	}
	if e.Host == "" {
		return text
	}
	return e.Host + ": " + text
}

// Unwrap returns the cause. Its text may hold what must not leave the host.
func (e *Error) Unwrap() error { return e.Err }

// Timeout says whether a time limit, the client's or that of the caller's context, ended the call.
func (e *Error) Timeout() bool { return e.Reason == "timeout" }

func failure(host string, err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return &Error{Reason: reason(err), Host: host, Err: err}
}

func reason(err error) string {
	switch {
	case is[*Blocked](err):
		return "blocked"
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case is[*net.DNSError](err):
		return "dns"
	case timedOut(err):
		return "timeout"
	case is[*tls.CertificateVerificationError](err), is[x509.UnknownAuthorityError](err), is[x509.HostnameError](err),
		is[x509.CertificateInvalidError](err):
		return "certificate"
	case is[tls.RecordHeaderError](err), is[tls.AlertError](err), is[*tls.ECHRejectionError](err),
		errors.Is(err, http.ErrSchemeMismatch):
		return "tls"
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return "connect"
	}
	return "network"
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
