package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/mail"
	"os"
	"sync"

	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// mailing says how mails go out.
type mailing struct {
	smtp, user, from, base string
	plain                  bool
}

func mailFlags() *mailing {
	m := &mailing{}
	flag.StringVar(&m.smtp, "smtp", "", "HOST:PORT of the mail server; empty: nothing is mailed")
	flag.StringVar(&m.user, "smtp-user", "", "user name for the mail server; empty: no signing in")
	flag.BoolVar(&m.plain, "smtp-plain", false, "speak to a mail server on loopback without TLS")
	flag.StringVar(&m.from, "mail-from", "no-reply@localhost", "sender of mails, an address with or without a name")
	flag.StringVar(&m.base, "base-url", "http://127.0.0.1:8080", "URL that links in mails begin with")
	return m
}

// notifier delivers notifications: to webhooks, and by mail where there is a mail server.
func (m *mailing) notifier(sealer *seal.Sealer, guard *outbound.Guard) (*notify.Notifier, error) {
	o := &notify.Options{Sealer: sealer, Guard: guard, BaseURL: m.base}
	if m.smtp != "" {
		from, err := mail.ParseAddress(m.from)
		if err != nil {
			return nil, err
		}
		o.From = *from
		if o.Sender, err = notify.NewSMTP(notify.SMTPOptions{Addr: m.smtp, Username: m.user, Plain: m.plain,
			Password: seal.NewSecret(os.Getenv("ORGKIT_SMTP_PASSWORD"))}); err != nil {
			return nil, err
		}
	}
	return notify.New(o)
}

// work does in the background what this process does besides answering. Audit logs are delivered by a worker of their own,
// so that slow sinks keep nothing else waiting. finish ends it, and waits for what is under way; it may be called again.
func work(ctx context.Context, p parts, exports exportFlags, log *slog.Logger) (finish func() error, err error) {
	w := jobs.NewWorker(p.Store(), &jobs.Options{Log: log})
	p.notifier.Handle(w, p.Manager)
	if err := p.Maintain(ctx, w); err != nil {
		return nil, err
	}
	delivery := jobs.NewWorker(p.Store(), &jobs.Options{Lease: *exports.lease, Log: log})
	p.exporter.Register(delivery, p.Audit())

	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // requests that still run may enqueue
	runs := []func(context.Context) error{w.Run, delivery.Run, p.exporter.Run}
	ended := make(chan error, len(runs))
	for _, run := range runs {
		go func() { ended <- run(running) }()
	}
	return sync.OnceValue(func() (err error) {
		stop()
		for range runs {
			err = errors.Join(err, <-ended)
		}
		return err
	}), nil
}
