package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// side is from where and at what somebody guesses.
type side struct {
	of      []string      // its kind, and what it is of
	free    int           // tries without a wait
	longest time.Duration // that somebody has to wait
}

// forgetTries is when tries are forgotten, after the last of them.
const forgetTries = 24 * time.Hour

// id is what is kept of it: nobody's address.
func (s side) id() string {
	sum := sha256.Sum256([]byte(strings.Join(s.of, "\x00")))
	return "brk_" + hex.EncodeToString(sum[:16])
}

// wait is how long nobody may try after so many tries: a second, and each time twice as long.
func (s side) wait(tries int) time.Duration {
	over := tries - s.free
	if over <= 0 {
		return 0
	}
	return min(s.longest, time.Second<<min(over-1, 20))
}

// client is the network that a request comes from: an address, or of IPv6 what one subscriber has (RFC 6177).
func client(ip netip.Addr) string {
	switch ip = ip.Unmap(); {
	case !ip.IsValid():
		return "unknown"
	case ip.Is6():
		p, _ := ip.WithZone("").Prefix(64)
		return p.String()
	}
	return ip.String()
}

// try counts a try on all sides, before it is known whether it is right: so those that come at the same time count too. It
// answers *orgs.TooManyTries where one of the sides has to wait, and counts nothing then.
func (s *Service) try(ctx context.Context, sides ...side) error {
	var wait time.Duration
	fresh := false
	err := s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		wait, fresh = 0, false
		brakes, isNew, err := lockBrakes(ctx, tx, sides)
		if err != nil {
			return err
		}
		for _, b := range brakes {
			wait = max(wait, b.FreeAt.Sub(tx.Now()))
		}
		if wait > 0 {
			return nil
		}
		fresh = isNew
		var changed []*orgs.Brake
		for _, side := range sides {
			b := brakes[side.id()]
			if !tx.Now().Before(b.ForgetAt) {
				b.Tries = 0
			}
			b.Tries++
			b.FreeAt, b.ForgetAt = tx.Now().Add(side.wait(b.Tries)), tx.Now().Add(forgetTries)
			changed = append(changed, &b)
		}
		return orgs.Brakes.Put(ctx, tx, changed)
	})
	switch {
	case err != nil:
		return err
	case wait > 0:
		return &orgs.TooManyTries{RetryAfter: wait}
	}
	if fresh {
		s.forget(ctx)
	}
	return nil
}

// lockBrakes locks those of the sides, and makes the ones that are not there.
func lockBrakes(ctx context.Context, tx *store.Tx, sides []side) (brakes map[string]orgs.Brake, isNew bool, err error) {
	ids := make([]string, len(sides))
	for i, side := range sides {
		ids[i] = side.id()
	}
	slices.Sort(ids) // so that two that make the same ones never wait for each other
	brakes = map[string]orgs.Brake{}
	for range 2 {
		held, err := orgs.Brakes.LockMany(ctx, tx, ids)
		if err != nil {
			return nil, false, err
		}
		for _, b := range held {
			brakes[b.ID] = b
		}
		if len(brakes) == len(ids) {
			return brakes, isNew, nil
		}
		isNew = true
		var missing []*orgs.Brake
		for _, id := range ids {
			if _, is := brakes[id]; !is {
				missing = append(missing, &orgs.Brake{Meta: store.Meta{ID: id}, FreeAt: tx.Now(), ForgetAt: tx.Now()})
			}
		}
		if _, err := orgs.Brakes.InsertMany(ctx, tx, missing); err != nil {
			return nil, false, err
		}
	}
	return nil, false, store.ErrTransient // somebody forgets them at this moment
}

// forgive takes back what a right guess has counted: all tries of the first side, which is that of who made it alone, and
// one of the others, so that nobody who has an account of their own frees the way to those of others. What fails costs
// somebody a wait at most.
func (s *Service) forgive(ctx context.Context, sides ...side) {
	_ = s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		brakes, _, err := lockBrakes(ctx, tx, sides)
		if err != nil {
			return err
		}
		var changed []*orgs.Brake
		for i, side := range sides {
			b := brakes[side.id()]
			if b.Tries = max(b.Tries-1, 0); i == 0 {
				b.Tries = 0
			}
			if side.wait(b.Tries) == 0 {
				b.FreeAt = tx.Now()
			}
			changed = append(changed, &b)
		}
		return orgs.Brakes.Put(ctx, tx, changed)
	})
}

// forget removes some of those whose time is over: each new one makes room for more than itself, so that they do not grow
// with the guesses of years.
func (s *Service) forget(ctx context.Context) {
	_ = s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		page, err := orgs.Brakes.List(ctx, tx, store.Query{Where: []store.Cond{store.Below("forget_at", tx.Now().Add(-time.Hour))},
			Order: []store.Order{store.Asc("forget_at")}, Limit: 20})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		ids := make([]string, len(page.Items))
		for i, b := range page.Items {
			ids[i] = b.ID
		}
		return orgs.Brakes.DeleteMany(ctx, tx, ids)
	})
}
