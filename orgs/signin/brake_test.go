package signin_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
)

// guess tries a wrong password and answers how long to wait: nothing where it was looked at.
func (w *world) guess(ip, email, device string) time.Duration {
	w.t.Helper()
	_, err := w.SignIn(w.from(ip), signin.Credentials{Email: email, Password: "wrong", Device: device})
	var wait *orgs.TooManyTries
	if errors.As(err, &wait) {
		return wait.RetryAfter
	}
	wrong(w.t, err)
	return 0
}

func (w *world) enters(ip, device string) error {
	_, err := w.SignIn(w.from(ip), signin.Credentials{Email: w.user.Email, Password: password, Device: device})
	return err
}

func TestGuessesAreSlowedMoreAndMore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, email := range []string{w.user.Email, "nobody@acme.example"} { // who guesses learns nothing of it either
			ip := "192.0.2.1"
			if email == w.user.Email {
				ip = "192.0.2.2"
			}
			for range 6 {
				require.Zero(t, w.guess(ip, email, ""))
			}
			var waits []time.Duration
			for range 12 {
				wait := w.guess(ip, email, "")
				waits = append(waits, wait)
				require.Equal(t, wait, w.guess(ip, email, ""), "a try that is not looked at costs nothing more")
				w.clock.Advance(wait - time.Microsecond)
				require.Equal(t, time.Microsecond, w.guess(ip, email, ""))
				w.clock.Advance(time.Microsecond)
				require.Zero(t, w.guess(ip, email, ""))
			}
			s := time.Second
			require.Equal(t, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 512 * s, 900 * s, 900 * s}, waits)
			w.clock.Advance(25 * time.Hour)
			for range 6 {
				require.Zero(t, w.guess(ip, email, ""), "a day later nobody remembers")
			}
		}
	})
}

func TestTheRightPasswordHasToWaitToo(t *testing.T) {
	w := onMemory(t, nil)
	for range 6 {
		w.guess("192.0.2.1", w.user.Email, "")
	}
	require.Equal(t, time.Second, braked(t, w.enters("192.0.2.1", "")))
	w.clock.Advance(time.Second)
	require.NoError(t, w.enters("192.0.2.1", ""))
	for range 6 {
		require.Zero(t, w.guess("192.0.2.1", w.user.Email, ""), "and then begins anew")
	}
}

// TestManyGuessesAtOnceAreNoWayAround: not over two services, each with its own memory.
func TestManyGuessesAtOnceAreNoWayAround(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		services := []*signin.Service{w.Service, w.service(nil)}
		var done sync.WaitGroup
		var mu sync.Mutex
		looked := 0
		for i := range 64 {
			done.Go(func() {
				_, err := services[i%2].SignIn(w.from("192.0.2.1"), signin.Credentials{Email: w.user.Email, Password: "wrong"})
				if errors.Is(err, orgs.ErrUnauthenticated) {
					mu.Lock()
					looked++
					mu.Unlock()
				}
			})
		}
		done.Wait()
		require.Equal(t, 6, looked)
	})
}

// TestNobodyIsLockedOutByTheGuessesOfOthers: the owner of an account gets in from a place that is known, by a device that is
// known, and in a session.
func TestNobodyIsLockedOutByTheGuessesOfOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		out, err := w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})
		require.NoError(t, err)
		require.NotEmpty(t, out.Device)
		blocked := 0
		for i := range 60 { // from everywhere
			if w.guess(fmt.Sprintf("192.0.2.%d", i+1), w.user.Email, "") > 0 {
				blocked++
			}
		}
		require.Equal(t, 60-21, blocked)
		require.Greater(t, braked(t, w.enters("203.0.113.5", "")), time.Duration(0), "in a new place they have to wait")
		require.NoError(t, w.enters(home, ""), "where they were before they do not")
		require.NoError(t, w.enters("203.0.113.5", out.Device), "nor by the device that they had there")

		for range 7 { // from the same address
			w.guess(home, w.user.Email, "")
		}
		require.Greater(t, braked(t, w.enters(home, "")), time.Duration(0))
		require.NoError(t, w.enters(home, out.Device), "the device is known by nobody else")
		require.NoError(t, second(w.Authenticate(w.from(home), out.Token)), "and a session is asked nothing")

		for range 6 {
			w.guess(home, w.user.Email, out.Device)
		}
		require.Greater(t, braked(t, w.enters(home, out.Device)), time.Duration(0), "who has stolen a device guesses as slowly")

		require.NoError(t, w.RequestReset(w.from("203.0.113.8"), w.user.Email))
		link := w.links(w.user.Email)[0]
		require.NoError(t, w.ResetPassword(w.from("203.0.113.8"), link, another))
		_, err = w.SignIn(w.from("203.0.113.8"), signin.Credentials{Email: w.user.Email, Password: another})
		require.NoError(t, err, "who has the mailbox is in a place that is known")
	})
}

// TestADeviceIsKnownToItsAccountOnly, and one that is made up to none.
func TestADeviceIsKnownToItsAccountOnly(t *testing.T) {
	w := onMemory(t, nil)
	require.NoError(t, w.SetPassword(w.Platform(), w.owner.ID, password))
	out, err := w.SignIn(w.from(home), signin.Credentials{Email: w.owner.Email, Password: password})
	require.NoError(t, err)
	for i := range 60 {
		w.guess(fmt.Sprintf("192.0.2.%d", i+1), w.user.Email, fmt.Sprint("ok_dev_", i))
	}
	require.Greater(t, braked(t, w.enters("203.0.113.5", out.Device)), time.Duration(0))
	again, err := w.SignIn(w.from("203.0.113.5"), signin.Credentials{Email: w.owner.Email, Password: password, Device: out.Device})
	require.NoError(t, err)
	require.Empty(t, again.Device, "it keeps the one that it has")
}

// TestOneAddressIsSlowedOverAllAccounts: who tries one password everywhere.
func TestOneAddressIsSlowedOverAllAccounts(t *testing.T) {
	w := onMemory(t, nil)
	w.signIn()
	for i := range 51 {
		require.Zero(t, w.guess("2001:db8:1:2::1", fmt.Sprintf("user%d@acme.example", i), ""))
	}
	require.Equal(t, time.Second, w.guess("2001:db8:1:2:ffff::1", "next@acme.example", ""), "IPv6 counts by what one subscriber has")
	require.Zero(t, w.guess("2001:db8:1:3::1", "next@acme.example", ""))
	require.Zero(t, w.guess("192.0.2.1", "next@acme.example", ""))
	require.NoError(t, w.enters("192.0.2.1", ""))
	w.clock.Advance(time.Second)
	require.NoError(t, w.enters("2001:db8:1:2::1", ""), "who has an account of their own")
	require.Greater(t, w.guess("2001:db8:1:2::1", "user0@acme.example", ""), time.Duration(0), "frees no way to those of others")
}

// TestBrakesAreForgotten: they do not grow with the addresses that somebody makes up.
func TestBrakesAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		count := func() (n int) {
			require.NoError(t, w.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				n, err = orgs.Brakes.Count(ctx, tx)
				return err
			}))
			return n
		}
		for i := range 30 {
			w.guess(home, fmt.Sprintf("user%d@acme.example", i), "")
		}
		require.Equal(t, 61, count(), "two for each, and one of the address")
		w.clock.Advance(26 * time.Hour)
		for i := range 5 {
			w.guess("192.0.2.1", fmt.Sprintf("new%d@acme.example", i), "")
		}
		require.Equal(t, 11, count())
	})
}
