package notify_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/store/seal"
)

// mailServer is an SMTP server that takes mails as its rules say.
type mailServer struct {
	addr    string
	roots   *x509.CertPool
	release chan struct{} // ends what stalls

	mu       sync.Mutex
	rcpt     func(to string) error
	data     func() error
	after    func(*smtp.Conn) // when a mail was taken, before the client hears of it
	password string           // "" asks for none
	mails    []string
	conns    int
}

type serving int

const (
	clear serving = iota
	startTLS
	implicitTLS
)

func newMailServer(t testing.TB, how serving) *mailServer {
	t.Helper()
	m := &mailServer{release: make(chan struct{}), roots: x509.NewCertPool()}
	server := smtp.NewServer(m)
	server.Domain, server.EnableSMTPUTF8 = "mail.example", true
	server.ErrorLog = log.New(io.Discard, "", 0)
	web := httptest.NewTLSServer(nil) // for its certificate, of 127.0.0.1
	defer web.Close()
	m.roots.AddCert(web.Certificate())
	certificate := &tls.Config{Certificates: web.TLS.Certificates}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m.addr = l.Addr().String()
	switch how {
	case startTLS:
		server.TLSConfig = certificate
	case implicitTLS:
		l = tls.NewListener(l, certificate)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { close(m.release); server.Close(); <-done })
	return m
}

// sender is a client of the server; the zero options are completed.
func (m *mailServer) sender(t testing.TB, o notify.SMTPOptions) *notify.SMTP {
	t.Helper()
	o.Addr = m.addr
	if o.RootCAs == nil {
		o.RootCAs = m.roots
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Username != "" && o.Password.IsZero() {
		o.Password = seal.NewSecret(m.password)
	}
	s, err := notify.NewSMTP(o)
	require.NoError(t, err)
	return s
}

// rule changes what the server does.
func (m *mailServer) rule(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

func (m *mailServer) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.mails
	m.mails = nil
	return all
}

func (m *mailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns++
	return &session{m: m, conn: c, ok: m.password == ""}, nil
}

type session struct {
	m    *mailServer
	conn *smtp.Conn
	ok   bool
}

func (s *session) AuthMechanisms() []string {
	if s.ok {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "host" || password != s.m.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no " + password}
		}
		s.ok = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.ok {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.m.mu.Lock()
	fn := s.m.rcpt
	s.m.mu.Unlock()
	if fn != nil {
		return fn(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		return err
	}
	s.m.mu.Lock()
	data, after := s.m.data, s.m.after
	s.m.mu.Unlock()
	if data != nil {
		if err := data(); err != nil {
			return err
		}
	}
	s.m.rule(func() { s.m.mails = append(s.m.mails, b.String()) })
	if after != nil {
		after(s.conn)
	}
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// deliver sends a mail and returns what the server has got.
func deliver(t *testing.T, m notify.Message) string {
	t.Helper()
	server := newMailServer(t, clear)
	require.NoError(t, server.sender(t, notify.SMTPOptions{Plain: true}).Send(t.Context(), m))
	return server.take()[0]
}
