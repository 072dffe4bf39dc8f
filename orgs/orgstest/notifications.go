package orgstest

import (
	"context"
	"sync"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// Notifications is an orgs.Notifier that records what was committed. It is safe for concurrent use.
type Notifications struct {
	mu  sync.Mutex
	all []orgs.Notification
}

// Notify records the notification when the unit is committed.
func (r *Notifications) Notify(_ context.Context, tx *store.Tx, n orgs.Notification) error {
	tx.AfterCommit(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, n)
	})
	return nil
}

// Mails says yes: what was mailed is among what was recorded.
func (r *Notifications) Mails() bool { return true }

// Take returns what was recorded since it was last called.
func (r *Notifications) Take() []orgs.Notification {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}
