package litellm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

const idempotencyHeader = "Idempotency-Key"

// secretive is an answer with a secret, which is told once.
type secretive interface{ hidden() any }

func (r newKeyRow) hidden() any { r.Key = ""; return r }

func (r newUserRow) hidden() any { r.Key = ""; return r }

// attempt is the attempt that a request is, nil where it is not to be repeated.
func (c *call) attempt(body map[string]raw) (*orgs.Attempt, error) {
	keys := c.http.Header.Values(idempotencyHeader)
	if len(keys) == 0 || c.http.Method != http.MethodPost || !c.changes() {
		return nil, nil
	}
	if len(keys) != 1 || keys[0] == "" || len(keys[0]) > orgs.MaxIdempotencyKey || strings.ContainsFunc(keys[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, detail(http.StatusBadRequest, idempotencyHeader+" must be one of 1 to 255 visible characters of ASCII")
	}
	said, err := json.Marshal(body) // whose names are sorted
	if err != nil {
		return nil, err
	}
	print := sha256.Sum256(said)
	return &orgs.Attempt{Route: c.http.Method + " " + c.route.path, Key: keys[0], Print: hex.EncodeToString(print[:])}, nil
}

// repeat answers what was answered to an earlier attempt, or does what is asked and keeps its answer in the same unit. Of an
// answer that is repeated the secret is gone.
func (c *call) repeat(at orgs.Attempt, body map[string]raw) (answer any, err error) {
	outside := c.http
	defer func() { c.http = outside }()
	var kept orgs.Answer
	var later bool
	for {
		kept, later, err = c.svc.Once(outside.Context(), at, func(ctx context.Context, _ *store.Tx) (orgs.Answer, error) {
			c.http, c.in, c.unit = outside.WithContext(ctx), bodyFields(maps.Clone(body)), true
			if answer, err = c.route.run(c); err != nil {
				return orgs.Answer{}, err
			}
			told := answer
			if s, is := answer.(secretive); is {
				told = s.hidden()
			}
			text, err := json.Marshal(told)
			return orgs.Answer{Status: http.StatusOK, Body: text}, err
		})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Code != "slug_taken" || c.slugTaken {
			break
		}
		c.slugTaken = true // another one is found in a unit of its own
	}
	if err != nil {
		return nil, err
	}
	if later {
		c.reply.Set("Idempotency-Replayed", "true")
		return raw(kept.Body), nil
	}
	return answer, nil
}
