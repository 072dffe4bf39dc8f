package notify_test

import (
	"context"
	"crypto/x509"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

var specimen = notify.Message{ID: "job_1@ai.example", Date: time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC), From: mail.Address{Name: "Exämple, AI", Address: "no-reply@ai.example"},
	ReplyTo: "help@ai.example", To: "a@acme.example", Subject: "Größe €", Text: "Grüße\n.\nEnde\n", HTML: "<p>Grüße</p>", Language: "de",
	Headers: map[string]string{"Auto-Submitted": "auto-generated", "List-Id": "<x.ai.example>"}}

func TestAMailIsWhatItSays(t *testing.T) {
	raw := deliver(t, specimen)
	require.Equal(t, raw, deliver(t, specimen), "the same in every attempt")
	m, err := mail.ReadMessage(strings.NewReader(raw))
	require.NoError(t, err)
	decode := func(name string) string {
		text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name))
		require.NoError(t, err)
		return text
	}
	for name, want := range map[string]string{"Message-Id": "<job_1@ai.example>", "Date": "Tue, 05 Mar 2024 12:00:00 +0000", "Subject": "Größe €",
		"Auto-Submitted": "auto-generated", "List-Id": "<x.ai.example>", "Content-Language": "de", "Reply-To": "<help@ai.example>", "User-Agent": "", "X-Mailer": ""} {
		require.Equal(t, want, decode(name), name)
	}
	from, err := m.Header.AddressList("From")
	require.NoError(t, err)
	require.Equal(t, specimen.From, *from[0])
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", media)
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range [][2]string{{"text/plain; charset=UTF-8", specimen.Text}, {"text/html; charset=UTF-8", specimen.HTML}} {
		part, err := parts.NextRawPart()
		require.NoError(t, err)
		require.Equal(t, want[0], part.Header.Get("Content-Type"))
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		require.Equal(t, want[1], strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
}

func TestMailsGoOverTLS(t *testing.T) {
	for name, c := range map[string]struct {
		how serving
		o   notify.SMTPOptions
		ok  bool
	}{
		"STARTTLS":                          {startTLS, notify.SMTPOptions{}, true},
		"STARTTLS, signed in":               {startTLS, notify.SMTPOptions{Username: "host"}, true},
		"implicit":                          {implicitTLS, notify.SMTPOptions{ImplicitTLS: true}, true},
		"implicit, signed in":               {implicitTLS, notify.SMTPOptions{ImplicitTLS: true, Username: "host"}, true},
		"in clear":                          {clear, notify.SMTPOptions{Plain: true}, true},
		"a server without STARTTLS":         {clear, notify.SMTPOptions{}, false},
		"a server that speaks none":         {clear, notify.SMTPOptions{ImplicitTLS: true}, false},
		"a certificate of somebody else":    {startTLS, notify.SMTPOptions{RootCAs: x509.NewCertPool()}, false},
		"one of somebody else, implicit":    {implicitTLS, notify.SMTPOptions{ImplicitTLS: true, RootCAs: x509.NewCertPool()}, false},
		"a password, in clear":              {clear, notify.SMTPOptions{Plain: true, Username: "host"}, false},
		"a wrong password":                  {startTLS, notify.SMTPOptions{Username: "host", Password: seal.NewSecret("canary-wrong")}, false},
		"a server that wants to be told so": {startTLS, notify.SMTPOptions{Username: ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, c.how)
			if c.o.Username != "" {
				server.password = "canary-password"
			}
			err := server.sender(t, c.o).Send(t.Context(), specimen)
			if c.ok {
				require.NoError(t, err)
				require.Len(t, server.take(), 1)
				return
			}
			require.Empty(t, server.take())
			var e *notify.SendError
			require.ErrorAs(t, err, &e)
			var permanent *jobs.PermanentError
			require.NotErrorAs(t, err, &permanent, "the operator can mend it")
			require.NotContains(t, err.Error(), "canary")
			require.NotContains(t, err.Error(), "acme")
		})
	}
}

func TestAWrongPasswordIsSaidToBeOne(t *testing.T) {
	server := newMailServer(t, startTLS)
	server.password = "canary-password"
	err := server.sender(t, notify.SMTPOptions{Username: "host", Password: seal.NewSecret("canary-wrong")}).Send(t.Context(), specimen)
	require.EqualError(t, err, "mail: sign in failed with 535")
}

func TestMailServersThatCannotBe(t *testing.T) {
	for _, o := range []notify.SMTPOptions{{}, {Addr: "mail.example"}, {Addr: ":25"}, {Addr: "mail.example:smtp"}, {Addr: "mail.example:0"}, {Addr: "mail.example:70000"},
		{Addr: "192.0.2.1:25", Plain: true}, {Addr: "mail.example:25", Plain: true}} {
		_, err := notify.NewSMTP(o)
		require.Error(t, err, o.Addr)
	}
	_, err := notify.NewSMTP(notify.SMTPOptions{Addr: "[::1]:25", Plain: true})
	require.NoError(t, err)
}

// billed tells the world's organization of an invoice, by mail to one address.
func billed(t *testing.T, w *world) {
	settings := orgs.OrgSettings{Billing: &orgs.BillingSettings{BillingEmail: "canary-address@acme.example"}}
	_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &settings})
	require.NoError(t, err)
	w.tell(t, orgs.Notification{Kind: orgs.KindInvoice, About: orgs.InvoiceFinalized{Number: "7", PeriodStart: march, PeriodEnd: april}})
}

// eachServed runs a test in worlds that mail by a real server.
func eachServed(t *testing.T, o notify.SMTPOptions, fn func(t *testing.T, w *world, server *mailServer)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		server := newMailServer(t, startTLS)
		fn(t, newWorld(t, s, clock, options(t, server.sender(t, o))), server)
	})
}

func TestARefusedRecipientIsADeadLetter(t *testing.T) {
	eachServed(t, notify.SMTPOptions{}, func(t *testing.T, w *world, server *mailServer) {
		server.rule(func() {
			server.rcpt = func(to string) error {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user " + to}
			}
		})
		billed(t, w)
		require.Error(t, w.run(t))
		dead := w.dead(t)
		require.Len(t, dead, 1)
		require.Equal(t, "mail: recipient failed with 550 5.1.1", dead[0].LastError)
		require.Equal(t, 1, dead[0].Attempt)

		// The way back.
		server.rule(func() { server.rcpt = nil })
		require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return jobs.Retry(ctx, tx, w.org.ID, dead[0].ID) }))
		require.NoError(t, w.run(t))
		require.Len(t, server.take(), 1)
	})
}

func TestARefusedMessageIsADeadLetter(t *testing.T) {
	eachServed(t, notify.SMTPOptions{}, func(t *testing.T, w *world, server *mailServer) {
		server.rule(func() {
			server.data = func() error {
				return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "spam"}
			}
		})
		billed(t, w)
		require.Error(t, w.run(t))
		require.Equal(t, "mail: message failed with 554 5.7.1", w.dead(t)[0].LastError)
	})
}

// TestMailIsTriedAgain: what passes by itself costs no mail, and none comes twice.
func TestMailIsTriedAgain(t *testing.T) {
	grey := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "later, canary-address@acme.example"}
	ways := map[string]func(s *mailServer){
		"a temporary refusal of the recipient": func(s *mailServer) { s.rcpt = func(string) error { return grey } },
		"a temporary refusal of the message":   func(s *mailServer) { s.data = func() error { return grey } },
		"a server that stalls":                 func(s *mailServer) { s.data = func() error { <-s.release; return grey } },
		"a connection that breaks":             func(s *mailServer) { s.rcpt = func(string) error { panic("which closes the connection") } },
	}
	eachServed(t, notify.SMTPOptions{Timeout: 300 * time.Millisecond}, func(t *testing.T, w *world, server *mailServer) {
		for name, fail := range ways {
			server.rule(func() { fail(server) })
			billed(t, w)
			err := w.run(t)
			require.Error(t, err, name)
			require.NotContains(t, err.Error(), "canary-address")
			require.Empty(t, w.dead(t))
			server.rule(func() { server.rcpt, server.data = nil, nil })
			require.NoError(t, w.run(t), "not at once")
			require.Empty(t, server.take())
			w.clock.Advance(11 * time.Second)
			require.NoError(t, w.run(t), name)
			require.Len(t, server.take(), 1, name)
			w.clock.Advance(24 * time.Hour)
			require.NoError(t, w.run(t))
			require.Empty(t, server.take())
		}
	})
}

// TestAMailWhoseAnswerWasLostComesAgainAsTheSame: its receiver can drop it by the Message-ID.
func TestAMailWhoseAnswerWasLostComesAgainAsTheSame(t *testing.T) {
	eachServed(t, notify.SMTPOptions{}, func(t *testing.T, w *world, server *mailServer) {
		server.rule(func() { server.after = func(c *smtp.Conn) { c.Conn().Close() } })
		billed(t, w)
		require.Error(t, w.run(t))
		server.rule(func() { server.after = nil })
		w.clock.Advance(11 * time.Second)
		require.NoError(t, w.run(t))
		mails := server.take()
		require.Len(t, mails, 2)
		require.Equal(t, mails[0], mails[1])
		require.Regexp(t, `(?m)^Message-ID: <job_[0-9a-z]+@ai\.example>\r$`, mails[0])
	})
}

// TestAMailOfAProcessThatDiedComesAgainAsTheSame: between the mail and the note that it went out.
func TestAMailOfAProcessThatDiedComesAgainAsTheSame(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock, broken := storetest.NewClock(), &outage{}
			s := storetest.Open(t, name, store.Options{Now: clock.Now, Wrap: func(d store.Driver) store.Driver { broken.Driver = d; return broken }})
			server := newMailServer(t, startTLS)
			w := newWorld(t, s, clock, options(t, server.sender(t, notify.SMTPOptions{})))
			billed(t, w)
			server.rule(func() { server.after = func(*smtp.Conn) { broken.set(true) } })
			require.ErrorIs(t, w.run(t), errDown)
			broken.set(false)
			server.rule(func() { server.after = nil })
			require.NoError(t, w.run(t), "it is still taken")
			clock.Advance(2 * time.Minute)
			require.NoError(t, w.run(t))
			mails := server.take()
			require.Len(t, mails, 2)
			require.Equal(t, mails[0], mails[1])
		})
	}
}

func TestSendingEndsWithItsContext(t *testing.T) {
	server := newMailServer(t, startTLS)
	var waits atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	server.data = func() error { waits.Store(true); cancel(); <-server.release; return nil }
	began := time.Now()
	err := server.sender(t, notify.SMTPOptions{Timeout: time.Minute}).Send(ctx, specimen)
	require.Error(t, err)
	require.True(t, waits.Load())
	require.Less(t, time.Since(began), 20*time.Second)
}
