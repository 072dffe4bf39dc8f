package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/seal"
)

// SMTPOptions say how mails reach the host's mail server.
type SMTPOptions struct {
	Addr     string      // host:port
	Username string      // "" signs in nowhere
	Password seal.Secret //
	Name     string      // of this machine, for EHLO; "" is the system's
	RootCAs  *x509.CertPool
	// ImplicitTLS says that the server speaks TLS from the beginning, as servers on port 465 always do (RFC 8314 §3.3).
	// Otherwise TLS begins by STARTTLS, and a server without that gets no mail.
	ImplicitTLS bool
	// Timeout is for connecting and signing in, and again for the mail; 0 is 30 seconds.
	Timeout time.Duration
	// Plain sends in clear, for tests and relays of this machine: an address that is not of the loopback network is an
	// error. Passwords are not sent in clear.
	Plain bool
}

// SMTP is a [Sender] that hands mails to a mail server, over TLS, with a connection for each.
type SMTP struct {
	opt        SMTPOptions
	host, port string
}

// NewSMTP returns a sender. It connects to nothing yet.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	s := &SMTP{opt: o}
	var err error
	if s.host, s.port, err = net.SplitHostPort(o.Addr); err != nil || s.host == "" {
		return nil, errors.New("notify: the address of the mail server must be host:port")
	}
	if n, err := strconv.ParseUint(s.port, 10, 16); err != nil || n == 0 {
		return nil, errors.New("notify: the port of the mail server must be a number")
	}
	s.opt.ImplicitTLS = o.ImplicitTLS || s.port == "465"
	if s.opt.Timeout <= 0 {
		s.opt.Timeout = 30 * time.Second
	}
	if ip, err := netip.ParseAddr(s.host); o.Plain && (err != nil || !ip.IsLoopback()) {
		return nil, errors.New("notify: mail is sent in clear to loopback addresses only")
	}
	return s, nil
}

// SendError is what a mail server, or the way to it, has refused. Its text repeats nothing of what was sent or answered.
type SendError struct {
	Step   string // connect, sign in, sender, recipient or message
	Code   int    // of the server's reply (RFC 5321 §4.2); 0 when there was none
	Status string // RFC 3463, such as 5.1.1; "" when the server gave none
	Err    error  // for the operator: its text may hold addresses
}

func (e *SendError) Error() string {
	text := "mail: " + e.Step + " failed"
	if e.Code != 0 {
		text += fmt.Sprintf(" with %d", e.Code)
	}
	if e.Status != "" {
		text += " " + e.Status
	}
	return text
}

// Unwrap is the cause. Its text may hold what must not leave the host.
func (e *SendError) Unwrap() error { return e.Err }

// Send hands a mail over. What the server refuses for good, of the recipient or the message, is permanent; everything else
// is tried again: a password that is wrong today is mended by the operator.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	msg, err := compose(m)
	if err != nil {
		return jobs.Permanent(&SendError{Step: "message", Err: err})
	}
	line := &connection{smtp: s}
	client, err := s.client(line)
	if err != nil {
		return &SendError{Step: "connect", Err: err}
	}
	// The library heeds the context while it connects only.
	stop := context.AfterFunc(ctx, line.close)
	defer stop()
	defer line.close()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		step := "connect"
		if line.up() && s.opt.Username != "" {
			step = "sign in"
		}
		return &SendError{Step: step, Code: replyCode(err), Err: err}
	}
	err = client.SendWithSMTPClient(session, msg)
	if msg.IsDelivered() { // what fails afterwards is no failure of the mail
		_ = client.CloseWithSMTPClient(session)
		return nil
	}
	return refused(err)
}

// refused says what became of a mail that was not taken.
func refused(err error) error {
	e := &SendError{Step: "message", Err: err}
	var of *gomail.SendError
	if !errors.As(err, &of) {
		return e
	}
	e.Code, e.Status = of.ErrorCode(), of.EnhancedStatusCode()
	switch of.Reason {
	case gomail.ErrSMTPMailFrom:
		e.Step = "sender" // of which all mails are: the operator has to mend it
		return e
	case gomail.ErrSMTPRcptTo:
		e.Step = "recipient"
	}
	if e.Code >= 500 {
		return jobs.Permanent(e)
	}
	return e
}

// replyCode is the code that an answer of the server began with, 0 when there was none.
func replyCode(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		if len(text) < 4 || text[3] != ' ' && text[3] != '-' {
			continue
		}
		if code, err := strconv.Atoi(text[:3]); err == nil && code >= 400 && code < 600 {
			return code
		}
	}
	return 0
}

func (s *SMTP) client(line *connection) (*gomail.Client, error) {
	o := []gomail.Option{gomail.WithTimeout(s.opt.Timeout), gomail.WithDialContextFunc(line.dial), gomail.WithTLSConfig(s.tls()), gomail.WithoutNoop()}
	switch {
	case s.opt.Plain:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	case s.opt.ImplicitTLS: // the connection speaks TLS already
		o = append(o, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.opt.Username != "" {
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.opt.Username), gomail.WithPassword(s.opt.Password.Reveal()))
	}
	if s.opt.Name != "" {
		o = append(o, gomail.WithHELO(s.opt.Name))
	}
	return gomail.NewClient(s.host, o...)
}

func (s *SMTP) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.opt.RootCAs, MinVersion: tls.VersionTLS12}
}

// connection is the one of a mail.
type connection struct {
	smtp *SMTP
	mu   sync.Mutex
	conn net.Conn
	done bool
}

func (c *connection) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.smtp.host, c.smtp.port))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.conn = conn
	done := c.done
	c.mu.Unlock()
	if done {
		conn.Close()
		return nil, context.Canceled
	}
	if !c.smtp.opt.Plain && c.smtp.opt.ImplicitTLS {
		secure := tls.Client(conn, c.smtp.tls())
		return secure, secure.HandshakeContext(ctx)
	}
	return conn, nil
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	if c.conn != nil {
		c.conn.Close()
	}
}

// up says whether there was a connection.
func (c *connection) up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// compose makes the mail. Its boundary is made of its id, so that it is the same in every attempt.
func compose(m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary(fmt.Sprintf("orgkit-%x", sha256.Sum256([]byte(m.ID)))[:40]))
	if err := msg.FromFormat(m.From.Name, m.From.Address); err != nil {
		return nil, err
	}
	if err := msg.To(m.To); err != nil {
		return nil, err
	}
	if m.ReplyTo != "" {
		if err := msg.ReplyTo(m.ReplyTo); err != nil {
			return nil, err
		}
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date)
	msg.SetGenHeader(gomail.HeaderContentLang, m.Language)
	for name, value := range m.Headers {
		msg.SetGenHeader(gomail.Header(name), value)
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}
