package sessions_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
)

// TestWhatMakesASecretIsDoneOnce: sent again, it is answered again, with null for the secret, which is kept nowhere.
func TestWhatMakesASecretIsDoneOnce(t *testing.T) { // A8, S15
	each(t, func(t *testing.T, w *world) {
		token := w.signIn()
		for path, call := range map[string]struct {
			secrets []string
			token   string
		}{
			"/v1/users/me/mfa": {[]string{"secret", "otpauth_url"}, token},
			"/v1/users/" + w.user.ID + "/password-resets": {[]string{"token"}, adminKey},
		} {
			first := w.call(201, "POST", path, "", call.token, "Idempotency-Key", "k")
			again := w.do("POST", path, "", call.token, "Idempotency-Key", "k")
			require.Equal(t, 201, again.Code, again.Body)
			require.Equal(t, []string{"true", "no-store"}, []string{again.Header().Get("Idempotency-Replayed"), again.Header().Get("Cache-Control")})
			var later object
			require.NoError(t, json.Unmarshal(again.Body.Bytes(), &later))
			require.Equal(t, slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(later)))
			for _, name := range call.secrets {
				require.NotEmpty(t, first[name])
				require.Nil(t, later[name])
			}
			w.fails(422, "idempotency_mismatch", "POST", path, " ", call.token, "Idempotency-Key", "k")
			w.fails(400, "invalid_request", "POST", path, "", call.token, "Idempotency-Key", "two words")
			other := w.call(201, "POST", path, "", call.token, "Idempotency-Key", "l")
			require.NotEqual(t, first[call.secrets[0]], other[call.secrets[0]], "another key, another secret")
		}
		// A failure is not kept, and the next attempt is the first again.
		w.fails(409, "conflict", "POST", "/v1/users/me/mfa/recovery-codes", "", token, "Idempotency-Key", "codes")
		enrolled(t, w, token)
		codes := w.call(201, "POST", "/v1/users/me/mfa/recovery-codes", "", token, "Idempotency-Key", "codes")["recovery_codes"]
		require.Len(t, codes, 10)
		require.Nil(t, w.call(201, "POST", "/v1/users/me/mfa/recovery-codes", "", token, "Idempotency-Key", "codes")["recovery_codes"])
	})
}

// TestAGuessCountsWhateverItIsSentWith: a key of the guesser's choice takes no guess back.
func TestAGuessCountsWhateverItIsSentWith(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		guess := func(n string) int {
			return w.do("POST", "/v1/sessions", `{"email": "`+email+`", "password": "wrong `+n+`"}`, "", "Idempotency-Key", n).Code
		}
		slowed := false
		for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
			slowed = slowed || guess(n) == 429
		}
		require.True(t, slowed)
	})
}

// enrolled sets a second factor up.
func enrolled(t *testing.T, w *world, token string) {
	secret := w.call(201, "POST", "/v1/users/me/mfa", "", token)["secret"].(string)
	code, err := totp.GenerateCode(secret, w.clock.Now())
	require.NoError(t, err)
	w.call(200, "POST", "/v1/users/me/mfa/confirm", `{"code": "`+code+`"}`, token)
}
