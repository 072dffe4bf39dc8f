// Package client is a client of the native API, for programs in Go. It knows nothing of the library: it is generated of the
// description of the API, and a program elsewhere may copy it.
//
//	c := &client.Client{URL: "https://gateway.example", Token: token}
//	team, err := c.PostOrganizationsByOrgTeams(ctx, "acme", client.PostOrganizationsByOrgTeamsQuery{}, client.TeamBody{Name: "Research"}, nil)
//
// Methods are named by the operation ids of the description. An answer that is no success is a *[Problem].
package client

//go:generate go run ./generate ../../orgs/httpapi/rest/openapi.json generated.go

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// Client sends requests. It is safe for concurrent use.
type Client struct {
	URL   string // where the API is mounted, without /v1
	Token string // the bearer token; "" sends none
	// HTTP sends the requests; nil is http.DefaultClient.
	HTTP *http.Client
	// Strict refuses answers with fields that the description does not have.
	Strict bool
}

// Options of one call; nil works.
type Options struct {
	IdempotencyKey string // of a POST: however often it is sent, it is done once
	IfMatch        string // of a write: the etag that it is made of
	Revision       string // of a read: the Orgkit-Revision that it must not be older than
	// Answered is told of the answer, whose body is read already.
	Answered func(*http.Response)
}

// Patch is a merge patch (RFC 7396): what is absent stays, nil restores the default, a value replaces.
type Patch map[string]any

// MaxAnswer is the most bytes of an answer that are read.
const MaxAnswer = 64 << 20

// send sends one request and reads its answer into out.
func (c *Client) send(ctx context.Context, method, path string, query, body any, o *Options, out any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	target := strings.TrimSuffix(c.URL, "/") + path
	if values := encode(query); len(values) > 0 {
		target += "?" + values.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, text)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if o == nil {
		o = &Options{}
	}
	for name, value := range map[string]string{"Idempotency-Key": o.IdempotencyKey, "If-Match": o.IfMatch, "Orgkit-Revision": o.Revision} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	sender := c.HTTP
	if sender == nil {
		sender = http.DefaultClient
	}
	res, err := sender.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer))
	if err != nil {
		return err
	}
	if o.Answered != nil {
		o.Answered(res)
	}
	if res.StatusCode >= 300 {
		p := &Problem{Status: int64(res.StatusCode), Detail: res.Status}
		_ = json.Unmarshal(answer, p) // what is none says no more
		return p
	}
	if page, is := out.(*string); is && strings.HasPrefix(res.Header.Get("Content-Type"), "text/") {
		*page = string(answer)
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	if c.Strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// Error says what went wrong.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// segment is a part of a path.
func segment(text string) string { return url.PathEscape(text) }

// encode are the fields of a query that are set.
func encode(query any) url.Values {
	values := url.Values{}
	if query == nil {
		return values
	}
	v := reflect.ValueOf(query)
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("query")
		switch f := v.Field(i).Interface().(type) {
		case string:
			if f != "" {
				values.Set(name, f)
			}
		case int64:
			if f != 0 {
				values.Set(name, strconv.FormatInt(f, 10))
			}
		case bool:
			if f {
				values.Set(name, "true")
			}
		case []string:
			values[name] = f
		}
	}
	return values
}

// decode is the reverse of encode, into a pointer to a query.
func decode(values url.Values, query any) error {
	v := reflect.ValueOf(query).Elem()
	for name, given := range values {
		known := false
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("query") != name {
				continue
			}
			known = true
			switch f := v.Field(i).Addr().Interface().(type) {
			case *string:
				*f = given[0]
			case *int64:
				n, err := strconv.ParseInt(given[0], 10, 64)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				*f = n
			case *bool:
				*f = given[0] == "true"
			case *[]string:
				*f = given
			}
		}
		if !known {
			return fmt.Errorf("the query has no %s", name)
		}
	}
	return nil
}

// Call is what [Operation.Do] calls: the parameters of any operation by their names.
type Call struct {
	Path    map[string]string
	Query   url.Values
	Body    json.RawMessage
	Options *Options
}

// Operation is one operation of the API, for programs that go through all of them, such as tests.
type Operation struct {
	ID, Method, Path string
	Open             bool // for who has no credential
	// Do calls the method of the client that is the operation.
	Do func(ctx context.Context, c *Client, call Call) (any, error)
}

// body reads the body of a call, strictly: what the description does not have is an error.
func (c Call) body(into any) error {
	if len(c.Body) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(c.Body))
	d.UseNumber()
	d.DisallowUnknownFields()
	return d.Decode(into)
}
