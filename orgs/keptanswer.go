package orgs

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// keptAnswer is the answer to a request that its sender may repeat, stored in the unit in which the request has changed
// something. The key that the sender chose is kept as a hash.
type keptAnswer struct {
	store.Meta
	Digest    string // of the caller, the route and the key
	Print     string // of what the request said
	Status    int
	Header    map[string]string
	Body      string
	ExpiresAt time.Time
}

var keptAnswers = store.Define[keptAnswer]("kept_answers", "ans", store.Unique("digest"), store.Index("expires_at"))

// AnswersKept is for how long a request can be repeated.
const AnswersKept = 24 * time.Hour

// MaxIdempotencyKey is the most characters of the key of an [Attempt].
const MaxIdempotencyKey = 255

// Attempt is one sending of a request that its sender may send again under the same key, as with the header Idempotency-Key.
type Attempt struct {
	Route string // what is done, such as POST /v1/organizations: a key is one of the caller and the route
	Key   string // of the sender's choice, 1 to [MaxIdempotencyKey] visible characters of ASCII
	Part  string // of a request that is answered in several units: which of them; "" is the whole
	Print string // a hash of everything else that the request says
}

// Answer is what was answered to an [Attempt]. It holds no secret.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// errInFlight has the unit run again, which finds what the other attempt has left.
var errInFlight = fmt.Errorf("%w: %w", store.ErrTransient, &store.ConflictError{Code: "idempotency_in_flight",
	Message: "the first request with this Idempotency-Key is still running"})

// Once runs do in one unit and keeps its answer in the same, so that of many attempts with one key one has its effect and
// all have its answer, in whichever process: later is said of an answer that was kept. Attempts at the same time wait for
// the first. An error of do stores nothing, and the next attempt is the first again; a refusal leaves its event. do may be
// run again, like every function of a unit.
//
// A key under which another request was sent is a *store.ConflictError idempotency_mismatch; one whose first attempt does
// not end, idempotency_in_flight. Keys are those of the actor: there is none in a context without an actor.
func (m *Manager) Once(ctx context.Context, at Attempt, do func(ctx context.Context, tx *store.Tx) (Answer, error)) (a Answer, later bool, err error) {
	digest, err := at.digest(ctx)
	if err != nil {
		return a, false, err
	}
	err = m.Together(ctx, func(ctx context.Context) error {
		return m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			if a, later, err = answered(ctx, tx, digest, at.Print); err != nil || later {
				return err
			}
			kept := keptAnswer{Digest: digest, Print: at.Print, ExpiresAt: tx.Now().Add(AnswersKept)}
			switch err := keptAnswers.Insert(ctx, tx, &kept); {
			case errors.Is(err, store.ErrExists): // another attempt has just ended: the unit is run again, and finds it
				return errInFlight
			case err != nil:
				return err
			}
			if a, err = do(ctx, tx); err != nil {
				return err
			}
			kept.Status, kept.Header, kept.Body = a.Status, a.Header, string(a.Body)
			return keptAnswers.Update(ctx, tx, &kept)
		})
	})
	return a, later, err
}

// Answered returns the answer that was kept of an earlier attempt, if there is one. Its errors are those of [Manager.Once].
func (m *Manager) Answered(ctx context.Context, at Attempt) (a Answer, found bool, err error) {
	digest, err := at.digest(ctx)
	if err != nil {
		return a, false, err
	}
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, found, err = answered(ctx, tx, digest, at.Print)
		return err
	})
	return a, found, err
}

// digest is by what the answer is found.
func (at Attempt) digest(ctx context.Context) (string, error) {
	by := actor(ctx)
	if by.Type == "" {
		return "", rbac.ErrNoActor
	}
	visible := at.Key != "" && len(at.Key) <= MaxIdempotencyKey
	for i := range len(at.Key) {
		visible = visible && at.Key[i] > ' ' && at.Key[i] <= '~'
	}
	if !visible {
		return "", store.Invalid("Idempotency-Key", "pattern", "must be 1 to %d visible characters of ASCII", MaxIdempotencyKey)
	}
	h := sha256.New()
	for _, part := range []string{by.String(), at.Route, at.Key, at.Part} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// answered looks for an answer. One that is over makes room.
func answered(ctx context.Context, tx *store.Tx, digest, print string) (a Answer, found bool, err error) {
	kept, err := keptAnswers.Find(ctx, tx, store.Eq("digest", digest))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a, false, nil
	case err != nil:
		return a, false, err
	case !tx.Now().Before(kept.ExpiresAt):
		if !tx.Writable() {
			return a, false, nil
		}
		if err = keptAnswers.Delete(ctx, tx, kept.ID); errors.Is(err, store.ErrNotFound) { // another attempt was faster
			err = errInFlight
		}
		return a, false, err
	case subtle.ConstantTimeCompare([]byte(kept.Print), []byte(print)) == 0:
		return a, false, &store.ConflictError{Code: "idempotency_mismatch", Message: "another request was sent with this Idempotency-Key"}
	}
	return Answer{Status: kept.Status, Header: kept.Header, Body: []byte(kept.Body)}, true, nil
}

// prunedAtOnce is few, since answers may be long.
const prunedAtOnce = 100

// PruneAnswers forgets answers whose time is over, and says how many. It is the host's, to be called now and then; see
// [Manager.Sweep].
func (m *Manager) PruneAnswers(ctx context.Context) (pruned int, err error) {
	for {
		var n int
		err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			page, err := keptAnswers.List(ctx, tx, store.Query{Where: []store.Cond{store.Below("expires_at", tx.Now().Add(time.Microsecond))},
				Order: []store.Order{store.Asc("expires_at")}, Limit: prunedAtOnce})
			if n = len(page.Items); err != nil || n == 0 {
				return err
			}
			ids := make([]string, n)
			for i, a := range page.Items {
				ids[i] = a.ID
			}
			return keptAnswers.DeleteMany(ctx, tx, ids)
		})
		if errors.Is(err, store.ErrNotFound) { // another process was faster
			continue
		}
		pruned += n
		if err != nil {
			return pruned, fmt.Errorf("answers: %w", err)
		}
		if n < prunedAtOnce {
			return pruned, nil
		}
	}
}
