// Package notify delivers what people and programs of an organization should be told: by mail, and to signed webhooks.
//
// [New] makes the orgs.Notifier of a host. Inside the unit of what it tells of it only enqueues jobs, one for each
// recipient and each webhook, so that what was stored is told and nothing else is. [Notifier.Handle] lets a worker of
// package store/jobs do them:
//
//	n, err := notify.New(&notify.Options{Sender: smtp, From: from, BaseURL: "https://ai.example.com", Sealer: sealer})
//	m, err := orgs.New(s, &orgs.Options{Notifier: n, Seal: sealer, URLs: guard})
//	n.Handle(worker, m)
//
// # At least once
//
// A message may come twice, after the death of a process for example. Then it is the same: the Message-ID of a mail and
// the webhook-id of a call are made of the id of the job, so that receivers can drop the second one. What is given up is a
// dead letter of store/jobs.
//
// # Mail
//
// Texts are in the organization's language, English where there is none for it, with dates in its format and zone. These
// are read when the mail is made and not when it is enqueued: a mail that waits for a mail server says what is true when it
// goes out, and the job holds facts only. For the same reason an invitation that was revoked or answered meanwhile is not
// mailed. Every mail is plain text and HTML, and is marked as sent by a program (RFC 3834).
//
// What tenants wrote (names, messages, reasons) is data: it is on one line in headers, without control and
// bidirectional formatting characters, cut to a length, quoted as somebody's words, and escaped in HTML. A link opens what
// it names for who signs in; it is no credential but for the token of an invitation or of a new password, which stands behind the # of its link,
// so that it is in no log of a web server, and works for the invited address alone.
//
// # Webhooks
//
// Calls follow Standard Webhooks: an id, the time of the attempt, and a v1 signature by each secret that is in force over
// "id.timestamp.body". Only a 2xx answer is success; 410 disables the webhook; Retry-After counts; redirects are not
// followed. They go out through store/jobs/outbound alone.
//
// # Secrets
//
// The token of an invitation or of a new password is sealed in its job, a webhook's secret in its record. No error, which would be kept
// with its job, repeats what a mail server or receiver answered, an address, or a URL.
package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// Options of a [Notifier].
type Options struct {
	// Sender takes mails, such as an [SMTP]. Nil: no mail is sent, and tokens of invitations are in the answers.
	Sender Sender
	// From is who mails come from; required with a Sender.
	From mail.Address
	// ReplyTo is where answers go; "" is From.
	ReplyTo string
	// Headers are added to every mail, such as List-Id.
	Headers map[string]string
	// BaseURL begins the links in mails: BaseURL/approvals/{id}, BaseURL/invitations/accept#token={token} and
	// BaseURL/password#token={token}. Required
	// with a Sender.
	BaseURL string
	// Sealer seals the tokens of mails that wait to be sent; required with a Sender. That of the manager.
	Sealer *seal.Sealer
	// Guard says which URLs may be called; nil is outbound.New(nil). That of the manager.
	Guard *outbound.Guard
	// CallTimeout is for one call of a webhook; 0 is 20 seconds. Standard Webhooks wants 15 to 30.
	CallTimeout time.Duration
}

// Notifier is the orgs.Notifier of a host. It never changes and is safe for concurrent use.
type Notifier struct {
	opt    Options
	client *outbound.Client
}

var _ orgs.Notifier = (*Notifier)(nil)

// New returns a notifier. An option that cannot work is an error.
func New(o *Options) (*Notifier, error) {
	if o == nil {
		o = &Options{}
	}
	n := &Notifier{opt: *o}
	n.opt.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if o.Sender != nil {
		if err := n.opt.checkMail(); err != nil {
			return nil, err
		}
	}
	if n.opt.Guard == nil {
		guard, err := outbound.New(nil)
		if err != nil {
			return nil, err
		}
		n.opt.Guard = guard
	}
	n.client = n.opt.Guard.Client(&outbound.Limits{Total: cmp.Or(o.CallTimeout, 20*time.Second)})
	return n, nil
}

func (o *Options) checkMail() error {
	base, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil:
		return errors.New("notify: BaseURL must be an http or https URL without query and fragment")
	case !o.Sealer.Ready():
		return errors.New("notify: mail needs a Sealer, since invitations carry a token")
	case !isAddress(o.From.Address):
		return errors.New("notify: From must be an e-mail address")
	case o.ReplyTo != "" && !isAddress(o.ReplyTo):
		return errors.New("notify: ReplyTo must be an e-mail address")
	}
	for name, value := range o.Headers {
		if slices.Contains(ownHeaders, strings.ToLower(name)) || name == "" || strings.ContainsFunc(name, noToken) || strings.ContainsFunc(value, noPrint) {
			return fmt.Errorf("notify: the header %q cannot be added", name)
		}
	}
	return nil
}

func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// noToken and noPrint are what names and values of headers do not hold (RFC 5322 §2.2).
func noToken(r rune) bool { return r <= ' ' || r > '~' || r == ':' }
func noPrint(r rune) bool { return r < ' ' || r > '~' }

// Mails says whether there is a Sender.
func (n *Notifier) Mails() bool { return n.opt.Sender != nil }

// Notify enqueues a mail to each address and a call of each webhook that listens, in the caller's unit.
func (n *Notifier) Notify(ctx context.Context, tx *store.Tx, of orgs.Notification) error {
	if err := n.enqueueCalls(ctx, tx, of); err != nil {
		return err
	}
	if n.opt.Sender == nil || len(of.To) == 0 {
		return nil
	}
	return n.enqueueMails(ctx, tx, of)
}

// Handle lets a worker, before it runs, send the mails and call the webhooks of the manager's organizations.
func (n *Notifier) Handle(w *jobs.Worker, m *orgs.Manager) {
	w.Handle(orgs.WebhookJob, n.calling(m), &jobs.KindOptions{MaxAttempts: len(waits) + 1, Timeout: time.Minute})
	if n.opt.Sender != nil {
		w.Handle(mailJob, n.mailing(m), &jobs.KindOptions{MaxAttempts: 20, MinBackoff: 10 * time.Second, MaxBackoff: 4 * time.Hour, Timeout: 2 * time.Minute})
	}
}
