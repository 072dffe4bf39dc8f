package sessions

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

func faulty(location, code, message string) error {
	return &httpapi.Faults{List: []httpapi.Fault{{Location: location, Code: code, Message: message}}}
}

// read puts the fields of the body where they belong: pointers to strings and bools, by their names. Nulls are absent
// fields. Errors name the field, and repeat no value: what somebody sends here is secret most of the time.
func read(r *http.Request, fields map[string]any) error {
	given, err := httpapi.ReadObject(nil, r, MaxBody)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		to, known := fields[name]
		switch {
		case !known && httpapi.IsFieldName(name):
			return faulty("body."+name, "unknown", "is not known here")
		case !known:
			return faulty("body", "unknown", "has a field that is not known here")
		}
		if json.Unmarshal(given[name], to) != nil {
			kind := "a string"
			if _, is := to.(*bool); is {
				kind = "true or false"
			}
			return faulty("body."+name, "type", "must be "+kind)
		}
	}
	return nil
}

// query reads the parameters of a query, of which it knows these. A name that is not known would be a mistake.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || strings.Contains(r.URL.RawQuery, "%00") {
		return nil, faulty("query", "pattern", "is not a well-formed query")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, faulty("query", "unknown", "has a parameter that is not known here")
		}
		if len(values) > 1 || store.PlainText(values[0], 1000) != values[0] {
			return nil, faulty("query."+name, "pattern", "must be one short text")
		}
	}
	return q, nil
}

// page reads limit and after.
func page(r *http.Request) (limit int, after string, err error) {
	q, err := query(r, "limit", "after")
	if err != nil {
		return 0, "", err
	}
	limit = 50
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 200 {
			return 0, "", faulty("query.limit", "range", "must be from 1 to 200")
		}
	}
	return limit, q.Get("after"), nil
}

// named is the user of the path; the caller, where it names none.
func named(r *http.Request) (string, error) { return part(r, "user", "me") }

func part(r *http.Request, name, otherwise string) (string, error) {
	value := r.PathValue(name)
	switch {
	case value == "":
		return otherwise, nil
	case store.PlainText(value, 300) != value: // there is nothing of such a name
		return "", store.ErrNotFound
	}
	return value, nil
}
