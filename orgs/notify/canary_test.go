package notify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
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

// stored is all that a driver keeps, as text.
func stored(t *testing.T, d store.Driver) string {
	t.Helper()
	tx, err := d.Begin(t.Context(), false)
	require.NoError(t, err)
	defer tx.Rollback()
	var b strings.Builder
	for _, k := range orgs.Kinds() {
		rows := reflect.New(reflect.SliceOf(reflect.TypeOf(k.New()).Elem()))
		if k.Key != nil {
			err = tx.Scan(t.Context(), k, store.Span{Order: k.Key, Limit: store.MaxAppend}, rows.Interface())
		} else {
			err = tx.Select(t.Context(), k, store.Selection{Order: []store.Order{store.Asc("id")}}, rows.Interface())
		}
		require.NoError(t, err)
		for i := range rows.Elem().Len() {
			for _, c := range k.Columns {
				v := c.Field(rows.Elem().Index(i)).Interface()
				text, err := json.Marshal(v)
				require.NoError(t, err)
				fmt.Fprintf(&b, "%s.%s %s %s\n", k.Name, c.Name, text, fmt.Sprint(v))
			}
		}
	}
	return b.String()
}

// TestNoSecretIsLeftAnywhere: with everything that goes wrong, no token, password or secret is in a log, an error, a
// job, an event or a record.
func TestNoSecretIsLeftAnywhere(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock, driver := storetest.NewClock(), &outage{}
			s := storetest.Open(t, name, store.Options{Now: clock.Now, Wrap: func(d store.Driver) store.Driver { driver.Driver = d; return driver }})
			server, receiver := newMailServer(t, startTLS), newReceiver(t)
			server.password = "canary-Passw0rd"
			o := options(t, server.sender(t, notify.SMTPOptions{Username: "host"}))
			w := newWorld(t, s, clock, o)
			var log bytes.Buffer
			w.worker = jobs.NewWorker(s, &jobs.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			n, err := notify.New(o)
			require.NoError(t, err)
			n.Handle(w.worker, w.Manager)

			h, first, err := w.CreateWebhook(w.As(w.owner), w.org.ID, orgs.NewWebhook{URL: receiver.URL})
			require.NoError(t, err)
			_, second, err := w.RotateWebhook(w.As(w.owner), w.org.ID, h.ID, time.Hour)
			require.NoError(t, err)
			invite := func(email string) {
				_, _, err := w.Invite(w.As(w.owner), orgs.Place{OrgID: w.org.ID}, orgs.NewInvitation{Email: email, Role: "member", SendEmail: true})
				require.NoError(t, err)
			}
			var errs []string
			run := func() {
				if err := w.run(t); err != nil {
					errs = append(errs, err.Error(), fmt.Sprintf("%+v", err))
				}
			}
			// One is taken, one refused for good by a server that repeats what it can, one waits.
			invite("taken@acme.example")
			run()
			require.Empty(t, errs)
			echo := func(code int) func(string) error {
				return func(to string) error {
					return &smtp.SMTPError{Code: code, Message: to + " canary-Passw0rd"}
				}
			}
			server.rule(func() { server.rcpt = echo(550) })
			receiver.answers(status(503, "Retry-After", "3600"))
			invite("refused@acme.example")
			run()
			server.rule(func() { server.rcpt = echo(450) })
			invite("waits@acme.example")
			run()
			wrong := options(t, server.sender(t, notify.SMTPOptions{Username: "host", Password: seal.NewSecret("canary-Wr0ng")}))
			wrong.Sealer = o.Sealer
			bad, err := notify.New(wrong)
			require.NoError(t, err)
			worker := jobs.NewWorker(s, nil)
			bad.Handle(worker, w.Manager)
			clock.Advance(time.Minute)
			_, err = worker.RunDue(t.Context())
			require.Error(t, err)
			errs = append(errs, err.Error())

			require.Len(t, w.dead(t), 1)
			require.Contains(t, strings.ReplaceAll(server.take()[0], "=\r\n", ""), "ok_inv_", "and there it is")
			everything := stored(t, driver.Driver) + log.String() + strings.Join(errs, "\n")
			require.Contains(t, everything, "waits@acme.example", "it is looked at")
			require.Contains(t, everything, `"token":"seal1.`)
			for _, secret := range []string{"canary-", first[len("whsec_"):], second[len("whsec_"):], "ok_inv_"} {
				require.NotContains(t, everything, secret)
			}
			for _, c := range receiver.take() {
				require.NotContains(t, string(c.body), "ok_inv_")
				require.NotContains(t, string(c.body), "seal1.")
			}
		})
	}
}
