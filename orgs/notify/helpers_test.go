package notify_test

import (
	"context"
	"errors"
	"net/mail"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// world is an organization whose notifications are delivered by a worker.
type world struct {
	*orgstest.World
	clock  *storetest.Clock
	worker *jobs.Worker
	org    orgs.Organization
	owner  orgs.User
}

func newSealer(t testing.TB) *seal.Sealer {
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	s, err := seal.New(key)
	require.NoError(t, err)
	return s
}

// options are those of a host of which this machine may call itself.
func options(t testing.TB, to notify.Sender) *notify.Options {
	guard, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.0/8"}})
	require.NoError(t, err)
	return &notify.Options{Sender: to, From: mail.Address{Name: "Example AI", Address: "no-reply@ai.example"}, BaseURL: "https://ai.example/console/",
		Sealer: newSealer(t), Guard: guard, CallTimeout: 5 * time.Second}
}

func newWorld(t testing.TB, s *store.Store, clock *storetest.Clock, o *notify.Options) *world {
	t.Helper()
	n, err := notify.New(o)
	require.NoError(t, err)
	loose, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.0/8"}}) // what is written may be less than what is called
	require.NoError(t, err)
	w := &world{World: orgstest.New(t, s, &orgs.Options{Notifier: n, Seal: o.Sealer, URLs: loose}), clock: clock, worker: jobs.NewWorker(s, nil)}
	n.Handle(w.worker, w.Manager)
	w.org, w.owner = w.Org("acme")
	return w
}

// each runs a test on every store, in a world that mails by the sender.
func each(t *testing.T, to notify.Sender, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		fn(t, newWorld(t, s, clock, options(t, to)))
	})
}

// run delivers what is due and returns what has failed.
func (w *world) run(t testing.TB) error {
	t.Helper()
	_, err := w.worker.RunDue(t.Context())
	return err
}

func (w *world) tell(t testing.TB, n orgs.Notification) {
	t.Helper()
	n.OrgID = w.org.ID
	require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return w.Tell(ctx, tx, n) }))
}

// dead are the messages that were given up.
func (w *world) dead(t testing.TB) []jobs.DeadLetter {
	t.Helper()
	var page store.Page[jobs.DeadLetter]
	require.NoError(t, w.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		page, err = jobs.DeadLetters(ctx, tx, jobs.DeadQuery{OrgID: w.org.ID})
		return err
	}))
	return page.Items
}

// outbox is a sender that keeps what it is given, unless it fails.
type outbox struct {
	mu   sync.Mutex
	sent []notify.Message
	err  error
}

func (o *outbox) Send(_ context.Context, m notify.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.sent = append(o.sent, m)
	}
	return o.err
}

func (o *outbox) take() []notify.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.sent
	o.sent = nil
	return all
}

// outage is a driver that writes nothing while the database is down.
type outage struct {
	store.Driver
	mu   sync.Mutex
	down bool
}

var errDown = errors.New("the database is down")

func (o *outage) set(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *outage) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down && writable {
		return nil, errDown
	}
	return o.Driver.Begin(ctx, writable)
}
