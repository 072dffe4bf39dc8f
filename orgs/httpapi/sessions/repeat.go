package sessions

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// keptView is an answer that shows a secret, which is not kept with it.
type keptView interface{ withoutSecrets() any }

// once has a call with an Idempotency-Key done once. Its answer is kept in the unit of its change, and answered again as an
// orgs.Answer. It is for calls that take no guess: the unit takes back what a failure has counted.
func once(route string, h handler) handler {
	return func(a *api, w http.ResponseWriter, r *http.Request) (status int, view any, err error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, nil, err
		}
		with := func(ctx context.Context) *http.Request {
			r := r.WithContext(ctx)
			r.Body = io.NopCloser(bytes.NewReader(body))
			return r
		}
		at, err := httpapi.AttemptOf(r, route, body)
		if err != nil {
			return 0, nil, err
		}
		if at == nil {
			return h(a, w, with(r.Context()))
		}
		kept, later, err := a.m.Once(r.Context(), *at, func(ctx context.Context, _ *store.Tx) (orgs.Answer, error) {
			if status, view, err = h(a, w, with(ctx)); err != nil {
				return orgs.Answer{}, err
			}
			hidden := view
			if v, secret := view.(keptView); secret {
				hidden = v.withoutSecrets()
			}
			text, err := json.Marshal(hidden)
			return orgs.Answer{Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: text}, err
		})
		if later {
			return kept.Status, kept, err
		}
		return status, view, err
	}
}
