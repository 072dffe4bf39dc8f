package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestUsersExpire(t *testing.T) { // F391
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		path := "/v1/users/" + c.post("/v1/users", `{"email": "ann@acme.example"}`)["id"].(string)
		require.Nil(t, c.call(200, "GET", path, "")["expires_at"])
		token := c.post(path+"/tokens", `{"name": "t"}`)["token"].(string)
		ends := clock.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
		require.Equal(t, ends, c.call(200, "PATCH", path, `{"expires_at": "`+ends+`"}`)["expires_at"])
		require.Equal(t, ends, c.call(200, "PATCH", path, `{"name": "Ann"}`)["expires_at"])
		c.as(token, "").call(403, "PATCH", "/v1/users/me", `{"expires_at": null}`)
		clock.Advance(time.Hour)
		c.as(token, "").call(401, "GET", "/v1/users/me", "")
		c.call(400, "PATCH", path, `{"expires_at": "2020-01-01T00:00:00Z"}`)
		require.Nil(t, c.call(200, "PATCH", path, `{"expires_at": null}`)["expires_at"])
		c.as(token, "").call(200, "GET", "/v1/users/me", "")
	})
}
