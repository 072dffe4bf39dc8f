package locktera

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// body is the object of a request. Fields that nobody asks for are ignored, as the vendor does.
type body map[string]json.RawMessage

func read(r *http.Request) (body, error) {
	b, err := httpapi.ReadObject(nil, r, 0)
	return b, err
}

// has says whether the body has the field, be it null.
func (b body) has(name string) bool { _, there := b[name]; return there }

// text returns a field, "" where it is absent or null.
func (b body) text(name string) (string, error) {
	var s *string
	if raw, there := b[name]; there && json.Unmarshal(raw, &s) != nil {
		return "", store.Invalid(name, "type", "must be a string")
	}
	if s == nil {
		return "", nil
	}
	return *s, nil
}

// either returns the field that has two names, which both may be there when they say the same.
func (b body) either(name, alias string) (string, error) {
	one, err := b.text(name)
	if err != nil {
		return "", err
	}
	other, err := b.text(alias)
	switch {
	case err != nil:
		return "", err
	case !b.has(name):
		return other, nil
	case b.has(alias) && one != other:
		return "", store.Invalid(alias, "conflict", "says something else than %s", name)
	}
	return one, nil
}

// texts returns a list of strings, nil where it is absent or null.
func (b body) texts(name string) (list []string, err error) {
	if raw, there := b[name]; there && json.Unmarshal(raw, &list) != nil {
		return nil, store.Invalid(name, "type", "must be a list of strings")
	}
	return list, nil
}

// query are the parameters of a request; those that nobody asks for are ignored.
func query(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, store.Invalid("query", "pattern", "is not a well-formed query")
	}
	for name, values := range q {
		for _, v := range values {
			if store.PlainText(v, 2000) != v || store.PlainText(name, 2000) != name {
				return nil, store.Invalid("query", "pattern", "must have short texts only")
			}
		}
	}
	return q, nil
}

// instant is a parameter that is a time (RFC 3339), zero where it is absent.
func instant(q url.Values, name string) (time.Time, error) {
	if q.Get(name) == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, q.Get(name))
	if err != nil {
		return t, store.Invalid(name, "pattern", "must be a time such as 2024-01-01T00:00:00Z")
	}
	return t, nil
}
