package locktera

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// keyView is an API key.
type keyView struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	CreatedAt   string   `json:"created_at"`
	Permissions []string `json:"permissions"`
	KeyID       string   `json:"key_id"`
	OrgID       string   `json:"org_id"`
	Key         string   `json:"key,omitempty"` // once
}

func renderKey(k orgs.APIKey) keyView {
	return keyView{ID: k.ID, Name: k.Name, CreatedAt: httpapi.Stamp(k.CreatedAt), Permissions: vendorWords(k.Permissions), KeyID: k.ID, OrgID: k.OrgID}
}

// apiKeys lists the keys that were not taken back.
func (a *api) apiKeys(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	list := []keyView{}
	for after := ""; len(list) < a.opt.LogCap; {
		page, err := a.APIKeys(r.Context(), orgs.Place{OrgID: at.id}, orgs.KeyFilter{Limit: 200, After: after})
		if err != nil {
			return answer{}, err
		}
		for _, k := range page.Items {
			if k.RevokedAt == nil {
				list = append(list, renderKey(k))
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	return ok(list[:min(len(list), a.opt.LogCap)]), nil
}

// createKey makes a key that is bound to nobody.
func (a *api) createKey(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	in, err := read(r)
	if err != nil {
		return answer{}, err
	}
	name, err := in.text("name")
	if err != nil {
		return answer{}, err
	}
	words, err := in.texts("permissions")
	if err != nil {
		return answer{}, err
	}
	if words == nil {
		return answer{}, store.Invalid("permissions", "required", "is required")
	}
	permissions, err := a.permissions(r.Context(), at, words)
	if err != nil {
		return answer{}, err
	}
	nobody := ""
	k, secret, err := a.CreateAPIKey(r.Context(), orgs.NewAPIKey{Name: name, Organization: at.id, User: &nobody, Permissions: permissions})
	v := renderKey(k)
	v.Key = secret
	return a.spec(http.StatusCreated, v, ok(v)), err
}

func (a *api) removeKey(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	id, err := part(r, "key_id")
	if err != nil {
		return answer{}, err
	}
	k, err := a.APIKey(r.Context(), id)
	if err == nil && (k.OrgID != at.id || k.RevokedAt != nil) {
		err = store.ErrNotFound
	}
	if err != nil {
		return answer{}, err
	}
	_, err = a.RevokeAPIKey(r.Context(), id, "")
	return a.spec(http.StatusNoContent, nil, ok(messageView{"API key deleted successfully"})), err
}

// The vendor's words for permissions.
const (
	wordRead  = "read"
	wordWrite = "write"
)

var (
	reading = []string{"*.read"}
	writing = []string{"*.read", "models.use", "*.create", "*.update", "*.delete"}
)

// permissions reads the vendor's words, and permissions beside them. Of write that is as much as the caller holds.
func (a *api) permissions(ctx context.Context, at place, words []string) (list []string, err error) {
	for _, word := range words {
		switch word {
		case wordRead:
			list = append(list, reading...)
		case wordWrite:
			held, err := a.writes(ctx, at)
			if err != nil {
				return nil, err
			}
			list = append(list, held...)
		default:
			list = append(list, word)
		}
	}
	var distinct []string
	for _, p := range list {
		if !slices.Contains(distinct, p) {
			distinct = append(distinct, p)
		}
	}
	return distinct, nil
}

// writes is what write means for a key that the caller makes.
func (a *api) writes(ctx context.Context, at place) ([]string, error) {
	by, _ := audit.ActorFrom(ctx)
	everything := by.Sovereign()
	if !everything {
		err := a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			held, err := a.Holds(ctx, tx, at.id, "", by.ID)
			everything = slices.Contains(held, "*")
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if everything {
		return writing, nil
	}
	actions, err := a.WhatCan(ctx, by.ID, rbac.AccessQuery{OrgID: at.id, Resource: "organization:" + at.id})
	if err != nil {
		return nil, err
	}
	list := writing[:2:2]
	for _, p := range actions {
		verb := p.Action[strings.LastIndexByte(p.Action, '.')+1:]
		if p.Verdict == rbac.VerdictAllow && (verb == "create" || verb == "update" || verb == "delete") {
			list = append(list, p.Action)
		}
	}
	return list, nil
}

// vendorWords are permissions with the vendor's words for what those mean.
func vendorWords(permissions []string) []string {
	words := []string{}
	has := func(all []string) bool {
		return !slices.ContainsFunc(all, func(p string) bool { return !slices.Contains(permissions, p) })
	}
	var covered []string
	if has(reading) {
		words, covered = append(words, wordRead), reading
	}
	if has(writing) {
		words, covered = append(words, wordWrite), writing
	}
	for _, p := range permissions {
		if !slices.Contains(covered, p) {
			words = append(words, p)
		}
	}
	return words
}
