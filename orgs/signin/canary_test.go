package signin_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// kept is all that a driver keeps, as text.
func kept(t *testing.T, d store.Driver) string {
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

// TestNoSecretIsKept, nor is what somebody has typed in the wrong place (F336).
func TestNoSecretIsKept(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			var driver store.Driver
			clock := storetest.NewClock()
			s := storetest.Open(t, name, store.Options{Now: clock.Now, Wrap: func(d store.Driver) store.Driver { driver = d; return d }})
			w := newWorld(t, s, clock, nil)
			secrets := []string{password, another, "a password for an address", "a password for a code", "a password for a token"}
			key, codes, ctx := w.enrol()
			secrets = append(append(secrets, key), codes...)
			out, err := w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})
			require.NoError(t, err)
			code := w.code(key)
			_, device, err := w.Service.VerifyMFA(w.in(out.Token, home), signin.Proof{Code: code})
			require.NoError(t, err)
			secrets = append(secrets, out.Token, device)
			wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: "a password for an address", Password: "x"})))
			wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: "a password for a code"})))
			conflict(t, w.ResetPassword(w.from(home), "a password for a token", another), "link_expired")
			require.NoError(t, w.RequestReset(w.from(home), w.user.Email))
			link := w.links(w.user.Email)[0]
			require.NoError(t, w.ResetPassword(w.from(home), link, another))
			secrets = append(secrets, link)
			e, err := w.Service.MFA(w.Platform(), w.user.ID)
			require.NoError(t, err)
			require.NotNil(t, e.EnrolledAt)
			require.NoError(t, w.Audit().Flush(t.Context()))
			all := kept(t, driver)
			require.Contains(t, all, "$argon2id$")
			for _, secret := range secrets {
				require.NotContains(t, all, secret)
				require.NotContains(t, all, strings.ReplaceAll(secret, "-", ""))
			}
		})
	}
}
