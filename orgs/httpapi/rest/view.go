package rest

import (
	"fmt"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// Base is what every object has. Embedded types are exported for the description of the API, which sees no others.
type Base struct {
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	ETag      string `json:"etag"`
}

func baseOf(m store.Meta) Base {
	return Base{m.ID, httpapi.Stamp(m.CreatedAt), httpapi.Stamp(m.UpdatedAt), etag(m.Version)}
}

func etag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// list is a page of objects.
type list[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// listOf renders a page, found or failed.
func listOf[R, T any](page store.Page[R], err error, render func(R) (T, error)) (*answer[list[T]], error) {
	if err != nil {
		return nil, err
	}
	l := list[T]{Data: make([]T, 0, len(page.Items)), HasMore: page.Next != ""}
	for _, rec := range page.Items {
		view, err := render(rec)
		if err != nil {
			return nil, err
		}
		l.Data = append(l.Data, view)
	}
	if l.HasMore {
		l.NextCursor = &page.Next
	}
	return ok(l)
}

// always is for listOf what renders and cannot fail.
func always[R, T any](render func(R) T) func(R) (T, error) {
	return func(rec R) (T, error) { return render(rec), nil }
}

// deletedView is the answer where something was deleted for good.
type deletedView struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}

func deleted(id string, err error) (*answer[deletedView], error) {
	return &answer[deletedView]{Status: http.StatusOK, Body: deletedView{id, true}}, err
}

// because is the body of calls for whose event a reason may be given.
type because struct {
	Reason string `json:"reason,omitempty"`
}

// paging is the query of every list.
type paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"1000"`
}

// filled is never nil in JSON.
func filled(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// grants are permissions beside those of a role.
type grants struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

func (g grants) input() orgs.Grants { return orgs.Grants{Add: g.Add, Remove: g.Remove} }

func grantsOf(g orgs.Grants) grantsView { return grantsView{filled(g.Add), filled(g.Remove)} }

type grantsView struct {
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}
